//! One JSON number as one element of a datatype.

use half::{bf16, f16};

use super::number::{Decimal, Scanned, infinity, too_big};
use super::simple::{self, BLOCK, Steps};
use super::{Cursor, JsonError};

/// A fixed-size element.
pub(super) trait Element: Sized {
    /// Whether it is written as a number.
    const IS_NUMBER: bool = true;
    /// Whether a number may have a fraction.
    const HAS_FRACTION: bool = false;
    /// Its little-endian bytes.
    type Raw: Copy + AsRef<[u8]>;

    /// Places for elements in a tensor's memory.
    fn slots(bytes: &mut [u8]) -> &mut [Self::Raw];

    /// Reads one value.
    fn read(cursor: &mut Cursor<'_>) -> Result<Self::Raw, JsonError>;

    /// Reads one value of a simple form, with a comma there behind it; `None` is no fault yet.
    #[inline(always)]
    fn read_simple(_: impl Steps, _: &[u8; BLOCK], _: usize) -> Option<Self::Raw> {
        None
    }
}

/// The part of an element that only its size decides.
macro_rules! raw {
    ($size:expr) => {
        type Raw = [u8; $size];

        #[inline]
        fn slots(bytes: &mut [u8]) -> &mut [Self::Raw] {
            bytes.as_chunks_mut().0
        }
    };
}

/// `BOOL`: `true` and `false` alone; 0 and 1 are numbers, and a client that sends them has another datatype in mind.
pub(super) struct Bool;

impl Element for Bool {
    const IS_NUMBER: bool = false;
    raw!(1);

    #[inline]
    fn read(cursor: &mut Cursor<'_>) -> Result<Self::Raw, JsonError> {
        Ok([u8::from(cursor.bool()?)])
    }
}

macro_rules! integers {
    ($($number:ty, $expected:literal;)*) => {$(
        impl Element for $number {
            raw!(size_of::<Self>());

            #[inline]
            fn read(cursor: &mut Cursor<'_>) -> Result<Self::Raw, JsonError> {
                cursor.integer($expected).map(Self::to_le_bytes)
            }

            #[inline(always)]
            fn read_simple(_: impl Steps, block: &[u8; BLOCK], comma: usize) -> Option<Self::Raw> {
                Self::try_from(simple::integer(block, comma)?).ok().map(Self::to_le_bytes)
            }
        }
    )*};
}

integers! {
    u8, "an integer from 0 to 255 for UINT8";
    u16, "an integer from 0 to 65535 for UINT16";
    u32, "an integer from 0 to 4294967295 for UINT32";
    u64, "an integer from 0 to 18446744073709551615 for UINT64";
    i8, "an integer from -128 to 127 for INT8";
    i16, "an integer from -32768 to 32767 for INT16";
    i32, "an integer from -2147483648 to 2147483647 for INT32";
    i64, "an integer from -9223372036854775808 to 9223372036854775807 for INT64";
}

macro_rules! floats {
    ($($number:ty, $expected:literal, $range:literal, $decimal:expr, $special:expr, $simple:expr;)*) => {$(
        impl Element for $number {
            const HAS_FRACTION: bool = true;
            raw!(size_of::<Self>());

            #[inline]
            fn read(cursor: &mut Cursor<'_>) -> Result<Self::Raw, JsonError> {
                cursor.whitespace();
                let start = cursor.at;
                // What is missing: clients that cannot write NaN have no other word for it.
                if cursor.byte() == Some(b'n') && cursor.token(b"null") {
                    return Ok(Self::to_le_bytes($special(f64::NAN)));
                }
                let value: Self = match cursor.scan_number($expected)? {
                    Scanned::Decimal(decimal) => $decimal(&decimal).ok_or_else(|| too_big(start, &decimal, $range))?,
                    Scanned::NotANumber => $special(f64::NAN),
                    Scanned::Infinity { negative } => $special(infinity(negative)),
                };
                Ok(value.to_le_bytes())
            }

            #[inline(always)]
            fn read_simple(steps: impl Steps, block: &[u8; BLOCK], comma: usize) -> Option<Self::Raw> {
                $simple(steps, block, comma).map(Self::to_le_bytes)
            }
        }
    )*};
}

fn half(decimal: &Decimal<'_>) -> Option<f16> {
    decimal.to_f64().map(f16::from_f64).filter(|value| value.is_finite())
}

fn brain(decimal: &Decimal<'_>) -> Option<bf16> {
    decimal.to_f64().map(bf16::from_f64).filter(|value| value.is_finite())
}

#[inline(always)]
fn simple_single(steps: impl Steps, block: &[u8; BLOCK], comma: usize) -> Option<f32> {
    match steps.fraction(block, comma) {
        Some(fraction) => fraction.to_f32(),
        None => simple::integer(block, comma).filter(|value| *value != 0 || block[0] != b'-').map(|value| value as f32),
    }
}

#[inline(always)]
fn simple_double(steps: impl Steps, block: &[u8; BLOCK], comma: usize) -> Option<f64> {
    match steps.fraction(block, comma) {
        Some(fraction) => fraction.to_f64(),
        None => simple::integer(block, comma).filter(|value| *value != 0 || block[0] != b'-').map(f64::from),
    }
}

#[inline(always)]
fn simple_half(steps: impl Steps, block: &[u8; BLOCK], comma: usize) -> Option<f16> {
    simple_double(steps, block, comma).map(f16::from_f64).filter(|value| value.is_finite())
}

#[inline(always)]
fn simple_brain(steps: impl Steps, block: &[u8; BLOCK], comma: usize) -> Option<bf16> {
    simple_double(steps, block, comma).map(bf16::from_f64).filter(|value| value.is_finite())
}

floats! {
    f32, "a number for FP32", "a number within FP32's range", Decimal::to_f32, |value| value as f32, simple_single;
    f64, "a number for FP64", "a number within FP64's range", Decimal::to_f64, |value| value, simple_double;
    f16, "a number for FP16", "a number within FP16's range", half, f16::from_f64, simple_half;
    bf16, "a number for BF16", "a number within BF16's range", brain, bf16::from_f64, simple_brain;
}
