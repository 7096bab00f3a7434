//! Which engine computes a model: the one that was named, or else the one that runs it and runs it fastest.
//!
//! The engines within the server come first: they start quicker, need less memory and are of one process with the rest. ONNX Runtime
//! takes what they refuse, and what it runs at least a quarter faster, where its library is there.

use std::path::Path;
use std::time::{Duration, Instant};

use modelyard_core::api::{EngineName, Format};
use modelyard_wire::Tensor;
use serde::{Deserialize, Serialize};

use super::dense::Dense;
use super::ensemble::Trees;
use super::measure::{fault, one_row};
use super::onnx::file::File;
use super::onnxruntime::{self, OnnxRuntime};
use super::selfcheck::{self, Outcome};
use super::tract::Tract;
use super::{Engine, Facts, LoadError, RunError, Stop, formats};
use crate::signature::Signature;

/// How long either engine is measured at most.
const BUDGET: Duration = Duration::from_millis(100);

/// What is wanted of a model's engine.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which it is to be.
    pub name: EngineName,
    /// What the file is, where its first bytes are not to tell.
    pub format: Option<Format>,
    /// Threads that may run the model.
    pub threads: usize,
    /// Whether answers are compared before the model is taken in.
    pub self_check: bool,
    /// What another process has chosen already, that tried the same file: nothing is measured again.
    pub choice: Option<Choice>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { name: EngineName::Auto, format: None, threads: 1, self_check: true, choice: None }
    }
}

/// Which engine a model has, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// `Tract`, which stands for all within the server, or `OnnxRuntime`.
    pub engine: EngineName,
    /// Why, with what was measured; empty where there was no choice.
    pub reason: String,
}

/// A model in its engine.
pub struct Loaded {
    /// What runs it.
    pub engine: Box<dyn Engine>,
    /// Which engine that is, and why.
    pub choice: Choice,
    /// What came of comparing answers; empty where nothing was compared.
    pub checked: Vec<Outcome>,
}

impl Loaded {
    /// A model within the server.
    fn own(engine: impl Engine + 'static, checked: Vec<Outcome>) -> Self {
        Self { engine: Box::new(engine), choice: Choice { engine: EngineName::Tract, reason: String::new() }, checked }
    }

    /// A model of ONNX Runtime's.
    fn other(engine: OnnxRuntime, reason: String) -> Self {
        let model = Self {
            engine: Box::new(engine),
            choice: Choice { engine: EngineName::OnnxRuntime, reason: String::new() },
            checked: Vec::new(),
        };
        model.because(reason)
    }

    /// The same, with the reason in the model's facts.
    fn because(self, reason: String) -> Self {
        let facts = Facts { engine_reason: reason.clone(), ..self.engine.facts().clone() };
        Self { engine: Box::new(Chosen { engine: self.engine, facts }), choice: Choice { reason, ..self.choice }, ..self }
    }
}

/// Loads the model at `path` into the engine that is wanted.
///
/// # Errors
/// See [`LoadError`].
pub fn load(path: &Path, wanted: &Wanted) -> Result<Loaded, LoadError> {
    told(path, wanted).map_err(|error| formats::blame(error, path, wanted.format))
}

fn told(path: &Path, wanted: &Wanted) -> Result<Loaded, LoadError> {
    let began = Instant::now();
    if let Some(trees) = formats::booster(path, wanted.format)? {
        if wanted.name == EngineName::OnnxRuntime {
            let message = "ONNX Runtime reads .onnx files, and this is a booster's own; leave engine.name out, or convert it";
            return Err(LoadError::Unsupported(message.to_owned()));
        }
        return Ok(Loaded::own(trees, Vec::new()));
    }
    let file = File::read(path)?;
    let since = wanted.self_check.then_some(began);
    if let Some(Choice { engine, reason }) = &wanted.choice {
        return match engine {
            EngineName::OnnxRuntime => Ok(Loaded::other(OnnxRuntime::of(path, &file, wanted.threads)?, reason.clone())),
            _ if reason.is_empty() => within(file, since),
            _ => Ok(within(file, since)?.because(reason.clone())),
        };
    }
    match wanted.name {
        EngineName::Tract => within(file, since),
        EngineName::OnnxRuntime => {
            let engine = OnnxRuntime::of(path, &file, wanted.threads)?;
            Ok(Loaded::other(engine, "engine.name asks for it".to_owned()))
        }
        EngineName::Auto => by_itself(path, file, (wanted.threads, since)),
    }
}

/// Chains of fully connected layers and tree ensembles, which run in engines of our own.
fn of_our_own(file: &File) -> Result<Option<Loaded>, LoadError> {
    if let Some(dense) = Dense::of(file)? {
        return Ok(Some(Loaded::own(dense, Vec::new())));
    }
    Ok(Trees::of(file)?.map(|trees| Loaded::own(trees, Vec::new())))
}

/// The engines within the server: our own for what they take, tract for everything else. `since` when the model has been loading, if
/// its answers are to be compared.
fn within(file: File, since: Option<Instant>) -> Result<Loaded, LoadError> {
    match of_our_own(&file)? {
        Some(own) => Ok(own),
        None => in_tract(file, since),
    }
}

