//! `modelyard local`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use super::number::whole;
use crate::local::{self, Options, Output};

/// Serve ModelDeployments on this machine, without a cluster
///
/// Starts the replicas that the files ask for as processes, and one port in front of them that speaks every protocol. Edit a file
/// while it runs: the new revision starts beside the old one and takes over once it answers. Ctrl-C drains and ends.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A file, a folder with .yaml, .yml and .json files, or - for standard input; repeatable
    #[arg(short, long = "file", required = true, num_args = 1.., value_name = "FILE|DIR")]
    file: Vec<PathBuf>,
    /// The port of all models; 0 takes a free one
    #[arg(long, default_value_t = 8080, value_parser = whole(0..=u16::MAX))]
    port: u16,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1", value_parser = address)]
    host: IpAddr,
    /// Tell each replica's own port too, and give its clients drainDelay when it stops
    #[arg(long)]
    direct: bool,
    /// How to tell what happens
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Output,
    /// The server to launch (default: the modelyard-server beside this program, or in PATH)
    #[arg(long, value_name = "PATH", env = "MODELYARD_SERVER_BIN")]
    server_bin: Option<PathBuf>,
    /// Which log lines the servers write: off, error, warn, info or debug; or by target, TARGET=LEVEL, several with commas
    /// between them
    #[arg(long, default_value = "warn", env = "MODELYARD_LOG_LEVEL", value_parser = log_level)]
    log_level: String,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let options = Options {
            files: self.file,
            host: self.host,
            port: self.port,
            direct: self.direct,
            output: self.output,
            server: self.server_bin,
            log_level: self.log_level,
        };
        Ok(local::run(&options)?)
    }
}

/// A name may stand for several addresses: which of them to listen on is for the user to say.
fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("expected an IP address such as 127.0.0.1 or ::, found '{text}'"))
}

/// Each server would refuse it at its start; here it is told once, before anything starts.
fn log_level(levels: &str) -> Result<String, String> {
    let known = ["off", "error", "warn", "info", "debug"];
    let level = |part: &str| part.rsplit('=').next().unwrap_or_default().trim().to_ascii_lowercase();
    match levels.split(',').find(|part| !known.contains(&level(part).as_str())) {
        Some(part) => Err(format!("expected one of {}, or TARGET=LEVEL, found '{part}'", known.join(", "))),
        None => Ok(levels.to_owned()),
    }
}
