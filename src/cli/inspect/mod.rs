//! `modelyard inspect`: what a model takes, gives and is made of, before it is deployed (a file) or after (a server).

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgGroup;

use super::cluster::Through;
use super::served::{UrlParser, runtime};
use super::stdout::Output;
use crate::client::Target;

mod check;
mod file;
mod remote;

pub(super) use file::{Port, Report, examine, find_server, size};

/// Show what a model takes, gives and is made of, and what of it will not run
///
/// A file is read and loaded by the server's own binary, which is the one that would serve it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("remote").args(["url", "cluster"])))]
#[command(mut_arg("namespace", |namespace| namespace.short('n')))]
pub struct Arguments {
    /// A .onnx file or a folder with one; with --url or --cluster, the name of a served model
    #[arg(value_name = "FILE|MODEL")]
    what: String,

    /// Ask this server about a model that it serves
    #[arg(long, short, value_name = "URL", value_parser = UrlParser)]
    url: Option<Target>,

    /// Of https: trust the certificates of this PEM file, not the system's (SSL_CERT_FILE does so too)
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,

    /// Only look whether the file is sound, and say all that is wrong with it; no server is needed for that
    #[arg(long, conflicts_with_all = ["url", "cluster", "server_bin"])]
    check: bool,

    /// A version other than the one the server prefers
    #[arg(long, value_name = "VERSION", requires = "remote")]
    model_version: Option<String>,

    #[command(flatten)]
    through: Through,

    /// modelyard-server's binary [default: beside this one, else on PATH]
    #[arg(long, value_name = "FILE", env = "MODELYARD_SERVER_BIN", conflicts_with_all = ["url", "cluster"])]
    server_bin: Option<PathBuf>,

    /// How it is printed
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  modelyard inspect model.onnx
  modelyard inspect model.onnx -o json
  modelyard inspect model.onnx --check
  modelyard inspect --url http://127.0.0.1:8080 mnist
  modelyard inspect mnist --cluster

Exit codes: 0 shown, and it runs (with --check: it is sound); 1 it will not run, is unsound or cannot be read, with the reason; 2 wrong arguments.";

/// Limit of a server's answer.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.check {
            return check::show(Path::new(&self.what), self.output);
        }
        // The way there lives on this runtime for as long as the question takes.
        let runtime = runtime()?;
        if let Some(way) = runtime.block_on(self.through.open(&self.what))? {
            let target = format!("http://{}", way.address).parse()?;
            return runtime.block_on(remote::show(&target, &self));
        }
        match (&self.url, &self.ca_file) {
            (Some(target), Some(file)) => runtime.block_on(remote::show(&target.clone().trusting(file)?, &self)),
            (Some(target), None) => runtime.block_on(remote::show(target, &self)),
            (None, _) => file::show(Path::new(&self.what), &self),
        }
    }
}