fn in_tract(file: File, since: Option<Instant>) -> Result<Loaded, LoadError> {
    let (model, checked) = Tract::of(file, since)?;
    Ok(Loaded::own(model, checked.into_iter().collect()))
}

/// What runs the model, and runs it fastest.
fn by_itself(path: &Path, file: File, (threads, since): (usize, Option<Instant>)) -> Result<Loaded, LoadError> {
    // Ours are made for what they take; for them the library is not even opened.
    let own = match of_our_own(&file) {
        Ok(Some(own)) => return Ok(own),
        Err(LoadError::Unsupported(reason)) => Err(reason),
        Err(error) => return Err(error),
        Ok(None) => Ok(()),
    };
    if let Some(absence) = onnxruntime::absence() {
        let own = own.map_err(LoadError::Unsupported).and_then(|()| in_tract(file, since));
        return own.map_err(|error| match error {
            LoadError::Unsupported(reason) => LoadError::Unsupported(format!("{reason}. ONNX Runtime may run it: {absence}")),
            other => other,
        });
    }
    // Before tract, which takes the file's weights as it goes.
    let other = OnnxRuntime::of(path, &file, threads);
    match own.map_err(LoadError::Unsupported).and_then(|()| in_tract(file, since)) {
        Ok(own) => beside(own, other, since),
        Err(LoadError::Unsupported(reason)) => instead(other, reason),
        Err(error) => Err(error),
    }
}

/// ONNX Runtime, for a model that the engines within refuse. If it refuses too, both say why.
fn instead(other: Result<OnnxRuntime, LoadError>, reason: String) -> Result<Loaded, LoadError> {
    match other {
        Ok(engine) => Ok(Loaded::other(engine, format!("the engines within the server do not run it: {reason}"))),
        Err(LoadError::Unsupported(other)) => Err(LoadError::Unsupported(both(&reason, &other))),
        Err(LoadError::Invalid(other)) => Err(LoadError::Invalid(both(&reason, &other))),
        Err(other) => Err(other),
    }
}

/// What both say of a model that neither runs.
fn both(reason: &str, other: &str) -> String {
    format!("{reason}; nor does the other engine: {other}")
}

/// The better one of tract and ONNX Runtime, once they agree.
fn beside(mut own: Loaded, other: Result<OnnxRuntime, LoadError>, since: Option<Instant>) -> Result<Loaded, LoadError> {
    let other = match other {
        Ok(other) => other,
        Err(error) => return Ok(own.because(format!("ONNX Runtime does not run it: {error}"))),
    };
    if let Some(since) = since {
        own.checked.push(selfcheck::engines(&*own.engine, &other, since)?);
    }
    let checked = std::mem::take(&mut own.checked);
    Ok(Loaded { checked, ..faster(own, other) })
}

/// The faster one of tract and ONNX Runtime; tract where there is little between them, or where one could not be tried.
fn faster(own: Loaded, other: OnnxRuntime) -> Loaded {
    let times = (one_row(&*own.engine, BUDGET), one_row(&other, BUDGET));
    let fault = if times.0.is_none() { fault(&*own.engine) } else { None };
    let (name, reason) = verdict(times, fault);
    if name == EngineName::OnnxRuntime { Loaded::other(other, reason) } else { own.because(reason) }
}

/// Which of the two it is to be, of what a row takes tract and ONNX Runtime, and of what tract itself fails of.
fn verdict(times: (Option<Duration>, Option<Duration>), fault: Option<String>) -> (EngineName, String) {
    match (times, fault) {
        ((Some(ours), Some(theirs)), _) => {
            let reason = format!("measured: a row takes tract {ours:?}, ONNX Runtime {theirs:?}");
            (if theirs + theirs / 4 < ours { EngineName::OnnxRuntime } else { EngineName::Tract }, reason)
        }
        ((None, Some(_)), Some(fault)) => {
            (EngineName::OnnxRuntime, format!("the engines within the server do not run it: {fault}"))
        }
        _ => (EngineName::Tract, "it could not be measured beside ONNX Runtime".to_owned()),
    }
}

/// An engine, and why it is this one.
struct Chosen {
    engine: Box<dyn Engine>,
    facts: Facts,
}

impl Engine for Chosen {
    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        self.engine.run(inputs, stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_that_runs_the_model_faster_is_taken() {
        let took = |micros: u64| Some(Duration::from_micros(micros));
        let fault = || Some("a scope is gone".to_owned());
        for (ours, theirs, found, engine) in [
            (took(100), took(81), None, EngineName::Tract),
            (took(100), took(79), None, EngineName::OnnxRuntime),
            (None, took(79), None, EngineName::Tract),
            (None, took(79), fault(), EngineName::OnnxRuntime),
            (None, None, fault(), EngineName::Tract),
        ] {
            let (name, reason) = verdict((ours, theirs), found.clone());
            assert_eq!(name, engine, "{ours:?} {theirs:?} {found:?}: {reason}");
        }
        assert!(verdict((None, took(1)), fault()).1.ends_with("a scope is gone"));
    }
}
