//! Numbers: one scan takes a decimal apart, and most become binary without a second look at their digits.

use super::{Cursor, JsonError};

/// A number of no declared type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Written without fraction and exponent, and fits.
    Int(i64),
    /// Written without fraction and exponent, and above `i64`'s range.
    Uint(u64),
    /// Any other.
    Float(f64),
}

/// A number taken apart: `mantissa * 10^exponent`.
pub(super) struct Decimal<'a> {
    pub(super) text: &'a [u8],
    pub(super) negative: bool,
    /// All digits as one integer; only where there are at most 19 of them.
    pub(super) mantissa: Option<u64>,
    pub(super) exponent: i32,
    /// Written without fraction and exponent.
    pub(super) whole: bool,
}

/// A number, or a token that stands for one.
pub(super) enum Scanned<'a> {
    Decimal(Decimal<'a>),
    NotANumber,
    Infinity { negative: bool },
}

/// Digits that surely fit a `u64`.
const SAFE_DIGITS: usize = 19;

impl<'a> Cursor<'a> {
    /// Scans a number by RFC 8259's grammar, or one of the tokens.
    #[inline(always)]
    pub(super) fn scan_number(&mut self, expected: &'static str) -> Result<Scanned<'a>, JsonError> {
        self.whitespace();
        // Positions are kept in registers here and written back once: this loop is most of a large request's cost.
        let (bytes, start) = (self.bytes, self.at);
        let negative = bytes.get(start) == Some(&b'-');
        let first = start + usize::from(negative);
        let (mut mantissa, mut at) = match bytes.get(first) {
            Some(b'0') => (0, first + 1),
            _ => digits(bytes, first, 0),
        };
        let mut count = at - first;
        if count == 0 {
            return self.scan_token(first, negative).ok_or_else(|| self.unexpected(expected));
        }
        let (mut exponent, mut whole) = (0, true);
        if bytes.get(at) == Some(&b'.') {
            let point = at + 1;
            (mantissa, at) = digits(bytes, point, mantissa);
            whole = false;
            count += at - point;
            exponent = i32::try_from(at - point).map_or(i32::MIN / 2, |count| -count);
            if exponent == 0 {
                return Err(self.unexpected_at(at, "a digit after '.'"));
            }
        }
        match bytes.get(at) {
            Some(b'e' | b'E') => {
                self.at = at;
                whole = false;
                exponent = exponent.saturating_add(self.exponent()?);
                at = self.at;
            }
            Some(b'0'..=b'9') => return Err(self.unexpected_at(at, "a number without leading zeros")),
            _ => self.at = at,
        }
        let mantissa = (count <= SAFE_DIGITS).then_some(mantissa);
        Ok(Scanned::Decimal(Decimal { text: &bytes[start..at], negative, mantissa, exponent, whole }))
    }

    #[cold]
    fn unexpected_at(&mut self, at: usize, expected: &'static str) -> JsonError {
        self.at = at;
        self.unexpected(expected)
    }

    #[cold]
    fn exponent(&mut self) -> Result<i32, JsonError> {
        self.at += 1;
        let negative = self.byte() == Some(b'-');
        if let Some(b'+' | b'-') = self.byte() {
            self.at += 1;
        }
        let first = self.at;
        let mut value = 0_i32;
        while let Some(byte @ b'0'..=b'9') = self.byte() {
            value = (value * 10 + i32::from(byte - b'0')).min(100_000);
            self.at += 1;
        }
        if self.at == first {
            return Err(self.unexpected("a digit in the exponent"));
        }
        Ok(if negative { -value } else { value })
    }

    #[cold]
    fn scan_token(&mut self, first: usize, negative: bool) -> Option<Scanned<'a>> {
        let start = std::mem::replace(&mut self.at, first);
        if !negative && self.token(b"NaN") {
            return Some(Scanned::NotANumber);
        }
        if self.token(b"Infinity") {
            return Some(Scanned::Infinity { negative });
        }
        self.at = start;
        None
    }

    /// A number.
    ///
    /// # Errors
    /// When something else is here, or a number that no `f64` holds.
    pub fn number(&mut self) -> Result<Number, JsonError> {
        let start = self.at;
        let decimal = match self.scan_number("a number")? {
            Scanned::NotANumber => return Ok(Number::Float(f64::NAN)),
            Scanned::Infinity { negative } => return Ok(Number::Float(infinity(negative))),
            Scanned::Decimal(decimal) => decimal,
        };
        if decimal.whole
            && let Some(value) = decimal.integer()
        {
            if let Ok(value) = i64::try_from(value) {
                return Ok(Number::Int(value));
            }
            if let Ok(value) = u64::try_from(value) {
                return Ok(Number::Uint(value));
            }
        }
        decimal.to_f64().map(Number::Float).ok_or_else(|| too_big(start, &decimal, "a number that a double holds"))
    }

    /// An integer from -2^63 to 2^63 - 1, written without fraction and exponent.
    ///
    /// # Errors
    /// When something else is here.
    pub fn i64(&mut self) -> Result<i64, JsonError> {
        self.integer("an integer from -9223372036854775808 to 9223372036854775807")
    }

    /// An integer from 0 to 2^64 - 1, written without fraction and exponent.
    ///
    /// # Errors
    /// When something else is here.
    pub fn u64(&mut self) -> Result<u64, JsonError> {
        self.integer("an integer from 0 to 18446744073709551615")
    }

