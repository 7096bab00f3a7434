//! Which model behind which server: the arguments that every command about a served model shares.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

use super::cluster::{Through, Tunnel};
use crate::client::{ClientError, ModelName, Protocol, Session, Target};

/// A served model.
#[derive(Clone, Debug, clap::Args)]
pub struct Served {
    /// The model's name
    pub model: String,

    /// The server's address
    #[arg(
        long,
        short,
        env = "MODELYARD_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    #[arg(value_parser = UrlParser)]
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
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds, allow_negative_numbers = true)]
    pub timeout: Duration,
}

/// Reads a server's address. What is wrong with it is said in the address's own words: clap would repeat it with its password.
#[derive(Clone)]
pub(super) struct UrlParser;

impl TypedValueParser for UrlParser {
    type Value = Target;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Target, clap::Error> {
        let wrong = |error: ClientError| clap::Error::raw(ErrorKind::ValueValidation, format!("{error}\n")).with_cmd(command);
        value.to_string_lossy().parse().map_err(wrong)
    }
}

/// Thirty years: whoever waits longer means for ever, and a clock can be added to it.
const MOST_SECONDS: f64 = 1e9;

/// Seconds, fractions allowed.
pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.trim_end_matches('s').parse().map_err(|_| "expected a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && seconds <= MOST_SECONDS => Ok(duration),
        _ => Err(format!("expected more than 0 and at most {MOST_SECONDS} seconds")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_can_be_waited_for() {
        assert_eq!(parse_seconds("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_seconds("1e9"), Ok(Duration::from_secs(1_000_000_000)));
        for text in ["0", "-1", "1e10", "1e300", "NaN", "inf"] {
            assert_eq!(parse_seconds(text), Err("expected more than 0 and at most 1000000000 seconds".to_owned()), "{text}");
        }
        assert!(parse_seconds("soon").is_err());
    }
}
