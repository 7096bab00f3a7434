//! What the sums of a row mean: numbers as they are or transformed, or the scores of classes and the best of them.
//!
//! ONNX leaves much of this open, above all for two classes with one column of weights; where it does, ONNX Runtime's answers,
//! measured, are the rule.

use super::real::Real;
use super::walk::Sums;
use crate::engine::transform::{Transform, logistic};

/// How a row's sums become its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Finish {
    /// Numbers. A single one is transformed by [`Transform::Probit`] alone, as ONNX Runtime does.
    Values(Transform),
    /// Numbers, transformed however many there are.
    Linked(Transform),
    /// Scores of classes, and the index of the best.
    Classes(Columns, Transform),
}

/// Which classes the sums are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Columns {
    /// One sum for each class.
    Each,
    /// Two classes, and one sum that decides between them.
    Deciding {
        /// No weight is negative: the sum is the second class's probability, otherwise its margin.
        positive: bool,
    },
    /// Two classes, and the sum is the second one's alone.
    SecondOnly {
        /// As in `Deciding`.
        positive: bool,
    },
}

impl Finish {
    /// Values of a row's answer, of `targets` sums.
    pub(in crate::engine) const fn width(self, targets: usize) -> usize {
        match self {
            Self::Values(_) | Self::Linked(_) | Self::Classes(Columns::Each, _) => targets,
            Self::Classes(..) => 2,
        }
    }

    /// Whether there is a best class.
    pub(super) const fn classifies(self) -> bool {
        matches!(self, Self::Classes(..))
    }

    /// Adds a row's answer to `scores`; the index of the best class.
    pub(super) fn row<T: Real>(self, sums: Sums<'_, T>, scores: &mut Vec<T>) -> usize {
        let (columns, transform) = match self {
            Self::Values(transform) | Self::Classes(Columns::Each, transform)
                if sums.values.len() == 1 && transform != Transform::Probit =>
            {
                scores.push(sums.values[0]);
                return 0;
            }
            Self::Values(transform) | Self::Linked(transform) => {
                transform.apply(sums.values);
                scores.extend_from_slice(sums.values);
                return 0;
            }
            Self::Classes(columns, transform) => (columns, transform),
        };
        let sum = sums.values[0];
        match columns {
            Columns::Each => {
                let best = best(&sums);
                transform.apply(sums.values);
                scores.extend_from_slice(sums.values);
                best
            }
            Columns::Deciding { positive } => {
                let first = if positive { T::ONE - sum } else { -sum };
                let linked = transform == Transform::Logistic;
                scores.extend(if linked { [logistic(-sum), logistic(sum)] } else { [first, sum] });
                usize::from(is_second(sum, positive))
            }
            Columns::SecondOnly { positive } => {
                let mut pair = [T::default(), sum];
                transform.apply(&mut pair);
                scores.extend(pair);
                usize::from(is_second(sum, positive))
            }
        }
    }
}

fn is_second<T: Real>(sum: T, positive: bool) -> bool {
    sum > if positive { T::HALF } else { T::default() }
}

/// The first of the greatest, among those that a leaf gave to.
fn best<T: Real>(sums: &Sums<'_, T>) -> usize {
    let scored = |at: &usize| sums.scored.get(*at) != Some(&false);
    let best =
        (0..sums.values.len()).filter(scored).reduce(|best, at| if sums.values[at] > sums.values[best] { at } else { best });
    best.unwrap_or(0)
}
