//! YAML files to deployments that can be served, or to messages that say where and what to mend. The same reading for every
//! command that takes a file, so that what `validate` passes is what runs.

mod check;
mod diagnostic;
mod rules;
mod source;
mod typed;
mod words;
mod yaml;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use modelyard_core::api::ModelDeployment;
use modelyard_core::resolve::Resolved;
use serde_json::Value;

pub use diagnostic::{Diagnostic, Position, Severity};

/// What a set of files says.
#[derive(Debug, Default)]
pub struct Reading {
    /// The deployments without fault, in the order of the files.
    pub manifests: Vec<Manifest>,
    /// Everything that is wrong, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// What was left out on purpose: documents of other kinds, files without any.
    pub notes: Vec<Diagnostic>,
}

/// One deployment without fault.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The file that it stands in; `-` for standard input.
    pub file: PathBuf,
    /// The line on which it starts, from 1.
    pub line: usize,
    /// The object, defaults filled in, `file:` paths as they are written.
    pub deployment: ModelDeployment,
    /// What it resolves to, likewise.
    pub resolved: Resolved,
    /// The object as it is written, without defaults.
    pub written: Value,
    /// What may be served as it is, but is likely to hurt on a cluster.
    pub warnings: Vec<Diagnostic>,
}

/// A document of any kind, as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The file that it stands in; `-` for standard input.
    pub file: PathBuf,
    /// The line on which it starts, from 1.
    pub line: usize,
    /// What it says.
    pub value: Value,
}

impl Manifest {
    /// The object with relative `file:` paths made to start at the folder of its file, as local mode promises.
    ///
    /// The path is part of the revision's name, so resolve this object, not the one in the file, where a server is to be started.
    /// Only paths are joined; nothing is looked up. Of standard input, and of a file named without a folder, paths start at the
    /// working directory and stay as they are.
    #[must_use]
    pub fn anchored(&self) -> ModelDeployment {
        let mut deployment = self.deployment.clone();
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            let spec = &mut deployment.spec;
            let one = spec.model.iter_mut().map(|model| &mut model.artefact);
            for artefact in one.chain(spec.models.iter_mut().map(|model| &mut model.artefact)) {
                if let Some(path) = artefact.uri.strip_prefix("file:").filter(|path| !path.starts_with('/')) {
                    artefact.uri = format!("file:{}", folder.join(path).display());
                }
            }
        }
        deployment
    }
}

/// Reads files, folders (their `.yaml`, `.yml` and `.json` files, by name, not those of folders below) and `-` for standard input.
/// Whatever is wrong is in the reading, a file that cannot be read included. A folder's `.json` that is no manifest is skipped with
/// a note: requests and data lie beside manifests.
#[must_use]
pub fn read(paths: &[PathBuf]) -> Reading {
    let mut reading = Reading::default();
    for path in paths {
        match source::files(path) {
            Ok(files) if files.is_empty() => {
                reading.notes.push(Diagnostic::of_file(path, "no .yaml, .yml or .json file in this folder"));
            }
            Ok(files) => files.iter().for_each(|file| read_file(file, file != path, &mut reading)),
            Err(error) => reading.diagnostics.push(Diagnostic::of_file(path, &format!("cannot be read: {error}"))),
        }
    }
    refuse_twins(&mut reading);
    reading
}

/// Reads a text as if it stood in a file.
#[must_use]
pub fn read_text(file: &Path, text: &str) -> Reading {
    let mut reading = Reading::default();
    check::text(file, text, false, &mut reading);
    refuse_twins(&mut reading);
    reading
}

/// Reads the documents of files, whatever kind they are of, the items of a `List` each by itself; and what cannot be read.
#[must_use]
pub fn documents(paths: &[PathBuf]) -> (Vec<Written>, Vec<Diagnostic>) {
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        match source::files(path) {
            Ok(files) => files.iter().for_each(|file| match source::text(file) {
                Ok(text) => check::every(file, &text, &mut found, &mut faults),
                Err(error) => faults.push(Diagnostic::of_file(file, &format!("cannot be read: {error}"))),
            }),
            Err(error) => faults.push(Diagnostic::of_file(path, &format!("cannot be read: {error}"))),
        }
    }
    (found, faults)
}

fn read_file(file: &Path, listed: bool, reading: &mut Reading) {
    match source::text(file) {
        Ok(text) => check::text(file, &text, listed, reading),
        Err(error) => reading.diagnostics.push(Diagnostic::of_file(file, &format!("cannot be read: {error}"))),
    }
}

/// Two objects of one name would overwrite each other.
fn refuse_twins(reading: &mut Reading) {
    let mut seen: HashMap<(Option<String>, String), (PathBuf, usize)> = HashMap::new();
    let mut twins = Vec::new();
    for manifest in &reading.manifests {
        let name = manifest.resolved.name.clone();
        let place = (manifest.file.clone(), manifest.line);
        let (file, line) = seen.entry((manifest.resolved.namespace.clone(), name.clone())).or_insert_with(|| place.clone());
        if (&*file, *line) != (&place.0, place.1) {
            let message =
                format!("Duplicate value: {name:?}: {}:{line} defines a ModelDeployment of this name already", file.display());
            twins.push(Diagnostic {
                position: Some(Position { line: manifest.line, column: 1, length: 1 }),
                object: Some(format!("ModelDeployment/{name}")),
                path: "metadata.name".to_owned(),
                ..Diagnostic::of_file(&manifest.file, &message)
            });
        }
    }
    reading.diagnostics.extend(twins);
}

#[cfg(test)]
mod tests;
