//! `modelyard push`: a model into a registry of container images.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use modelyard_core::location::oci::Reference;
use serde::Deserialize;

use super::{Through, argument};
use crate::cli::inspect::size;
use crate::cli::stdout::{self, Output};

/// Push a model into a registry, as an OCI artifact that names exactly these files
///
/// The artifact is a ModelPack of the CNCF: a layer for each file of the folder, and the model's inputs and outputs as an annotation. What the
/// registry has already is not sent again. Files are read as they are sent, so they may be larger than this machine's memory. Logins are those
/// of Docker's configuration (docker login; DOCKER_CONFIG). A registry on this machine's loopback is asked by plain http, others by https.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A folder with a model, such as `modelyard package` writes; or a model's file, a .tar or a .tar.gz
    #[arg(value_name = "DIR|FILE")]
    what: PathBuf,

    /// Where to: oci://HOST/REPOSITORY:TAG
    #[arg(value_name = "URI")]
    uri: String,

    #[command(flatten)]
    through: Through,

    /// How the outcome is printed
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  modelyard push digits oci://registry.example/team/digits:1
  modelyard push model.onnx oci://localhost:5000/digits:latest -o json

Exit codes: 0 pushed; 1 not pushed, with the reason; 2 wrong arguments.";

/// What was pushed.
#[derive(Debug, Deserialize)]
struct Report {
    uri: String,
    layers: Vec<Layer>,
}

#[derive(Debug, Deserialize)]
struct Layer {
    path: String,
    bytes: u64,
    sent: bool,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if !self.what.exists() {
            bail!("no file or folder {}", self.what.display());
        }
        // Before the model is read, and long before anything is sent.
        Reference::to_push(&self.uri).map_err(anyhow::Error::msg)?;
        let told = super::run(&self.through, &["push".into(), argument(&self.what), self.uri.into()])?;
        if self.output == Output::Json {
            stdout::print(&format!("{told:#}\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let report: Report = serde_json::from_value(told).context("the server's report is not understood")?;
        let width = report.layers.iter().map(|layer| layer.path.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for Layer { path, bytes, sent } in &report.layers {
            let how = if *sent { "sent" } else { "was there" };
            text.push_str(&format!("{path:width$}  {:>10}  {how}\n", size(*bytes)));
        }
        text.push_str(&format!("\n{}\n", report.uri));
        stdout::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
