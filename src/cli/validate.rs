//! `modelyard validate`: what the API server and the operator would say, before anything is sent to them.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::manifest::{self, Diagnostic, Reading, Severity};

/// Check YAML files offline: schema, defaults and every rule that the API server would apply
///
/// Prints every fault with its file, line and column, and exits 1 if there is any, or nothing to check. What may be applied but is
/// likely to hurt on a cluster is warned about. Documents of other kinds are skipped with a note, and so is a folder's JSON without
/// a kind.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Files, folders with .yaml, .yml and .json files, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print what is found
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// Exit 1 for warnings too
    #[arg(long)]
    strict: bool,
}

const EXAMPLES: &str = "\
Examples:
  modelyard validate mnist.yaml
  modelyard validate --strict models/          # as a gate before production
  modelyard validate - -o json < mnist.yaml

Exit codes: 0 no fault; 1 a fault, nothing to check, or with --strict a warning; 2 wrong arguments.";

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// The faulty lines with carets, and one line for each object without fault
    #[default]
    Text,
    /// An array with one object for each fault and warning: file, line, column, length, object, path, severity, message, source
    Json,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut reading = manifest::read(&self.files);
        if reading.manifests.is_empty() && reading.diagnostics.is_empty() {
            reading.diagnostics.push(self.nothing());
        }
        match self.output {
            Format::Text => super::stdout::print(&text(&reading)?)?,
            Format::Json => {
                let all: Vec<&Diagnostic> = reading.diagnostics.iter().chain(warnings(&reading)).collect();
                super::stdout::print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
            }
        }
        let fine = reading.diagnostics.is_empty() && !(self.strict && warnings(&reading).next().is_some());
        Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Arguments {
    /// Nothing to validate is a mistyped path more often than it is meant, and a gate that checks nothing must not be green.
    fn nothing(&self) -> Diagnostic {
        let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        Diagnostic {
            file: files.join(", "),
            position: None,
            object: None,
            path: String::new(),
            severity: Severity::Error,
            message: "nothing to validate: expected a ModelDeployment, found none".to_owned(),
            source: None,
        }
    }
}

fn warnings(reading: &Reading) -> impl Iterator<Item = &Diagnostic> {
    reading.manifests.iter().flat_map(|manifest| &manifest.warnings)
}

fn text(reading: &Reading) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for one in &reading.manifests {
        let (kind, name) = ("ModelDeployment", &one.resolved.name);
        writeln!(text, "{}:{}: {kind}/{name} is valid (revision {})", one.file.display(), one.line, one.resolved.revision)?;
    }
    for note in &reading.notes {
        writeln!(text, "note: {}", note.headline())?;
    }
    for warning in warnings(reading) {
        writeln!(text, "warning: {}", warning.headline())?;
    }
    for fault in &reading.diagnostics {
        writeln!(text, "error: {fault}")?;
    }
    if !reading.diagnostics.is_empty() {
        let count = reading.diagnostics.len();
        writeln!(text, "{count} {} found", if count == 1 { "error" } else { "errors" })?;
    }
    Ok(text)
}
