//! The model as it is, and after each step that was asked for.

use std::path::Path;

use anyhow::{Context, bail};
use modelyard_onnx::proto::ModelProto;
use modelyard_onnx::rewrite::{Heads, Step};
use modelyard_onnx::store::Store;

use super::trial::Trial;
use super::{Quantize, Weights, heads, ranges};
use crate::cli::onnx_file;

/// A model after a rewrite. What is large of it lies in files.
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) changed: usize,
    /// What else is to be said of the step; may be empty.
    pub(super) note: String,
    pub(super) model: ModelProto,
}

/// What was asked for beyond what is always done.
pub(super) struct Asked {
    pub(super) heads: Option<f64>,
    pub(super) channels: Option<f64>,
    pub(super) prune: Option<f64>,
    pub(super) leaves: Option<u32>,
    pub(super) weights: Weights,
    pub(super) quantize: Option<Quantize>,
    /// Of activations' values, how many percent a range holds.
    pub(super) percentile: f64,
}

/// Reads the model and takes the steps. A trial is there where there is data.
pub(super) fn make(path: &Path, asked: &Asked, (store, trial): (&mut Store, Option<&Trial<'_>>)) -> anyhow::Result<Vec<Variant>> {
    onnx_file::expect(path)?;
    let mut model = modelyard_onnx::read(path)?;
    let mut variants = vec![Variant { name: "original", changed: 0, note: String::new(), model: model.clone() }];
    let mut changed = 0;
    for step in Step::EXACT {
        changed += step.apply(&mut model, store)?.count;
    }
    variants.push(Variant { name: "clean", changed, note: String::new(), model: model.clone() });
    if let Some(share) = asked.heads {
        let losses = trial.map(|trial| heads::losses(&model, trial)).transpose()?.unwrap_or_default();
        variants.push(take(&Step::Heads(Heads { share, losses }), &mut model, store)?);
    }
    for step in before(asked) {
        variants.push(take(&step, &mut model, store)?);
    }
    let last = match (asked.quantize, trial) {
        (Some(Quantize::Dynamic), _) => Some(Step::Dynamic),
        (Some(Quantize::Static), Some(trial)) => Some(Step::Static(ranges::find(&model, trial, asked.percentile)?)),
        _ => None,
    };
    if let Some(step) = last {
        variants.push(take(&step, &mut model, store)?);
    }
    Ok(variants)
}

/// The steps that look at the model alone.
fn before(asked: &Asked) -> Vec<Step> {
    let weights = match asked.weights {
        Weights::F32 => None,
        Weights::F16 => Some(Step::Half),
        Weights::Int8 => Some(Step::Int8),
    };
    let pruned = asked.channels.map(Step::Channels).into_iter().chain(asked.prune.map(Step::Prune));
    pruned.chain(asked.leaves.map(Step::Leaves)).chain(weights).collect()
}

fn take(step: &Step, model: &mut ModelProto, store: &mut Store) -> anyhow::Result<Variant> {
    let change = step.apply(model, store).with_context(|| format!("{} is not possible", step.name()))?;
    // Leaves may be what so many bits hold already; what is looked for is there then.
    if change.count == 0 && change.note.is_empty() {
        bail!("{}: the model has none of what it applies to: {}", step.name(), step.looks_for());
    }
    Ok(Variant { name: step.name(), changed: change.count, note: change.note, model: model.clone() })
}
