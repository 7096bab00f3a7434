//! One JSON number as one element of a datatype.

use half::{bf16, f16};

use super::number::{Decimal, Scanned, infinity, too_big};
use super::{Cursor, JsonError};

/// A fixed-size element.
pub(super) trait Element: Sized {
    /// Whether it is written as a number.
    const IS_NUMBER: bool = true;
    /// Whether a number may have a fraction.
    const HAS_FRACTION: bool = false;

    /// Reads one value and appends its little-endian bytes.
    fn read(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), JsonError>;
}

/// `BOOL`: `true` and `false` alone; 0 and 1 are numbers, and a client that sends them has another datatype in mind.
pub(super) struct Bool;

impl Element for Bool {
    const IS_NUMBER: bool = false;

    #[inline]
    fn read(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), JsonError> {
        out.push(u8::from(cursor.bool()?));
        Ok(())
    }
}

macro_rules! integers {
    ($($number:ty, $expected:literal;)*) => {$(
        impl Element for $number {
            #[inline]
            fn read(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), JsonError> {
                let value: Self = cursor.integer($expected)?;
                out.extend_from_slice(&value.to_le_bytes());
                Ok(())
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
    ($($number:ty, $expected:literal, $range:literal, $decimal:expr, $special:expr;)*) => {$(
        impl Element for $number {
            const HAS_FRACTION: bool = true;

            #[inline]
            fn read(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), JsonError> {
                cursor.whitespace();
                let start = cursor.at;
                let value: Self = match cursor.scan_number($expected)? {
                    Scanned::Decimal(decimal) => $decimal(&decimal).ok_or_else(|| too_big(start, &decimal, $range))?,
                    Scanned::NotANumber => $special(f64::NAN),
                    Scanned::Infinity { negative } => $special(infinity(negative)),
                };
                out.extend_from_slice(&value.to_le_bytes());
                Ok(())
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

floats! {
    f32, "a number for FP32", "a number within FP32's range", Decimal::to_f32, |value| value as f32;
    f64, "a number for FP64", "a number within FP64's range", Decimal::to_f64, |value| value;
    f16, "a number for FP16", "a number within FP16's range", half, f16::from_f64;
    bf16, "a number for BF16", "a number within BF16's range", brain, bf16::from_f64;
}
