//! Which engine computes a model: the one that was named, or else the one that runs it and runs it fastest.
//!
//! The engines within the server come first: they start quicker, need less memory and are of one process with the rest. ONNX Runtime
//! takes what they refuse, and what it runs at least a quarter faster, where its library is there.

use std::path::Path;
use std::time::Duration;

use modelyard_core::api::EngineName;
use modelyard_wire::Tensor;

use super::measure::one_row;
use super::onnx::file::File;
use super::onnxruntime::{self, OnnxRuntime};
use super::{Engine, Facts, LoadError, RunError, Stop, native, within};
use crate::signature::Signature;

/// How long either engine is measured at most.
const BUDGET: Duration = Duration::from_millis(100);

/// What is wanted of a model's engine.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Which it is to be.
    pub name: EngineName,
    /// Threads that may run the model.
    pub threads: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { name: EngineName::Auto, threads: 1 }
    }
}

/// Loads the model at `path` into the engine that is wanted.
///
/// # Errors
/// See [`LoadError`].
pub fn load(path: &Path, wanted: Wanted) -> Result<Box<dyn Engine>, LoadError> {
    if let Some(trees) = native(path)? {
        if wanted.name == EngineName::OnnxRuntime {
            let message = "ONNX Runtime reads .onnx files, and this is a booster's own; leave engine.name out, or convert it";
            return Err(LoadError::Unsupported(message.to_owned()));
        }
        return Ok(Box::new(trees));
    }
    match wanted.name {
        EngineName::Tract => within(File::read(path)?),
        EngineName::OnnxRuntime => {
            let engine = OnnxRuntime::of(path, &File::read(path)?, wanted.threads)?;
            Ok(chosen(Box::new(engine), "engine.name asks for it".to_owned()))
        }
        EngineName::Auto => by_itself(path, wanted.threads),
    }
}

/// What runs the model, and runs it fastest.
fn by_itself(path: &Path, threads: usize) -> Result<Box<dyn Engine>, LoadError> {
    let own = match within(File::read(path)?) {
        Err(LoadError::Unsupported(reason)) => {
            return match onnxruntime::absence() {
                Some(absence) => Err(LoadError::Unsupported(format!("{reason}. ONNX Runtime may run it: {absence}"))),
                None => instead(path, threads, reason),
            };
        }
        own => own?,
    };
    // Ours are made for what they take; for them the library is not even opened.
    if own.facts().engine != "Tract" || onnxruntime::absence().is_some() {
        return Ok(own);
    }
    match OnnxRuntime::of(path, &File::read(path)?, threads) {
        Ok(other) => Ok(faster(own, Box::new(other))),
        Err(error) => Ok(chosen(own, format!("ONNX Runtime does not run it: {error}"))),
    }
}

/// ONNX Runtime, for a model that the engines within refuse. If it refuses too, both say why.
fn instead(path: &Path, threads: usize, reason: String) -> Result<Box<dyn Engine>, LoadError> {
    match OnnxRuntime::of(path, &File::read(path)?, threads) {
        Ok(engine) => Ok(chosen(Box::new(engine), format!("the engines within the server do not run it: {reason}"))),
        Err(LoadError::Unsupported(other)) => {
            Err(LoadError::Unsupported(format!("{reason}; nor does the other engine: {other}")))
        }
        Err(other) => Err(other),
    }
}

/// The faster one of tract and ONNX Runtime; tract where there is little between them, or where one could not be tried.
fn faster(own: Box<dyn Engine>, other: Box<dyn Engine>) -> Box<dyn Engine> {
    let (Some(ours), Some(theirs)) = (one_row(&*own, BUDGET), one_row(&*other, BUDGET)) else {
        return chosen(own, "it could not be measured beside ONNX Runtime".to_owned());
    };
    let reason = format!("measured: a row takes tract {ours:?}, ONNX Runtime {theirs:?}");
    if theirs + theirs / 4 < ours { chosen(other, reason) } else { chosen(own, reason) }
}

/// An engine, and why it is this one.
struct Chosen {
    engine: Box<dyn Engine>,
    facts: Facts,
}

fn chosen(engine: Box<dyn Engine>, engine_reason: String) -> Box<dyn Engine> {
    let facts = Facts { engine_reason, ..engine.facts().clone() };
    Box::new(Chosen { engine, facts })
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
