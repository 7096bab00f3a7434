//! What is put back over axes, in windows and in an order.
//!
//! Which answers have a NaN behind them is tract's to say: its operator is run on ones where NaN stands and zeros elsewhere.

use std::cmp::Ordering;

use tract_onnx::tract_core::ops::nn::Reducer;
use tract_onnx::tract_hir::internal::*;

use super::values::{Real, change, has_nan};
use crate::engine::tract::ops::numbers::{slice, tensor};

/// Ones where the values are so, zeros elsewhere.
fn mask<T: Real>(input: &Tensor, is_so: impl Fn(T) -> bool) -> TractResult<Tensor> {
    let ones = slice::<T>(input)?.iter().map(|value| if is_so(*value) { T::ONE } else { T::ZERO });
    tensor(input.shape(), ones.collect())
}

/// NaN where a value is; infinite where all are, of which tract makes the greatest or least finite number.
pub(super) fn extreme<T: Real>(
    input: &Tensor,
    (axes, greatest): (&[usize], bool),
    outputs: &mut TVec<TValue>,
) -> TractResult<()> {
    let (limit, end) = if greatest { (T::LIMITS.0, T::ENDS.0) } else { (T::LIMITS.1, T::ENDS.1) };
    if slice::<T>(&outputs[0])?.contains(&limit) {
        let others = Reducer::Max.reduce(axes, &mask::<T>(input, |value| value != end)?)?;
        let others = slice::<T>(&others)?;
        change::<T>(outputs, 0, |output| {
            output.iter_mut().zip(others).filter(|(_, other)| **other == T::ZERO).for_each(|(output, _)| *output = end);
        })?;
    }
    if !has_nan(slice::<T>(input)?) {
        return Ok(());
    }
    let nans = Reducer::Max.reduce(axes, &mask::<T>(input, T::is_nan)?)?;
    let nans = slice::<T>(&nans)?;
    change::<T>(outputs, 0, |output| {
        output.iter_mut().zip(nans).filter(|(_, nan)| **nan == T::ONE).for_each(|(output, _)| *output = T::NAN);
    })
}

/// The place of the first NaN, or of the last.
pub(super) fn place<T: Real>(input: &Tensor, (axes, last): (&[usize], bool), outputs: &mut TVec<TValue>) -> TractResult<()> {
    if !has_nan(slice::<T>(input)?) {
        return Ok(());
    }
    let mask = mask::<T>(input, T::is_nan)?;
    let (nans, places) = (Reducer::Max.reduce(axes, &mask)?, Reducer::ArgMax(last).reduce(axes, &mask)?);
    let found = slice::<T>(&nans)?.iter().zip(slice::<i64>(&places)?);
    change::<i64>(outputs, 0, |output| {
        output.iter_mut().zip(found).filter(|(_, (nan, _))| **nan == T::ONE).for_each(|(output, (_, place))| *output = *place);
    })
}

/// NaN in each window that has one, and its place where places are asked for.
pub(super) fn window<T: Real>(
    input: &Tensor,
    pool: impl FnOnce(TVec<TValue>) -> TractResult<TVec<TValue>>,
    outputs: &mut TVec<TValue>,
) -> TractResult<()> {
    if !has_nan(slice::<T>(input)?) {
        return Ok(());
    }
    let pooled = pool(tvec!(mask::<T>(input, T::is_nan)?.into_tvalue()))?;
    let nans = slice::<T>(&pooled[0])?;
    change::<T>(outputs, 0, |output| {
        output.iter_mut().zip(nans).filter(|(_, nan)| **nan == T::ONE).for_each(|(output, _)| *output = T::NAN);
    })?;
    let Some(places) = pooled.get(1) else { return Ok(()) };
    let found = nans.iter().zip(slice::<i64>(places)?);
    change::<i64>(outputs, 1, |output| {
        output.iter_mut().zip(found).filter(|(_, (nan, _))| **nan == T::ONE).for_each(|(output, (_, place))| *output = *place);
    })
}

/// By size, NaN being the greatest.
fn by_size<T: Real>(a: T, b: T) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The greatest or the least along an axis, in order; the first of equal ones first.
pub(super) fn order<T: Real>(input: &Tensor, (axis, largest): (usize, bool), outputs: &mut TVec<TValue>) -> TractResult<()> {
    let values = slice::<T>(input)?;
    if !has_nan(values) {
        return Ok(());
    }
    let (width, kept) = (input.shape()[axis], outputs[0].shape()[axis]);
    let step: usize = input.shape()[axis + 1..].iter().product();
    let mut chosen = vec![(T::ZERO, 0_i64); outputs[0].len()];
    for lane in 0..values.len() / width {
        let (block, within) = (lane / step, lane % step);
        let value = |at: usize| values[(block * width + at) * step + within];
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|a, b| if largest { by_size(value(*b), value(*a)) } else { by_size(value(*a), value(*b)) });
        for (to, at) in order.into_iter().take(kept).enumerate() {
            chosen[(block * kept + to) * step + within] = (value(at), at as i64);
        }
    }
    change::<T>(outputs, 0, |output| output.iter_mut().zip(&chosen).for_each(|(output, (value, _))| *output = *value))?;
    change::<i64>(outputs, 1, |output| output.iter_mut().zip(&chosen).for_each(|(output, (_, at))| *output = *at))
}
