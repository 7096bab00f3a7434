//! What is known of a value before anything is computed: bounds of its finite numbers, and what else may be among its elements.
//!
//! Numbers of any size are finite here, and so are their sums, products and powers: that those overflow is not looked for.

use tract_onnx::tract_hir::internal::*;

/// What each element of a tensor may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine::tract) struct Known {
    /// The bounds; infinite where there is none.
    pub(super) least: f64,
    pub(super) most: f64,
    /// Whether 0 may be among them.
    pub(super) zero: bool,
    /// Whether infinities may, on the sides that have no bound.
    pub(super) infinite: bool,
    pub(super) nan: bool,
}

impl Known {
    /// Nothing is known.
    pub(in crate::engine::tract::ops) const ANYTHING: Self = Self { infinite: true, nan: true, ..Self::FINITE };
    /// It is finite.
    pub(in crate::engine::tract::ops) const FINITE: Self =
        Self { least: f64::NEG_INFINITY, most: f64::INFINITY, zero: true, infinite: false, nan: false };

    /// It is 0.
    pub(in crate::engine::tract::ops) const NOTHING: Self = Self { least: 0.0, most: 0.0, ..Self::FINITE };

    /// Finite numbers within bounds.
    pub(super) fn within(least: f64, most: f64) -> Self {
        Self { least, most, ..Self::FINITE }.settled()
    }

    /// The one number.
    pub(super) fn only(number: f64) -> Self {
        Self::within(number, number)
    }

    /// Finite numbers of a datatype.
    pub(super) fn of(kind: DatumType) -> Self {
        match kind {
            DatumType::Bool => Self::within(0.0, 1.0),
            kind if kind.is_unsigned() && !kind.is_quantized() => Self::within(0.0, f64::INFINITY),
            DatumType::String => Self::ANYTHING,
            _ => Self::FINITE,
        }
    }

    /// What arithmetic that divides by nothing makes of these: finite numbers of finite ones, and else NaN.
    pub(in crate::engine::tract::ops) fn computed(inputs: &[Self]) -> Self {
        let lacks = inputs.iter().any(Self::lacks);
        Self { infinite: lacks, nan: lacks, ..Self::FINITE }
    }

    /// Whether NaN or an infinity may be among them.
    pub(in crate::engine::tract::ops) const fn lacks(&self) -> bool {
        self.infinite || self.nan
    }

    /// Whether NaN may be.
    pub(in crate::engine::tract::ops) const fn nan(&self) -> bool {
        self.nan
    }

    /// Whether minus infinity may be.
    pub(super) fn low(&self) -> bool {
        self.infinite && self.least == f64::NEG_INFINITY
    }

    /// Whether nothing but minus infinity is missing a number.
    pub(in crate::engine::tract::ops) fn only_hides(&self) -> bool {
        !self.nan && !self.high()
    }

    /// Whether infinity may be.
    pub(super) fn high(&self) -> bool {
        self.infinite && self.most == f64::INFINITY
    }

    /// With what the bounds say of the rest.
    pub(super) fn settled(self) -> Self {
        let least = if self.least.is_nan() { f64::NEG_INFINITY } else { self.least };
        let most = if self.most.is_nan() { f64::INFINITY } else { self.most };
        let zero = self.zero && least <= 0.0 && most >= 0.0;
        let infinite = self.infinite && (least == f64::NEG_INFINITY || most == f64::INFINITY);
        Self { least, most, zero, infinite, ..self }
    }

    /// What is one or the other.
    pub(in crate::engine::tract::ops) fn or(self, other: Self) -> Self {
        Self {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
            zero: self.zero || other.zero,
            infinite: self.infinite || other.infinite,
            nan: self.nan || other.nan,
        }
    }

    /// As numbers of this datatype have it. Rounding is monotone, so bounds stay bounds.
    pub(super) fn rounded(self, kind: DatumType) -> Self {
        let round = |bound: f64| match kind {
            DatumType::F16 => f64::from(half::f16::from_f64(bound)),
            DatumType::F32 => f64::from(bound as f32),
            _ => bound,
        };
        let (least, most) = (round(self.least), round(self.most));
        let lost = |bound: f64, rounded: f64| bound.is_finite() && rounded.is_infinite();
        Self {
            least,
            most,
            zero: self.zero || (least == 0.0 && self.least > 0.0) || (most == 0.0 && self.most < 0.0),
            infinite: self.infinite || lost(self.least, least) || lost(self.most, most),
            ..self
        }
        .settled()
    }
}
