//! The numbers that trees compare and add: FP32 and FP64, each exact in its own precision.

use std::ops::{Add, Div, Neg, Sub};

/// FP32 or FP64.
pub(in crate::engine) trait Real:
    Copy
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
    + 'static
{
    const ONE: Self;
    const HALF: Self;
    const INFINITY: Self;
    /// Nearest to `value`.
    fn of(value: f64) -> Self;
    fn to_f64(self) -> f64;
    fn to_f32(self) -> f32;
    /// The greatest number below it.
    fn below(self) -> Self;
    fn missing(self) -> bool;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    fn times(self, other: Self) -> Self;
    /// A total order, by sign and size.
    fn order(&self, other: &Self) -> std::cmp::Ordering;
    /// The bits, for finding equals.
    fn bits(self) -> u64;
}

macro_rules! real {
    ($number:ty) => {
        impl Real for $number {
            const ONE: Self = 1.0;
            const HALF: Self = 0.5;
            const INFINITY: Self = Self::INFINITY;
            #[inline(always)]
            fn of(value: f64) -> Self {
                value as Self
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            fn below(self) -> Self {
                self.next_down()
            }
            #[inline(always)]
            fn missing(self) -> bool {
                self.is_nan()
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
            fn times(self, other: Self) -> Self {
                self * other
            }
            fn order(&self, other: &Self) -> std::cmp::Ordering {
                self.total_cmp(other)
            }
            fn bits(self) -> u64 {
                self.to_bits().into()
            }
        }
    };
}

real!(f32);
real!(f64);

/// An element of a row as it came: a number, or its bytes over the wire.
pub(in crate::engine) trait Element<T>: Copy {
    fn value(self) -> T;
}

impl<T: Real> Element<T> for T {
    #[inline(always)]
    fn value(self) -> T {
        self
    }
}

/// Little-endian, at any address.
impl Element<f32> for [u8; 4] {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_le_bytes(self)
    }
}

/// Little-endian, at any address.
impl Element<f64> for [u8; 8] {
    #[inline(always)]
    fn value(self) -> f64 {
        f64::from_le_bytes(self)
    }
}
