//! What is done to a model's scores before they leave, as ONNX names it. Models of all kinds end so, whatever engine runs them.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// FP32 or FP64, each computed with in its own precision.
pub(super) trait Float:
    Copy
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    const ONE: Self;
    const INFINITY: Self;
    /// Nearest to `value`.
    fn of(value: f64) -> Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
}

macro_rules! float {
    ($number:ty) => {
        impl Float for $number {
            const ONE: Self = 1.0;
            const INFINITY: Self = Self::INFINITY;
            #[inline(always)]
            fn of(value: f64) -> Self {
                value as Self
            }
            fn exp(self) -> Self {
                Self::exp(self)
            }
            fn ln(self) -> Self {
                Self::ln(self)
            }
            fn sqrt(self) -> Self {
                Self::sqrt(self)
            }
            fn abs(self) -> Self {
                Self::abs(self)
            }
        }
    };
}

float!(f32);
float!(f64);

/// What is done to the scores of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Transform {
    #[default]
    None,
    /// `e^(x - max) / sum`.
    Softmax,
    /// `1 / (1 + e^-x)`.
    Logistic,
    /// Softmax over what is not zero; zeros stay. A row of nothing but zeros becomes NaN, as ONNX Runtime has it.
    SoftmaxZero,
    /// The inverse of the normal distribution.
    Probit,
    /// `e^x`. ONNX has no name for it.
    Exponential,
}

/// What is near enough to zero for [`Transform::SoftmaxZero`].
const NEAR_ZERO: f64 = 1e-7;

impl Transform {
    /// The one of this name in ONNX.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "NONE" => Self::None,
            "SOFTMAX" => Self::Softmax,
            "LOGISTIC" => Self::Logistic,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            "PROBIT" => Self::Probit,
            _ => return None,
        })
    }

    /// Transforms the scores of one row.
    pub(super) fn apply<T: Float>(self, row: &mut [T]) {
        match self {
            Self::None => {}
            Self::Softmax => softmax(row),
            Self::Logistic => row.iter_mut().for_each(|x| *x = logistic(*x)),
            Self::SoftmaxZero => softmax_zero(row),
            Self::Exponential => row.iter_mut().for_each(|x| *x = x.exp()),
            Self::Probit => row.iter_mut().for_each(|x| *x = probit(*x)),
        }
    }
}

fn greatest<T: Float>(row: &[T]) -> T {
    row.iter().fold(-T::INFINITY, |most, x| if *x > most { *x } else { most })
}

fn softmax<T: Float>(row: &mut [T]) {
    let most = greatest(row);
    let mut sum = T::default();
    for x in row.iter_mut() {
        *x = (*x - most).exp();
        sum = sum + *x;
    }
    row.iter_mut().for_each(|x| *x = *x / sum);
}

fn softmax_zero<T: Float>(row: &mut [T]) {
    let most = greatest(row);
    let mut sum = T::default();
    for x in row.iter_mut() {
        if x.abs() > T::of(NEAR_ZERO) {
            *x = (*x - most).exp();
            sum = sum + *x;
        } else {
            *x = *x * (-most).exp();
        }
    }
    row.iter_mut().for_each(|x| *x = *x / sum);
}

/// `1 / (1 + e^-x)`, taken of the size, so that no exponential overflows.
pub(super) fn logistic<T: Float>(x: T) -> T {
    let v = T::ONE / (T::ONE + (-x.abs()).exp());
    if x < T::default() { T::ONE - v } else { v }
}

/// `sqrt(2) erfinv(2 x - 1)`, by Winitzki's approximation of the inverse error function ("A handy approximation for the error
/// function and its inverse", 2008, with a = 0.147), as ONNX Runtime has it: its error is up to 2e-3 relative.
fn probit<T: Float>(x: T) -> T {
    const A: f64 = 0.147;
    let y = x + x - T::ONE;
    let log = ((T::ONE - y) * (T::ONE + y)).ln();
    let half = T::of(2.0 / (std::f64::consts::PI * A)) + log / T::of(2.0);
    let root = ((half * half - log / T::of(A)).sqrt() - half).sqrt();
    let erf = if y < T::default() { -root } else { root };
    erf * T::of(std::f64::consts::SQRT_2)
}
