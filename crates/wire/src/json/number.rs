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
    #[inline]
    pub(super) fn scan_number(&mut self, expected: &'static str) -> Result<Scanned<'a>, JsonError> {
        self.whitespace();
        let start = self.at;
        let negative = self.byte() == Some(b'-');
        self.at += usize::from(negative);
        let first = self.at;
        let mut mantissa = self.digits(0);
        let mut digits = self.at - first;
        if digits == 0 {
            return self.scan_token(start, negative).ok_or_else(|| {
                self.at = start;
                self.unexpected(expected)
            });
        }
        if digits > 1 && self.bytes[first] == b'0' {
            self.at = first + 1;
            return Err(self.unexpected("a number without leading zeros"));
        }
        let (mut exponent, mut whole) = (0, true);
        if self.byte() == Some(b'.') {
            self.at += 1;
            whole = false;
            let point = self.at;
            mantissa = self.digits(mantissa);
            if self.at == point {
                return Err(self.unexpected("a digit after '.'"));
            }
            digits += self.at - point;
            exponent = i32::try_from(self.at - point).map_or(i32::MIN / 2, |count| -count);
        }
        if let Some(b'e' | b'E') = self.byte() {
            whole = false;
            exponent = exponent.saturating_add(self.exponent()?);
        }
        let (text, mantissa) = (&self.bytes[start..self.at], (digits <= SAFE_DIGITS).then_some(mantissa));
        Ok(Scanned::Decimal(Decimal { text, negative, mantissa, exponent, whole }))
    }

    /// Steps over digits, adding them to `value`; wraps past 19 of them, which the caller counts.
    #[inline]
    fn digits(&mut self, mut value: u64) -> u64 {
        while let Some(byte @ b'0'..=b'9') = self.byte() {
            value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            self.at += 1;
        }
        value
    }

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
    fn scan_token(&mut self, start: usize, negative: bool) -> Option<Scanned<'a>> {
        if !negative && self.token(b"NaN") {
            return Some(Scanned::NotANumber);
        }
        let found = self.token(b"Infinity").then_some(Scanned::Infinity { negative });
        if found.is_none() {
            self.at = start;
        }
        found
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
            let exact = mantissa <= 1 << 24 && self.exponent.unsigned_abs() <= 10;
            if exact {
                let (value, power) = (mantissa as f32, TENS[self.exponent.unsigned_abs() as usize] as f32);
                let value = if self.exponent < 0 { value / power } else { value * power };
                return Some(if self.negative { -value } else { value });
            }
            let normal = (1e-30..3e38).contains(&value.abs());
            if normal && (value.to_bits() & DROPPED).abs_diff(MIDDLE) > 4 {
                return Some(value as f32);
            }
        }
        fast_float2::parse::<f32, _>(self.text).ok().filter(|value| value.is_finite())
    }
}
