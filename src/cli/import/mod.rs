//! `modelyard import`: objects of other systems as ModelDeployments, with a line for each field that has no counterpart.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use crate::manifest::{self, Written};

mod address;
mod draft;
mod foreign;
mod kserve;
mod seldon;

use foreign::{Foreign, Note, Refusal};

/// Convert KServe's InferenceServices and Seldon's Models to ModelDeployments
///
/// Prints YAML, with a comment for each field that has no counterpart or means something else; the same lines go to standard
/// error. What is printed passes modelyard validate: of two objects of one name, only the first is. A number of replicas that
/// scales becomes a HorizontalPodAutoscaler beside it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Files, folders with .yaml, .yml and .json files, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  modelyard import inferenceservice.yaml > mnist.yaml && modelyard validate mnist.yaml
  kubectl get inferenceservices -o yaml | modelyard import - > models.yaml

Exit codes: 0 something was converted; 1 nothing was, or a file could not be read; 2 wrong arguments.";

/// An object that has been converted.
struct Converted {
    /// The ModelDeployment, and what belongs to it.
    objects: Vec<Value>,
    notes: Vec<Note>,
}

/// What becomes of a document.
enum Outcome {
    Converted(Converted),
    Refused(Refusal),
    /// Of a kind of the same systems that has no counterpart.
    Nothing(&'static str),
    /// Neither KServe's nor Seldon's: it can be applied as it is.
    Other,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (documents, faults) = manifest::documents(&self.files);
        for fault in &faults {
            super::say(format_args!("error: {fault}"));
        }
        let (mut text, mut converted, mut refused) = (String::new(), 0_usize, 0_usize);
        let mut twins = Twins::default();
        for document in &documents {
            let place = format!("{}:{}: {}", document.file.display(), document.line, named(&document.value));
            match twins.refuse(document, convert(document)) {
                Outcome::Converted(one) => {
                    converted += 1;
                    one.notes.iter().for_each(|note| super::say(format_args!("{place}: {note}")));
                    text.push_str(&yaml(document, &one)?);
                }
                Outcome::Refused(refusal) => {
                    refused += 1;
                    super::say(format_args!("{place}: not converted: {refusal}"));
                }
                Outcome::Nothing(words) => {
                    refused += 1;
                    super::say(format_args!("{place}: not converted: {words}"));
                }
                Outcome::Other => super::say(format_args!("{place}: left out: it is neither KServe's nor Seldon's")),
            }
        }
        super::stdout::print(&text)?;
        if converted == 0 {
            let why = if refused == 0 && faults.is_empty() {
                "expected an InferenceService or a Model, found none"
            } else {
                "see above"
            };
            super::say(format_args!("error: nothing was converted: {why}"));
            return Ok(ExitCode::FAILURE);
        }
        Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The names and namespaces of what was converted, and where it is from: two of one name would overwrite each other.
#[derive(Default)]
struct Twins(HashMap<(String, String), String>);

impl Twins {
    /// The outcome; refused where something that came before has the same name.
    fn refuse(&mut self, document: &Written, outcome: Outcome) -> Outcome {
        let Outcome::Converted(Converted { objects, .. }) = &outcome else { return outcome };
        let metadata = objects.first().map_or(&Value::Null, |object| &object["metadata"]);
        let place = format!("{}:{}", document.file.display(), document.line);
        match self.0.entry((metadata["namespace"].to_string(), metadata["name"].to_string())) {
            Entry::Occupied(first) => {
                let words = format!("Duplicate value: {}: {} has an object of this name already", metadata["name"], first.get());
                Outcome::Refused(Refusal::new("metadata.name", words))
            }
            Entry::Vacant(free) => {
                free.insert(place);
                outcome
            }
        }
    }
}

fn named(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

fn convert(document: &Written) -> Outcome {
    let (version, kind) = (document.value["apiVersion"].as_str(), document.value["kind"].as_str().unwrap_or_default());
    let group = version.and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
    let object = || Foreign::new(document.value.clone());
    let outcome = match (group, kind) {
        (kserve::GROUP, "InferenceService") => kserve::convert(object()),
        (seldon::GROUP, "Model") => seldon::convert(object()),
        (kserve::GROUP, kind) => return Outcome::Nothing(kserve::other(kind)),
        (seldon::GROUP, kind) => return Outcome::Nothing(seldon::other(kind)),
        ("machinelearning.seldon.io", _) => return Outcome::Nothing("Seldon Core 1 is not read: only Core 2's Model is"),
        _ => return Outcome::Other,
    };
    match outcome.and_then(|(objects, notes)| proved(Converted { objects, notes })) {
        Ok(converted) => Outcome::Converted(converted),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// What is printed passes `validate`: what would not is refused here, by the same words.
fn proved(converted: Converted) -> Result<Converted, Refusal> {
    let text = |value: &Value| serde_json::to_string(value).map_err(|error| Refusal::new("", error.to_string()));
    let faults = match converted.objects.first() {
        Some(object) => manifest::read_text(Path::new("converted"), &text(object)?).diagnostics,
        None => Vec::new(),
    };
    match faults.into_iter().next() {
        Some(fault) => Err(Refusal::new(format!("the ModelDeployment would have {}", fault.path), fault.message)),
        None => Ok(converted),
    }
}

/// The objects as documents, the first with the notes as comments.
fn yaml(document: &Written, converted: &Converted) -> anyhow::Result<String> {
    let mut text = format!("---\n# From {}.\n", named(&document.value));
    for note in &converted.notes {
        writeln!(text, "#   {}", note.to_string().replace(char::is_control, " "))?;
    }
    for (at, object) in converted.objects.iter().enumerate() {
        if at > 0 {
            text.push_str("---\n");
        }
        text.push_str(&serde_yaml::to_string(object)?);
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
