//! What classifiers have in common: the labels, and what is done to the scores.

use tract_onnx::tract_hir::internal::*;

use super::numbers::tensor;
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::labels::Labels;
use crate::engine::transform::Transform;

impl Labels {
    /// Reads `ints` or `texts`, exactly one of which must be given.
    pub(super) fn read(attributes: &Attributes<'_>, ints: &'static str, texts: &'static str) -> Result<Self, Wrong> {
        let labels = match attributes.one_of(&[ints, texts])? {
            Some(name) if name == ints => Self::Ints(attributes.ints(ints)?.to_vec()),
            Some(_) => Self::Texts(attributes.texts(texts)?),
            None => return Err(format!("neither {ints} nor {texts} is given; expected one of them")),
        };
        if labels.len() == 0 {
            return Err(format!("the list of labels ({ints} or {texts}) is empty"));
        }
        Ok(labels)
    }

    /// The datatype of a label.
    pub(super) fn kind(&self) -> DatumType {
        match self {
            Self::Ints(_) => i64::datum_type(),
            Self::Texts(_) => String::datum_type(),
        }
    }

    /// The labels of these classes, in a tensor of one dimension.
    pub(super) fn of(&self, classes: &[usize]) -> TractResult<Tensor> {
        match self {
            Self::Ints(all) => tensor(&[classes.len()], classes.iter().map(|class| all[*class]).collect()),
            Self::Texts(all) => tensor(&[classes.len()], classes.iter().map(|class| all[*class].clone()).collect()),
        }
    }
}

/// Reads `post_transform`.
pub(super) fn transform(attributes: &Attributes<'_>) -> Result<Transform, Wrong> {
    let name = attributes.text("post_transform", "NONE")?;
    let expected = "NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO or PROBIT";
    Transform::named(name).ok_or_else(|| format!("attribute post_transform is '{name}'; expected {expected}"))
}

/// The first of the greatest. What is not a number is never greater.
pub(super) fn greatest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (at, score) in scores.iter().enumerate().skip(1) {
        if *score > scores[best] {
            best = at;
        }
    }
    best
}
