//! What classifiers have in common: the labels, and what is done to the scores.

use tract_onnx::tract_hir::internal::*;

use super::attributes::{Attributes, Wrong};
use super::numbers::tensor;

/// The classes' names.
#[derive(Debug)]
pub(super) enum Labels {
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

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

    /// How many classes there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ints(all) => all.len(),
            Self::Texts(all) => all.len(),
        }
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

/// What is done to scores before they leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PostTransform {
    None,
    Logistic,
    Softmax,
    SoftmaxZero,
    Probit,
}

impl PostTransform {
    /// Reads `post_transform`.
    pub(super) fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        Ok(match attributes.text("post_transform", "NONE")? {
            "NONE" => Self::None,
            "LOGISTIC" => Self::Logistic,
            "SOFTMAX" => Self::Softmax,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            "PROBIT" => Self::Probit,
            other => {
                let expected = "NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO or PROBIT";
                return Err(format!("attribute post_transform is '{other}'; expected {expected}"));
            }
        })
    }

    /// Transforms the scores of one row, which has at least two.
    pub(super) fn apply(self, scores: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => scores.iter_mut().for_each(|score| *score = logistic(*score)),
            Self::Softmax => softmax(scores),
            Self::SoftmaxZero => softmax_zero(scores),
            Self::Probit => scores.iter_mut().for_each(|score| *score = probit(*score)),
        }
    }
}

/// `1 / (1 + e^-x)`, without overflow.
pub(super) fn logistic(x: f32) -> f32 {
    let tail = 1.0 / (1.0 + (-x.abs()).exp());
    if x < 0.0 { 1.0 - tail } else { tail }
}

fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - most).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// Softmax that leaves scores of zero out.
fn softmax_zero(scores: &mut [f32]) {
    const ZERO: f32 = 1e-7;
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        if score.abs() > ZERO {
            *score = (*score - most).exp();
            sum += *score;
        } else {
            *score *= (-most).exp();
        }
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// The quantile function of the normal distribution, by Winitzki's approximation of the inverse error function ("A handy
/// approximation for the error function and its inverse", 2008), as ONNX Runtime has it: its error is up to 2e-3 relative.
fn probit(p: f32) -> f32 {
    const A: f32 = 0.147;
    let x = 2.0 * p - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let half = 2.0 / (std::f32::consts::PI * A) + 0.5 * log;
    let root = (-half + (half * half - log / A).sqrt()).sqrt();
    std::f32::consts::SQRT_2 * if x < 0.0 { -root } else { root }
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
