//! Which model behind which server: the arguments that every command about a served model shares.

use std::path::PathBuf;
use std::time::Duration;

use super::cluster::{Through, Tunnel};
use crate::client::{ClientError, ModelName, Protocol, Session, Target};

/// A served model.
#[derive(Clone, Debug, clap::Args)]
pub struct Served {
    /// The model's name
    pub model: String,

    /// The server's address
    #[arg(long, short, env = "MODELYARD_URL", default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = parse_url)]
    url: Target,

    /// Of https: trust the certificates of this PEM file, not the system's (SSL_CERT_FILE does so too)
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// A version other than the one the server prefers
    #[arg(long, value_name = "VERSION")]
    pub model_version: Option<String>,

    /// How requests travel
    #[arg(long, value_enum, default_value = "binary")]
    pub protocol: Protocol,

    #[command(flatten)]
    through: Through,

    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    pub timeout: Duration,
}

fn parse_url(text: &str) -> Result<Target, ClientError> {
    text.parse()
}

/// Seconds, fractions allowed.
pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.trim_end_matches('s').parse().map_err(|_| "expected a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("expected more than 0 seconds".to_owned()),
    }
}

impl Served {
    /// The model as the protocols name it.
    pub(super) fn name(&self) -> ModelName {
        ModelName { name: self.model.clone(), version: self.model_version.clone() }
    }

    /// The server.
    pub(super) fn target(&self) -> Result<Target, ClientError> {
        match &self.ca_file {
            Some(file) => self.url.clone().trusting(file),
            None => Ok(self.url.clone()),
        }
    }

    /// The same model where it can be reached, with the way to it, which has to be kept: of a cluster, a forwarded port.
    pub(super) async fn reach(&self) -> anyhow::Result<(Self, Option<Tunnel>)> {
        let mut reached = self.clone();
        let tunnel = self.through.open(&self.model).await?;
        if let Some(tunnel) = &tunnel {
            (reached.url, reached.ca_file) = (format!("http://{}", tunnel.address).parse()?, None);
        }
        Ok((reached, tunnel))
    }

    /// A connection to it.
    pub(super) async fn open(&self) -> Result<Session, ClientError> {
        Session::open(&self.target()?, self.protocol, &self.name(), self.timeout).await
    }
}

/// The runtime that commands wait in: one thread is enough for a client.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
