//! How a server is launched: which executable, with which arguments.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use modelyard_core::server_config::ServerConfig;
use tokio::process::Command;

use super::{LocalError, Options};

/// Settings of ours that would contradict the arguments if a server inherited them.
const NOT_INHERITED: [&str; 9] = [
    "MODELYARD_MODEL",
    "MODELYARD_CONFIG",
    "MODELYARD_ALLOW_CONTROL",
    "MODELYARD_HOST",
    "MODELYARD_PORT",
    "MODELYARD_ADMIN_PORT",
    "MODELYARD_PORTS_FILE",
    "MODELYARD_THREADS",
    "MODELYARD_TERMINATION_LOG",
];

/// The file in a replica's folder that its server follows.
const CONFIG: &str = "config.json";

/// Writes what the server is to serve, now and whenever that changes. It never sees half of it.
pub(super) fn write(config: &ServerConfig, folder: &Path) -> std::io::Result<()> {
    let beside = folder.join("config.partial");
    std::fs::write(&beside, config.to_json())?;
    std::fs::rename(beside, folder.join(CONFIG))
}

/// What all servers have in common.
#[derive(Clone, Debug)]
pub(super) struct Launcher {
    server: PathBuf,
    log_level: String,
}

impl Launcher {
    /// Finds the server.
    pub(super) fn new(options: &Options) -> Result<Self, LocalError> {
        let server = match &options.server {
            Some(path) if path.is_file() => path.clone(),
            Some(path) => return Err(LocalError::ServerBin { path: path.display().to_string() }),
            None => found()?,
        };
        Ok(Self { server, log_level: options.log_level.clone() })
    }

    /// The command of one replica, which writes its ports and its last words into `folder`.
    pub(super) fn command(&self, config: &ServerConfig, folder: &Path) -> Command {
        let mut command = Command::new(&self.server);
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        command
            .envs(credentials(config))
            .arg("--config")
            .arg(format!("@{}", folder.join(CONFIG).display()))
            .args(["--host", "127.0.0.1", "--port", "0", "--admin-port", "0", "--die-with-parent", "--log-format", "text"])
            .args(["--log-level", &self.log_level])
            .arg("--ports-file")
            .arg(folder.join("ports.json"))
            .arg("--termination-log")
            .arg(folder.join("termination.json"))
            // The server ends with the pipe on its standard input: even if we are killed, none is left behind.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal is ours to act on; servers are told once their requests are answered.
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

fn found() -> Result<PathBuf, LocalError> {
    let name = format!("modelyard-server{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
    let in_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let found = beside.iter().chain(&in_path).map(|folder| folder.join(&name)).find(|path| path.is_file());
    found.ok_or_else(|| LocalError::NoServer { beside: beside.unwrap_or_default().display().to_string() })
}
/// What a Secret holds on a cluster, this process's own environment holds here.
fn credentials(config: &ServerConfig) -> impl Iterator<Item = (&String, String)> {
    let header = std::env::var("HTTP_AUTHORIZATION").ok();
    config.models.iter().filter_map(move |model| Some((model.authorization_env.as_ref()?, header.clone()?)))
}
