//! `modelyard controller`: the operator's process.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use modelyard_core::release;
use modelyard_telemetry::logs::{self, Lines};

use crate::controller::{Settings, run};

/// Runs the operator: watches ModelDeployments and makes the cluster what they say
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The image of the servers that are started from now on
    #[arg(long, env = "MODELYARD_SERVER_IMAGE", default_value = concat!("modelyard-server:", env!("CARGO_PKG_VERSION")))]
    server_image: String,
    /// The image of those among them that ONNX Runtime computes (engine.name: OnnxRuntime)
    #[arg(long, env = "MODELYARD_SERVER_IMAGE_ORT", default_value = concat!("modelyard-server-ort:", env!("CARGO_PKG_VERSION")))]
    server_image_ort: String,
    /// When servers that run already get the image and the pods of this release
    #[arg(long, env = "MODELYARD_SERVER_UPGRADE", value_enum, ignore_case = true, default_value_t = ServerUpgrade::OnChange)]
    server_upgrade: ServerUpgrade,
    /// Watch only these namespaces, comma-separated (default: all)
    #[arg(long, env = "MODELYARD_WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// Hold the Lease `modelyard` of this namespace before writing, so that several can run (default: no lease, one operator)
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
    /// What this operator is called in the Lease (default: a name made up at the start)
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: Option<String>,
    /// Where /healthz and /readyz answer
    #[arg(long, env = "MODELYARD_HEALTH_ADDRESS", default_value = "0.0.0.0:8081")]
    health_address: SocketAddr,
    /// How log lines look
    #[arg(long, env = "MODELYARD_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// error, warn, info or debug; or by target, such as info,kube=debug. PUT /loglevel on the health port changes it
    #[arg(long, env = "MODELYARD_LOG_LEVEL", default_value = "info")]
    log_level: String,
}

/// When servers that run get those of a new release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ServerUpgrade {
    /// With the next change of the spec, or by `modelyard restart`: upgrading the operator restarts nothing.
    #[value(name = "OnChange")]
    OnChange,
    /// All, one in twenty at a time and new before old; a release whose servers do not become ready stops there.
    #[value(name = "Rolling")]
    Rolling,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let lines = match self.log_format {
            LogFormat::Text => Lines::Text,
            LogFormat::Json => Lines::Json,
        };
        let levels = logs::start_changeable(&self.log_level, lines).context("--log-level")?;
        let settings = Settings {
            server_image: self.server_image,
            server_image_ort: self.server_image_ort,
            server_upgrade: match self.server_upgrade {
                ServerUpgrade::OnChange => release::ServerUpgrade::OnChange,
                ServerUpgrade::Rolling => release::ServerUpgrade::Rolling,
            },
            namespaces: self.watch_namespaces.into_iter().filter(|name| !name.is_empty()).collect(),
            lease_namespace: self.lease_namespace.filter(|name| !name.is_empty()),
            identity: self.identity.unwrap_or_else(|| format!("modelyard-{}", std::process::id())),
            health_address: self.health_address,
        };
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(run(settings, levels))?;
        Ok(ExitCode::SUCCESS)
    }
}
