//! The numbers that trees compare and add: FP32 and FP64, each exact in its own precision.

use crate::engine::transform::Float;

/// FP32 or FP64.
pub(in crate::engine) trait Real: Float + Send + Sync + 'static {
    const HALF: Self;
    fn to_f64(self) -> f64;
    fn to_f32(self) -> f32;
    /// The greatest number below it.
    fn below(self) -> Self;
    fn missing(self) -> bool;
    /// A total order, by sign and size.
    fn order(&self, other: &Self) -> std::cmp::Ordering;
    /// The bits, for finding equals.
    fn bits(self) -> u64;
}

macro_rules! real {
    ($number:ty) => {
        impl Real for $number {
            const HALF: Self = 0.5;
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
