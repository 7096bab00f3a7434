//! What the sums of a row mean: numbers as they are or transformed, or the scores of classes and the best of them.
//!
//! ONNX leaves much of this open, above all for two classes with one column of weights; where it does, ONNX Runtime's answers,
//! measured, are the rule.

use super::real::Real;
use super::walk::Sums;

/// What is done to the sums of a row, as ONNX names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) enum Transform {
    #[default]
    None,
    /// `e^(x - max) / sum`.
    Softmax,
    /// `1 / (1 + e^-x)`.
    Logistic,
    /// Softmax over what is not zero; zeros stay.
    SoftmaxZero,
    /// The inverse of the normal distribution.
    Probit,
    /// `e^x`.
    Exponential,
}

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

/// What is near enough to zero for [`Transform::SoftmaxZero`].
const NEAR_ZERO: f64 = 1e-7;

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
                let logistic = transform == Transform::Logistic;
                scores.extend(if logistic { [logistic_of(-sum), logistic_of(sum)] } else { [first, sum] });
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

impl Transform {
    fn apply<T: Real>(self, row: &mut [T]) {
        match self {
            Self::None => {}
            Self::Softmax => softmax(row),
            Self::Logistic => row.iter_mut().for_each(|x| *x = logistic_of(*x)),
            Self::SoftmaxZero => softmax_zero(row),
            Self::Exponential => row.iter_mut().for_each(|x| *x = x.exp()),
            Self::Probit => row.iter_mut().for_each(|x| *x = probit_of(*x)),
        }
    }
}

fn greatest<T: Real>(row: &[T]) -> T {
    row.iter().fold(-T::INFINITY, |most, x| if *x > most { *x } else { most })
}

fn softmax<T: Real>(row: &mut [T]) {
    let most = greatest(row);
    let mut sum = T::default();
    for x in row.iter_mut() {
        *x = (*x - most).exp();
        sum = sum + *x;
    }
    row.iter_mut().for_each(|x| *x = *x / sum);
}

fn softmax_zero<T: Real>(row: &mut [T]) {
    let most = greatest(row);
    let mut sum = T::default();
    for x in row.iter_mut() {
        if x.abs() > T::of(NEAR_ZERO) {
            *x = (*x - most).exp();
            sum = sum + *x;
        } else {
            *x = T::default();
        }
    }
    if sum > T::default() {
        row.iter_mut().for_each(|x| *x = *x / sum);
    }
}

/// Taken of the size, so that no exponential overflows.
fn logistic_of<T: Real>(x: T) -> T {
    let v = T::ONE / (T::ONE + (-x.abs()).exp());
    if x < T::default() { T::ONE - v } else { v }
}

/// `sqrt(2) erfinv(2 x - 1)`, with Winitzki's approximation of the inverse error function (a = 0.147), as ONNX Runtime has it.
fn probit_of<T: Real>(x: T) -> T {
    const A: f64 = 0.147;
    let y = x + x - T::ONE;
    let log = ((T::ONE - y).times(T::ONE + y)).ln();
    let half = T::of(2.0 / (std::f64::consts::PI * A)) + log / T::of(2.0);
    let root = ((half.times(half) - log / T::of(A)).sqrt() - half).sqrt();
    let erf = if y < T::default() { -root } else { root };
    erf.times(T::of(std::f64::consts::SQRT_2))
}
