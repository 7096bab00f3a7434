//! What two values make: where NaN and infinities come from.

use super::known::Known;

/// A product of bounds: nothing times no bound is nothing.
fn product(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { a * b }
}

impl Known {
    pub(super) fn negated(self) -> Self {
        Self { least: -self.most, most: -self.least, ..self }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let opposite = (self.low() && other.high()) || (self.high() && other.low());
        Self {
            least: self.least + other.least,
            most: self.most + other.most,
            zero: true,
            infinite: self.infinite || other.infinite,
            nan: self.nan || other.nan || opposite,
        }
        .settled()
    }

    pub(super) fn times(self, other: Self) -> Self {
        let ends = [
            product(self.least, other.least),
            product(self.least, other.most),
            product(self.most, other.least),
            product(self.most, other.most),
        ];
        Self {
            least: ends.into_iter().fold(f64::INFINITY, f64::min),
            most: ends.into_iter().fold(f64::NEG_INFINITY, f64::max),
            zero: self.zero || other.zero,
            infinite: self.infinite || other.infinite,
            nan: self.nan || other.nan || (self.infinite && other.zero) || (self.zero && other.infinite),
        }
        .settled()
    }

    pub(super) fn squared(self) -> Self {
        let (least, most) = (product(self.least, self.least), product(self.most, self.most));
        let crosses = self.least < 0.0 && self.most > 0.0;
        Self { least: if crosses { 0.0 } else { least.min(most) }, most: least.max(most), ..self }.settled()
    }

    /// One over it. A zero has either sign.
    pub(super) fn inverse(self) -> Self {
        let zero = self.infinite;
        if self.zero {
            return Self { zero, infinite: true, nan: self.nan, ..Self::FINITE };
        }
        // What is not zero may still come as near to it as can be.
        let (least, most) = match (self.least, self.most) {
            (least, most) if least >= 0.0 => (1.0 / most, if least == 0.0 { f64::INFINITY } else { 1.0 / least }),
            (least, most) if most <= 0.0 => (if most == 0.0 { f64::NEG_INFINITY } else { 1.0 / most }, 1.0 / least),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        };
        // A plan multiplies by the inverse, which is rounded first.
        const ROUNDING: f64 = 1.0 / 256.0;
        let (least, most) = (least - least.abs() * ROUNDING, most + most.abs() * ROUNDING);
        Self { least, most, zero, infinite: false, nan: self.nan }.settled()
    }

    pub(super) fn over(self, other: Self) -> Self {
        // What is exactly one changes nothing.
        if other == Self::only(1.0) { self } else { self.times(other.inverse()) }
    }

    /// What is left of a division.
    pub(super) fn modulo(self, other: Self) -> Self {
        let nan = self.nan || other.nan || self.infinite || other.zero;
        let least = if self.least >= 0.0 && other.least >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        Self { least, nan, ..Self::FINITE }
    }

    pub(super) fn smaller(self, other: Self) -> Self {
        self.negated().greater(other.negated()).negated()
    }

    pub(super) fn greater(self, other: Self) -> Self {
        Self {
            least: self.least.max(other.least),
            most: self.most.max(other.most),
            zero: self.zero || other.zero,
            infinite: self.high() || other.high() || (self.low() && other.low()),
            nan: self.nan || other.nan,
        }
        .settled()
    }

    pub(super) fn power(self, exponent: Self) -> Self {
        if exponent.least == exponent.most && !exponent.lacks() {
            return self.to(exponent.least);
        }
        if self.least < 0.0 {
            return Self { infinite: true, nan: true, ..Self::FINITE };
        }
        // A zero has either sign here too.
        let divides = self.zero && exponent.least < 0.0;
        let zero = self.zero || self.infinite || exponent.infinite;
        let infinite = self.infinite || exponent.infinite || divides;
        Self {
            least: if divides { f64::NEG_INFINITY } else { 0.0 },
            zero,
            infinite,
            nan: self.nan || exponent.nan,
            ..Self::FINITE
        }
    }

    fn to(self, exponent: f64) -> Self {
        if exponent < 0.0 {
            return self.to(-exponent).inverse();
        }
        if exponent == 0.0 {
            return Self { nan: self.nan, ..Self::only(1.0) };
        }
        if exponent.fract() != 0.0 {
            return Self { least: 0.0, most: f64::INFINITY, nan: self.nan || self.least < 0.0, ..self }.settled();
        }
        match exponent {
            1.0 => self,
            2.0 => self.squared(),
            even if even % 2.0 == 0.0 => Self { least: 0.0, most: f64::INFINITY, ..self }.settled(),
            _ => self.signed(),
        }
    }

    /// Numbers of the same sign, of any size.
    pub(super) fn signed(self) -> Self {
        let least = if self.least >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let most = if self.most <= 0.0 { 0.0 } else { f64::INFINITY };
        Self { least, most, ..self }.settled()
    }
}
