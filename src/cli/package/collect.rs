//! What belongs to a model, by the names that it gets in the package.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{Arguments, card, steps};
use crate::cli::inspect::Report;

/// What becomes a file of the package.
#[derive(Debug)]
pub(super) enum Part {
    /// A copy of a file.
    File(PathBuf),
    /// What was written for it.
    Text(String),
}

/// The files of a package by their names, and what to say of them.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) parts: BTreeMap<String, Part>,
    pub(super) notes: Vec<String>,
}

/// Files that are taken as they are called, where they are there.
const LICENCES: [&str; 5] = ["LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "NOTICE"];

const SAMPLE: &str = "sample.json";
const CARD: &str = "README.md";
const STEPS: &str = "steps.yaml";

/// Names of a folder that are told in a note at most.
const TOLD: usize = 8;

/// The model's file as a server finds it in a folder.
pub(super) fn model_name(report: &Report) -> &'static str {
    match report.facts.as_ref().map_or("", |facts| facts.platform.as_str()) {
        "xgboost_json" | "catboost_json" => "model.json",
        "xgboost_ubj" => "model.ubj",
        "lightgbm_text" => "model.txt",
        _ => "model.onnx",
    }
}

pub(super) fn collect(arguments: &Arguments, report: &Report) -> anyhow::Result<Collected> {
    let model = PathBuf::from(&report.file);
    let beside = model.parent().unwrap_or(Path::new("")).to_owned();
    let mut places = vec![beside.clone()];
    if arguments.what.is_dir() && arguments.what != beside {
        places.push(arguments.what.clone());
    }
    let mut collected = Collected::default();
    let name = model_name(report);
    collected.parts.insert(name.to_owned(), Part::File(model.clone()));
    if name == "model.onnx" {
        for file in modelyard_onnx::external_files(&model)? {
            let inside = file.to_str().with_context(|| format!("{} is not UTF-8", file.display()))?.to_owned();
            collected.add(inside, Part::File(beside.join(&file)))?;
        }
    }
    // A sample counts where the server looks for it; one that lies elsewhere is named.
    match arguments.sample.clone().or_else(|| there(&places[..1], SAMPLE)) {
        Some(file) => collected.add(SAMPLE.to_owned(), Part::File(file))?,
        None => collected.note("no sample.json: no server can prove that its answers are right (docs/models.md, The sample)"),
    }
    for licence in LICENCES {
        if let Some(file) = there(&places, licence) {
            collected.add(licence.to_owned(), Part::File(file))?;
        }
    }
    if let Some(file) = arguments.steps.clone().or_else(|| there(&places, STEPS)) {
        steps::check(&file)?;
        collected.add(STEPS.to_owned(), Part::File(file))?;
        collected.note("servers do not read steps.yaml: write what it says under spec.model");
    }
    match arguments.card.clone().or_else(|| there(&places, CARD)) {
        Some(file) => collected.add(CARD.to_owned(), Part::File(file))?,
        None => {
            let title = title(&arguments.output);
            collected.add(CARD.to_owned(), Part::Text(card::of(&title, report)))?;
            collected
                .note("no README.md: one was written of what the model says itself; add what it is for, its data and its limits");
        }
    }
    if arguments.what.is_dir() {
        collected.left_out(&places)?;
    }
    Ok(collected)
}

impl Collected {
    fn note(&mut self, words: &str) {
        self.notes.push(words.to_owned());
    }

    /// Two files of one name would overwrite each other.
    fn add(&mut self, name: String, part: Part) -> anyhow::Result<()> {
        if let Part::File(path) = &part
            && !path.is_file()
        {
            bail!("{name}: no file {}", path.display());
        }
        if self.parts.contains_key(&name) {
            bail!("two files would be {name} in the package: a file that the model keeps tensors in has to be called otherwise");
        }
        self.parts.insert(name, part);
        Ok(())
    }

    /// Tells what lies there and does not come along.
    fn left_out(&mut self, places: &[PathBuf]) -> anyhow::Result<()> {
        let mut others = Vec::new();
        for place in places {
            let entries = std::fs::read_dir(place).with_context(|| format!("cannot list {}", place.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("cannot list {}", place.display()))?;
                let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                let taken = self.parts.values().any(|part| matches!(part, Part::File(from) if *from == path));
                // Folders on the way to the model.
                let leads = places.iter().any(|other| other.starts_with(&path));
                if !name.starts_with('.') && !taken && !leads {
                    others.push(name);
                }
            }
        }
        others.sort();
        if !others.is_empty() {
            let more = others.len().saturating_sub(TOLD);
            let listed = others.into_iter().take(TOLD).collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.notes.push(format!("left out: {listed}{more}"));
        }
        Ok(())
    }
}

fn there(places: &[PathBuf], name: &str) -> Option<PathBuf> {
    places.iter().map(|place| place.join(name)).find(|path| path.is_file())
}

/// What the model is called in its card.
fn title(output: &Path) -> String {
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bare = name.strip_suffix(".tar.gz").or_else(|| name.strip_suffix(".tgz")).unwrap_or(&name);
    bare.to_owned()
}
