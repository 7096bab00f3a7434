//! What makes a model smaller or faster: one file a step. The first five change no answer (batch normalisation but by rounding); the
//! others change weights, and whoever takes them measures what that costs.

mod batch_norm;
mod constants;
mod dead;
mod duplicates;
mod half;
mod identity;
mod int8;
mod prune;
mod weights;

use crate::proto::ModelProto;

/// One rewrite of a whole model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// `Constant` nodes become initializers.
    Constants,
    /// Nodes that give back their input go: `Identity`, and `Dropout` where nothing is trained.
    Identities,
    /// A batch normalisation after a convolution goes into its weights.
    BatchNorm,
    /// Equal initializers and equal nodes become one.
    Duplicates,
    /// What no output needs goes.
    Dead,
    /// The given fraction of each weight's values, the smallest, becomes zero.
    Prune(f64),
    /// Weights are kept as FP16 and cast to FP32.
    Half,
    /// Weights are kept as INT8, with a scale for each output channel.
    Int8,
}

impl Step {
    /// The steps that keep the answers, in their order.
    pub const EXACT: [Self; 5] = [Self::Constants, Self::Identities, Self::BatchNorm, Self::Duplicates, Self::Dead];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constants => "constants",
            Self::Identities => "identities",
            Self::BatchNorm => "batch-norm",
            Self::Duplicates => "duplicates",
            Self::Dead => "dead",
            Self::Prune(_) => "prune",
            Self::Half => "f16",
            Self::Int8 => "int8",
        }
    }

    /// Rewrites the model; how many nodes or tensors that changed.
    ///
    /// # Errors
    /// Why it cannot be done with this model.
    pub fn apply(self, model: &mut ModelProto) -> Result<usize, Refused> {
        let opset = model.opset();
        let Some(graph) = &mut model.graph else { return Ok(0) };
        match self {
            Self::Constants => Ok(constants::rewrite(graph)),
            Self::Identities => Ok(identity::rewrite(graph, opset)),
            Self::BatchNorm => Ok(batch_norm::rewrite(graph)),
            Self::Duplicates => Ok(duplicates::rewrite(graph)),
            Self::Dead => Ok(dead::rewrite(graph)),
            Self::Prune(fraction) => Ok(prune::rewrite(graph, fraction)),
            Self::Half => Ok(half::rewrite(graph)),
            Self::Int8 => int8::rewrite(graph, opset),
        }
    }
}

/// Why a step cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

#[cfg(test)]
mod tests;
