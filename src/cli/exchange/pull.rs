//! `modelyard pull`: a model out of any store, into a folder.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use modelyard_core::location::Scheme;
use modelyard_core::location::oci::Reference;
use serde::Deserialize;

use super::{Through, argument};
use crate::cli::stdout::{self, Output};

/// Bring a model from any store into a folder, as a server would fetch it
///
/// Takes every uri that a server takes, and credentials by the names that the stores' own tools read, in this environment: HTTP_AUTHORIZATION,
/// AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY, HF_TOKEN, Docker's configuration. An archive is unpacked. A
/// download that is cut goes on where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Where the model is, as in model.uri
    #[arg(value_name = "URI")]
    uri: String,

    /// The folder to make; it must not be there, or be empty
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// The SHA-256 that it has to have, as in model.sha256
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,

    #[command(flatten)]
    through: Through,

    /// How the outcome is printed
    #[arg(long, value_enum, default_value = "table")]
    report: Output,
}

const EXAMPLES: &str = "\
Examples:
  modelyard pull oci://registry.example/team/digits:1 -o digits
  modelyard pull s3://models/digits/3 -o digits --sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

Exit codes: 0 it is there; 1 it is not, with the reason; 2 wrong arguments.";

/// What came.
#[derive(Debug, Deserialize)]
struct Report {
    sha256: String,
    files: Vec<String>,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if Scheme::of(&self.uri) == Ok(Scheme::Pvc) {
            bail!("{} lies on a claim, which only pods of its cluster can mount: copy it out of one (kubectl cp)", self.uri);
        }
        if Scheme::of(&self.uri) == Ok(Scheme::Oci) {
            Reference::parse(&self.uri).map_err(anyhow::Error::msg)?;
        }
        let mut arguments = vec!["pull".into(), self.uri.into(), argument(&self.output)];
        if let Some(sum) = &self.sha256 {
            arguments.extend(["--sha256".into(), sum.into()]);
        }
        let told = super::run(&self.through, &arguments)?;
        if self.report == Output::Json {
            stdout::print(&format!("{told:#}\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let report: Report = serde_json::from_value(told).context("the server's report is not understood")?;
        let mut text = String::new();
        for file in &report.files {
            text.push_str(&format!("{}\n", self.output.join(file).display()));
        }
        text.push_str(&format!("\nsha256: {}\n", report.sha256));
        stdout::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