    /// An integer of any width, written without fraction and exponent.
    #[inline]
    pub(super) fn integer<T: TryFrom<i128>>(&mut self, expected: &'static str) -> Result<T, JsonError> {
        self.whitespace();
        let start = self.at;
        let decimal = match self.scan_number(expected)? {
            Scanned::Decimal(decimal) => decimal,
            Scanned::NotANumber | Scanned::Infinity { .. } => {
                self.at = start;
                return Err(self.unexpected(expected));
            }
        };
        let value = if decimal.whole { decimal.integer() } else { None };
        value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| too_big(start, &decimal, expected))
    }

    /// A number as a double; the tokens `NaN`, `Infinity` and `-Infinity` too.
    ///
    /// # Errors
    /// When something else is here, or a number past a double's range.
    pub fn f64(&mut self) -> Result<f64, JsonError> {
        self.whitespace();
        let start = self.at;
        match self.scan_number("a number")? {
            Scanned::NotANumber => Ok(f64::NAN),
            Scanned::Infinity { negative } => Ok(infinity(negative)),
            Scanned::Decimal(decimal) => decimal.to_f64().ok_or_else(|| too_big(start, &decimal, "a number that a double holds")),
        }
    }

    pub(super) fn skip_number(&mut self) -> Result<(), JsonError> {
        self.scan_number("a number").map(drop)
    }
}

/// Steps over digits from `at` on, appending them to `value`, which wraps past [`SAFE_DIGITS`]; the caller counts.
///
/// Sixteen bytes at a time, and the same steps however many of them are digits: lengths differ from number to number, and a
/// branch on them would be guessed wrongly as often as not.
#[inline]
fn digits(bytes: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let both = u128::from_le_bytes(*chunk) ^ ASCII_ZEROS;
        let others = (both.wrapping_add(TO_HIGH_BIT) | both) & HIGH_BITS;
        let count = (others.trailing_zeros() / 8) as usize;
        let (first, second) = (count.min(8), count.saturating_sub(8));
        value = value.wrapping_mul(TENS_OF_INTEGERS[first]).wrapping_add(leading_digits(both as u64, first));
        value = value.wrapping_mul(TENS_OF_INTEGERS[second]).wrapping_add(leading_digits((both >> 64) as u64, second));
        at += count;
        if count < 16 {
            return (value, at);
        }
    }
    while let Some(byte @ b'0'..=b'9') = bytes.get(at) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        at += 1;
    }
    (value, at)
}

const ASCII_ZEROS: u128 = u128::from_le_bytes([b'0'; 16]);
/// Added to a byte it carries into the high bit unless the byte is 9 at most. Bytes above 127 have that bit themselves; what they
/// carry into the bytes behind them does no harm, for they end the digits.
const TO_HIGH_BIT: u128 = u128::from_le_bytes([0x76; 16]);
const HIGH_BITS: u128 = u128::from_le_bytes([0x80; 16]);
const TENS_OF_INTEGERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number that the first `count` bytes of `digits` spell, each a digit's value, at most eight: those behind are shifted out,
/// and three multiplications add pairs, fours and eights. Source: D. Lemire, "Quickly parsing eight digits", 2018.
#[inline]
const fn leading_digits(digits: u64, count: usize) -> u64 {
    let pairs = (digits << (4 * (8 - count))) << (4 * (8 - count));
    let pairs = pairs.wrapping_mul(10).wrapping_add(pairs >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

pub(super) const fn infinity(negative: bool) -> f64 {
    if negative { f64::NEG_INFINITY } else { f64::INFINITY }
}

/// The error that a well-formed number is not one of those that are asked for.
#[cold]
pub(super) fn too_big(at: usize, found: &Decimal<'_>, expected: &'static str) -> JsonError {
    let digits = String::from_utf8_lossy(&found.text[..found.text.len().min(40)]);
    let dots = if found.text.len() > 40 { "..." } else { "" };
    JsonError::new(at, expected, format!("{digits}{dots}"))
}

/// Powers of ten that a double holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
    1e22,
];

impl Decimal<'_> {
    /// The value of a number written without fraction and exponent; `None` past 128 bits.
    #[inline]
    fn integer(&self) -> Option<i128> {
        match self.mantissa {
            Some(value) if self.negative => Some(-i128::from(value)),
            Some(value) => Some(i128::from(value)),
            None => std::str::from_utf8(self.text).ok()?.parse().ok(),
        }
    }

    /// `mantissa * 10^exponent` in double arithmetic, off by two units in the last place at most; `None` where not simple.
    #[inline]
    fn simple(&self) -> Option<(u64, f64)> {
        let mantissa = self.mantissa?;
        let power = *TENS.get(self.exponent.unsigned_abs() as usize)?;
        let value = mantissa as f64;
        let value = if self.exponent < 0 { value / power } else { value * power };
        Some((mantissa, if self.negative { -value } else { value }))
    }

    /// The nearest double; `None` past its range.
    ///
    /// One operation on two exact operands rounds once, so it is right: W. Clinger, "How to read floating point numbers
    /// accurately", 1990.
    #[inline]
    pub(super) fn to_f64(&self) -> Option<f64> {
        match self.simple() {
            Some((mantissa, value)) if mantissa <= 1 << 53 => Some(value),
            _ => fast_float2::parse::<f64, _>(self.text).ok().filter(|value| value.is_finite()),
        }
    }

    /// The nearest single; `None` past its range.
    ///
    /// The double is off by two units at most, so rounding it to a single is right unless it lies that close to the middle
    /// between two singles.
    #[inline]
    pub(super) fn to_f32(&self) -> Option<f32> {
        const DROPPED: u64 = (1 << 29) - 1;
        const MIDDLE: u64 = 1 << 28;
        if let Some((mantissa, value)) = self.simple() {
            let normal = (1e-30..3e38).contains(&value.abs());
            if (normal || mantissa == 0) && (value.to_bits() & DROPPED).abs_diff(MIDDLE) > 4 {
                return Some(value as f32);
            }
        }
        fast_float2::parse::<f32, _>(self.text).ok().filter(|value| value.is_finite())
    }
}
