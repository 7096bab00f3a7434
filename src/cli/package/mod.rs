//! `modelyard package`: a model with what belongs to it, as the folder or archive that a server takes, proved before it is written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::Serialize;

use super::inspect::{Report, examine, size};
use super::stdout::{self, Output};

mod archive;
mod card;
mod collect;
mod steps;
mod sum;

use collect::{Collected, Part};

/// Put a model and what belongs to it into a folder or an archive that servers take, and prove it
///
/// The model is named as a server finds it, and beside it lie what it keeps in other files, sample.json (a request and its right answer), README.md
/// (the model card; one is written where there is none), steps.yaml (preprocess and postprocess) and LICENSE. The result is loaded by the server's own
/// binary, which also answers the sample; only then it is put in its place. An archive of the same files is the same bytes every time. The sum that
/// is printed is the one for model.sha256.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A model's file, or a folder with one
    #[arg(value_name = "DIR|FILE")]
    what: PathBuf,

    /// The folder to make, or the archive, if it ends in .tar.gz or .tgz; it must not be there
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,

    /// The sample [default: sample.json beside the model]
    #[arg(long, value_name = "FILE", help_heading = "What belongs to it")]
    sample: Option<PathBuf>,

    /// The model card [default: README.md beside the model, or in the folder]
    #[arg(long, value_name = "FILE", help_heading = "What belongs to it")]
    card: Option<PathBuf>,

    /// Steps around the model, as `modelyard fit-preprocess` prints them [default: steps.yaml beside the model, or in the folder]
    #[arg(long, value_name = "FILE", help_heading = "What belongs to it")]
    steps: Option<PathBuf>,

    /// modelyard-server's binary [default: beside this one, else on PATH]
    #[arg(long, value_name = "FILE", env = "MODELYARD_SERVER_BIN")]
    server_bin: Option<PathBuf>,

    /// How the outcome is printed
    #[arg(long, value_enum, default_value = "table")]
    report: Output,
}

const EXAMPLES: &str = "\
Examples:
  modelyard package model.onnx -o digits.tar.gz
  modelyard package training/out -o digits --card card.md --sample sample.json
  modelyard package digits.ubj -o digits && modelyard push digits oci://registry.example/team/digits:1

Exit codes: 0 written; 1 not written, with what is missing or wrong; 2 wrong arguments.";

/// What was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    output: PathBuf,
    /// For model.sha256.
    sha256: String,
    files: Vec<Written>,
    /// Of the sample, compared with what was expected.
    outputs_proved: Option<u64>,
    /// What the user may want to add or to know.
    notes: Vec<String>,
}

/// A file of it.
#[derive(Debug, Serialize)]
struct Written {
    path: String,
    bytes: u64,
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
        if self.output.exists() {
            bail!("{} is there already: name another --output, or remove it", self.output.display());
        }
        let name = self.output.to_string_lossy().to_ascii_lowercase();
        if let Some(ending) =
            [".zip", ".tar", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z"].iter().find(|ending| name.ends_with(*ending))
        {
            bail!(
                "{}: {ending} is not what this writes: name a folder, or an archive that ends in .tar.gz or .tgz",
                self.output.display()
            );
        }
        let found = self.examine(&self.what)?;
        let collected = collect::collect(&self, &found)?;
        let folder = self.output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Beside the result, so that it can be moved there, and gone where anything fails.
        let making = tempfile::Builder::new().prefix(".package").tempdir_in(folder);
        let making = making.with_context(|| format!("cannot write to {}", folder.display()))?;
        let package = self.write(&collected, &found, making.path())?;
        match self.report {
            Output::Table => stdout::tell(&package.table())?,
            Output::Json => stdout::print(&format!("{}\n", serde_json::to_string_pretty(&package)?))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What the server says of a model; all that keeps it from being served is the error.
    fn examine(&self, path: &Path) -> anyhow::Result<Report> {
        let (report, _) = examine(path, self.server_bin.as_deref())?;
        if report.loadable {
            return Ok(report);
        }
        let problems: Vec<_> = report.problems.iter().map(|problem| format!("\n  - {problem}")).collect();
        bail!("{} is not packaged, for a server would not serve it:{}", report.file, problems.concat())
    }

    /// Makes the package in `making`, proves it there, and moves it to where it is wanted.
    fn write(&self, collected: &Collected, found: &Report, making: &Path) -> anyhow::Result<Package> {
        let content = making.join("content");
        for (name, part) in &collected.parts {
            let to = content.join(name);
            let parent = to.parent().unwrap_or(&content);
            std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
            let written = match part {
                Part::File(from) => std::fs::copy(from, &to).map(|_| ()),
                Part::Text(text) => std::fs::write(&to, text),
            };
            written.with_context(|| format!("cannot write {name}"))?;
        }
        let proved = self.examine(&content).context("what was collected does not hold together")?;
        let mut files = Vec::with_capacity(collected.parts.len());
        for name in collected.parts.keys() {
            let bytes = std::fs::metadata(content.join(name)).with_context(|| format!("cannot read {name}"))?.len();
            files.push(Written { path: name.clone(), bytes });
        }
        let (made, summed) = if is_archive(&self.output) {
            let packed = making.join("packed");
            archive::pack(&content, collected.parts.keys(), &packed).context("the archive cannot be written")?;
            (packed.clone(), packed)
        } else {
            (content.clone(), content.join(collect::model_name(found)))
        };
        let sha256 = sum::of(&summed).with_context(|| format!("cannot read {}", summed.display()))?;
        std::fs::rename(&made, &self.output).with_context(|| format!("cannot make {}", self.output.display()))?;
        let notes = collected.notes.clone();
        let outputs_proved = proved.sample.map(|sample| sample.outputs);
        Ok(Package { output: self.output.clone(), sha256, files, outputs_proved, notes })
    }
}

fn is_archive(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    name.ends_with(".tar.gz") || name.ends_with(".tgz")
}

impl Package {
    fn table(&self) -> String {
        let mut text = format!("{}\n", self.output.display());
        let width = self.files.iter().map(|file| file.path.chars().count()).max().unwrap_or(0);
        for Written { path, bytes } in &self.files {
            text.push_str(&format!("  {path:width$}  {:>10}\n", size(*bytes)));
        }
        text.push('\n');
        text.push_str(match self.outputs_proved {
            Some(_) => "It loads, and answers its sample as expected.\n",
            None => "It loads.\n",
        });
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        text.push_str(&format!("\nmodel:\n  uri: file:{}\n  sha256: {}\n", self.output.display(), self.sha256));
        text
    }
}
