//! From an engine that is loaded to a model that may answer: its self-check told, its sample proved, its steps around it.

use std::path::PathBuf;
use std::sync::Arc;

use modelyard_core::server_config::ModelConfig;

use super::NotLoaded;
use crate::engine::selfcheck::Outcome;
use crate::engine::{self, Engine, sample};
use crate::infer::{Model, Scheduling};
use crate::metrics::ModelMetrics;
use crate::steps::{self, Around};

/// What came of a model's self-check, in the log.
pub(super) fn tell(model: &str, checked: &[Outcome]) {
    for outcome in checked {
        match outcome {
            Outcome::Alike { what, runs, micros } => {
                tracing::debug!(model, runs, microseconds = micros, "self-check: {what} answer alike");
            }
            Outcome::NoVerdict(reason) => tracing::debug!(model, reason, "self-check: no verdict"),
            Outcome::Skipped(reason) => tracing::info!(model, reason, "self-check: left out"),
            Outcome::Doubtful(what) => tracing::warn!(model, "self-check: {what}"),
        }
    }
}

/// Proves the model on its sample and measures it, by itself; then puts its steps around it.
pub(super) fn into_model(
    config: &ModelConfig,
    (engine, path): (Box<dyn Engine>, PathBuf),
    (scheduling, metrics): (&Scheduling, Arc<ModelMetrics>),
) -> Result<Arc<Model>, NotLoaded> {
    engine.signature().check_classes(config.classes.len()).map_err(NotLoaded::Classes)?;
    if let Some(folder) = path.parent()
        && let Some(proof) = sample::prove(&*engine, folder)?
    {
        tracing::info!(
            model = config.name,
            outputs = proof.outputs,
            nanoseconds = proof.nanos,
            "the model answers its sample as expected"
        );
    }
    let measured = engine::measure(&*engine);
    let classes = if config.classes.is_empty() { engine.facts().classes.clone() } else { config.classes.clone() };
    let around = Around { before: &config.preprocess, after: &config.postprocess, classes: &classes, folder: path.parent() };
    let engine = if around.is_empty() { engine } else { steps::wrap(engine, &around)? };
    Model::counting(config, engine, scheduling, (measured, metrics)).map_err(NotLoaded::Scheduling)
}
