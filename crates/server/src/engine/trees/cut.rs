//! Every test as comparisons of one kind: is the value at most a threshold?
//!
//! One kind of comparison is what lets a walk go without branches. Floating-point numbers make the others out of it exactly:
//! below `t` is at most the number before `t`; equal to `t` is at most `t`, and not at most the number before.

use super::describe::Test;
use super::real::Real;

/// A comparison, and what follows.
#[derive(Clone, Debug)]
pub(super) struct Cut<T> {
    pub(super) threshold: T,
    /// Whether a missing value goes the way of the values at most `threshold`.
    pub(super) missing_below: bool,
    pub(super) below: Side<T>,
    pub(super) above: Side<T>,
}

/// What follows a comparison.
#[derive(Clone, Debug)]
pub(super) enum Side<T> {
    Yes,
    No,
    Cut(Box<Cut<T>>),
}

impl<T: Real> Cut<T> {
    /// The comparisons that answer `test`; a missing value is answered `missing`.
    pub(super) fn of(test: &Test, missing: bool) -> Self {
        match test {
            Test::AtMost(value) => Self::at_most(T::of(*value), missing),
            Test::Above(value) => Self::above(T::of(*value), missing),
            // Nothing is before the first number.
            Test::Below(value) if *value == f64::NEG_INFINITY => Self::above(T::INFINITY, missing),
            Test::Below(value) => Self::at_most(T::of(*value).below(), missing),
            Test::AtLeast(value) if *value == f64::NEG_INFINITY => Self::at_most(T::INFINITY, missing),
            Test::AtLeast(value) => Self::above(T::of(*value).below(), missing),
            Test::Equal(value) => Self::members(&[*value], missing, true),
            Test::Unequal(value) => Self::members(&[*value], true, false),
            Test::Member(values) => Self::members(values, missing, true),
        }
    }

    fn at_most(threshold: T, missing: bool) -> Self {
        Self { threshold, missing_below: missing, below: Side::Yes, above: Side::No }
    }

    fn above(threshold: T, missing: bool) -> Self {
        Self { threshold, missing_below: !missing, below: Side::No, above: Side::Yes }
    }

    /// Is the value one of `values`? The answer is `inside` where it is.
    fn members(values: &[f64], missing: bool, inside: bool) -> Self {
        let mut values: Vec<T> = values.iter().map(|value| T::of(*value)).collect();
        values.sort_by(Real::order);
        // The number line as stretches, each with its last number and whether it is inside; beyond the last all is outside.
        let mut stretches: Vec<(T, bool)> = Vec::new();
        for value in values {
            let before = value.below();
            if before < value && stretches.last().is_none_or(|(end, _)| *end < before) {
                stretches.push((before, false));
            }
            if stretches.last().is_none_or(|(end, _)| *end < value) {
                stretches.push((value, true));
            }
        }
        match halve(&stretches, false, missing == inside, inside) {
            Side::Cut(cut) => *cut,
            // No value at all.
            _ if inside => Self::above(T::INFINITY, missing),
            _ => Self::at_most(T::INFINITY, missing),
        }
    }
}

/// Balanced comparisons over stretches, the last of which (`beyond`) has no end. A missing value is led to a stretch that is
/// inside if `wanted`.
fn halve<T: Real>(stretches: &[(T, bool)], beyond: bool, wanted: bool, inside: bool) -> Side<T> {
    let middle = stretches.len() / 2;
    let Some((threshold, last)) = stretches.get(middle) else {
        return if beyond == inside { Side::Yes } else { Side::No };
    };
    let missing_below = stretches[..=middle].iter().any(|(_, found)| *found == wanted);
    let below = halve(&stretches[..middle], *last, wanted, inside);
    let above = halve(&stretches[middle + 1..], beyond, wanted, inside);
    Side::Cut(Box::new(Cut { threshold: *threshold, missing_below, below, above }))
}
