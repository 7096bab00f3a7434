//! `modelyard diff`: what applying files would do to the cluster, before it is done: which fields change, and whether pods restart.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use modelyard_core::api::ModelDeployment;
use serde_json::{Value, json};

use super::cluster::{Access, Cluster, ClusterError, Document, document};
use super::served::runtime;
use crate::manifest::{self, Manifest};

mod difference;
mod owner;

use difference::Difference;

/// Nothing is known to differ or not: the files or the cluster are at fault.
const TROUBLE: u8 = 2;

/// Show what applying files would change on the cluster, and which pods it would restart
///
/// A field that a file does not write counts as its default; replicas that a file does not write stay as they are, unless a file
/// that was applied before wrote them. What is likely to hurt is warned about.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Files, folders with .yaml, .yml and .json files, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    access: Access,

    /// Print a list for programs: name, namespace, effect, from, to, words, changes, notes, warnings
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Document>,
}

const EXAMPLES: &str = "\
Examples:
  modelyard diff mnist.yaml
  modelyard diff models/ -n models
  modelyard diff mnist.yaml -o json | jq -r '.[] | select(.effect == \"newRevision\") | .name'

Exit codes: 0 nothing would change; 1 something would; 2 the files have faults, or the cluster cannot be asked.";

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let reading = manifest::read(&self.files);
        for note in &reading.notes {
            super::say(format_args!("note: {}", note.headline()));
        }
        for fault in &reading.diagnostics {
            super::say(format_args!("error: {fault}"));
        }
        if !reading.diagnostics.is_empty() {
            return Ok(ExitCode::from(TROUBLE));
        }
        if reading.manifests.is_empty() {
            super::say(format_args!("error: nothing to compare: expected a ModelDeployment, found none"));
            return Ok(ExitCode::from(TROUBLE));
        }
        match runtime()?.block_on(compare(&self.access, &reading.manifests)) {
            Ok(compared) => {
                match self.output {
                    Some(format) => super::stdout::print(&document(format, &for_programs(&compared))?)?,
                    None => super::stdout::tell(&text(&compared)?)?,
                }
                let differs = compared.iter().any(|one| one.difference.is_any());
                Ok(if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
            }
            Err(error) => {
                super::say(format_args!("error: {error}"));
                Ok(ExitCode::from(TROUBLE))
            }
        }
    }
}

/// One object of the files beside that of the cluster.
struct Compared<'a> {
    namespace: String,
    manifest: &'a Manifest,
    difference: Difference,
}

async fn compare<'a>(access: &Access, manifests: &'a [Manifest]) -> Result<Vec<Compared<'a>>, ClusterError> {
    let cluster = access.open().await?;
    let mut compared = Vec::new();
    for manifest in manifests {
        let namespace = manifest.deployment.metadata.namespace.as_deref().unwrap_or(&cluster.namespace).to_owned();
        let live = find(&cluster.within(&namespace), &manifest.resolved.name).await?;
        let difference = Difference::of(live.as_ref(), manifest);
        compared.push(Compared { namespace, manifest, difference });
    }
    Ok(compared)
}

async fn find(cluster: &Cluster, name: &str) -> Result<Option<ModelDeployment>, ClusterError> {
    match cluster.find(name).await {
        Ok(found) => Ok(Some(found)),
        Err(ClusterError::NoObject { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn text(compared: &[Compared<'_>]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for Compared { namespace, manifest, difference } in compared {
        writeln!(text, "{namespace}/{}: {}", manifest.resolved.name, difference.words)?;
        for change in &difference.changes {
            writeln!(text, "  {change}")?;
        }
        for note in &difference.notes {
            writeln!(text, "  note: {note}")?;
        }
        for warning in &manifest.warnings {
            writeln!(text, "  warning: {}: {}", warning.path, warning.message)?;
        }
    }
    Ok(text)
}

fn for_programs(compared: &[Compared<'_>]) -> Value {
    let one = |Compared { namespace, manifest, difference }: &Compared<'_>| {
        json!({
            "name": manifest.resolved.name, "namespace": namespace, "effect": difference.effect,
            "from": difference.from, "to": difference.to, "words": difference.words,
            "changes": difference.changes, "notes": difference.notes, "warnings": manifest.warnings,
        })
    };
    compared.iter().map(one).collect()
}
