//! What makes a model smaller or faster: one file a step. The first seven change no answer (batch normalisation but by rounding); the
//! others change weights or how they are computed with, and whoever takes them measures what that costs.

mod batch_norm;
mod channels;
mod constants;
mod dead;
mod duplicates;
mod flow;
mod fold;
mod half;
mod heads;
mod identity;
mod int8;
mod prune;
mod quantise;
mod tables;
mod trees;
mod weights;

pub use heads::{Attention, Heads, Mask, attentions, masked};
pub use quantise::{Ranges, activations, watched};

use crate::proto::{ModelProto, TensorProto};
use crate::store::Store;
use tables::Form;

/// One rewrite of a whole model.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `Constant` nodes become initializers.
    Constants,
    /// What depends on constants alone is computed.
    Fold,
    /// Nodes that give back their input go: `Identity`, and `Dropout` where nothing is trained.
    Identities,
    /// A batch normalisation after a convolution goes into its weights.
    BatchNorm,
    /// Equal initializers and equal nodes become one.
    Duplicates,
    /// What no output needs goes.
    Dead,
    /// Of tree ensembles: ways that no row takes, questions whose answers lead to the same, equal trees where sums are exact.
    Trees,
    /// Heads of attention go, with all weights that make or read them.
    Heads(Heads),
    /// The given fraction of each layer's channels goes, with all weights that make or read them.
    Channels(f64),
    /// The given fraction of each weight's values, the smallest, becomes zero.
    Prune(f64),
    /// Leaves of tree ensembles are rounded to what so many bits hold, in steps of a power of two.
    Leaves(u32),
    /// Weights and tables are kept as FP16 and cast to FP32.
    Half,
    /// Weights are kept as INT8, with a scale for each output channel, and tables with one for each row.
    Int8,
    /// Matrix products are computed in INT8: weights with a scale for each output channel, activations with one for each run.
    /// Tables as for [`Step::Int8`].
    Dynamic,
    /// Matrix products and convolutions are given INT8 on both sides, with the ranges of activations that are given.
    Static(Ranges),
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Nodes, tensors, channels or leaves, whichever it is about.
    pub count: usize,
    /// What else is to be said of it; may be empty.
    pub note: String,
}

impl Step {
    /// The steps that keep the answers, in their order.
    pub const EXACT: [Self; 7] =
        [Self::Constants, Self::Fold, Self::Identities, Self::BatchNorm, Self::Duplicates, Self::Dead, Self::Trees];

    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Constants => "constants",
            Self::Fold => "fold",
            Self::Identities => "identities",
            Self::BatchNorm => "batch-norm",
            Self::Duplicates => "duplicates",
            Self::Dead => "dead",
            Self::Trees => "trees",
            Self::Heads(_) => "heads",
            Self::Channels(_) => "channels",
            Self::Prune(_) => "prune",
            Self::Leaves(_) => "leaves",
            Self::Half => "f16",
            Self::Int8 => "int8",
            Self::Dynamic => "dynamic",
            Self::Static(_) => "static",
        }
    }

    /// What it looks for, for whom it finds none.
    #[must_use]
    pub const fn looks_for(&self) -> &'static str {
        match self {
            Self::Channels(_) => {
                "MatMul, Gemm or Conv with FP32 weights of its own, followed by nothing but activations, normalisations and pools until \
                 other such nodes read all of it"
            }
            Self::Heads(_) => {
                "attention of several heads: a product of a Softmax with values that a Reshape divides into heads, between FP32 weights, or \
                 one of the operators Attention and MultiHeadAttention"
            }
            Self::Leaves(_) => "TreeEnsembleClassifier, TreeEnsembleRegressor or TreeEnsemble",
            Self::Dynamic => {
                "MatMul or Gemm with FP32 weights of 256 values or more and two dimensions; FP32 tables of 16384 values or more, in Gather"
            }
            Self::Prune(_) | Self::Static(_) => "FP32 weights of 256 values or more, in MatMul, Gemm or Conv",
            _ => "FP32 weights of 256 values or more, in MatMul, Gemm or Conv; FP32 tables of 16384 values or more, in Gather",
        }
    }

    /// Rewrites the model; what large contents it makes go to the store.
    ///
    /// # Errors
    /// Why it cannot be done with this model.
    pub fn apply(&self, model: &mut ModelProto, store: &mut Store) -> Result<Change, Refused> {
        let opset = model.opset();
        let Some(graph) = &mut model.graph else { return Ok(Change::default()) };
        let mut note = String::new();
        let count = match self {
            Self::Constants => constants::rewrite(graph),
            Self::Fold => fold::rewrite(graph, opset, store)?,
            Self::Identities => identity::rewrite(graph, opset),
            Self::BatchNorm => batch_norm::rewrite(graph, store)?,
            Self::Duplicates => duplicates::rewrite(graph)?,
            Self::Dead => dead::rewrite(graph),
            Self::Trees => trees::merge(graph),
            Self::Heads(plan) => return heads::rewrite(graph, opset, plan, store),
            Self::Channels(share) => channels::rewrite(graph, *share, store)?,
            Self::Prune(fraction) => prune::rewrite(graph, *fraction, store)?,
            Self::Leaves(bits) => trees::round(graph, *bits).map_or(0, |rounded| {
                note = format!("the trees' sums move by at most {:.3e}", rounded.most);
                rounded.changed
            }),
            Self::Half => half::rewrite(graph, store)? + tables::rewrite(graph, Form::Half, store)?,
            Self::Int8 => int8::rewrite(graph, opset, store)? + tables::rewrite(graph, Form::Int8, store)?,
            Self::Dynamic => quantise::dynamic(graph, opset, store)? + tables::rewrite(graph, Form::Int8, store)?,
            Self::Static(ranges) => quantise::fixed(graph, opset, (ranges, store))?,
        };
        Ok(Change { count, note })
    }
}

/// Why a step cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// A tensor whose content cannot be had any more.
fn lost(tensor: &TensorProto, error: &std::io::Error) -> Refused {
    Refused(format!("the content of tensor '{}' cannot be read: {error}", tensor.name()))
}

/// The store has no room.
fn full(error: &std::io::Error) -> Refused {
    Refused(format!("no room for weights: {error}"))
}

#[cfg(test)]
mod tests;
