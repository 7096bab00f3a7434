//! What a file's own numbers are.

use tract_onnx::tract_hir::internal::*;

use super::known::Known;
use crate::engine::tract::ops::numbers::slice;
use crate::engine::tract::ops::repair::values::{Real, are_finite};

/// Elements whose bounds are looked for. Of larger tensors, which are weights, it is only asked whether all are finite: that costs as much as
/// reading them once.
const FEW: usize = 1 << 12;

/// What the elements of a constant are.
pub(super) fn known(tensor: &Tensor) -> Known {
    let known = match tensor.datum_type() {
        DatumType::F16 => slice::<half::f16>(tensor).map(of),
        DatumType::F32 => slice::<f32>(tensor).map(of),
        DatumType::F64 => slice::<f64>(tensor).map(of),
        kind if kind.is_float() => Ok(Known::ANYTHING),
        kind => Ok(whole(tensor).unwrap_or_else(|| Known::of(kind))),
    };
    known.unwrap_or(Known::ANYTHING)
}

/// Whether each row along the last axis has a finite number, and none has NaN or infinity: masks that leave something to see.
pub(super) fn is_alive(tensor: &Tensor) -> bool {
    fn of<T: Real>(tensor: &Tensor) -> bool {
        let width = tensor.shape().last().copied().unwrap_or(1).max(1);
        let row = |row: &[T]| row.iter().all(|value| *value < T::ENDS.1) && row.iter().any(|value| *value > T::ENDS.0);
        slice::<T>(tensor).is_ok_and(|values| values.chunks(width).all(row))
    }
    match tensor.datum_type() {
        DatumType::F16 => of::<half::f16>(tensor),
        DatumType::F32 => of::<f32>(tensor),
        DatumType::F64 => of::<f64>(tensor),
        _ => false,
    }
}

fn of<T: Real + Into<f64>>(values: &[T]) -> Known {
    if values.len() > FEW && are_finite(values) {
        return Known::FINITE;
    }
    bounds(values.iter().map(|value| (*value).into()))
}

fn whole(tensor: &Tensor) -> Option<Known> {
    if tensor.len() > FEW || tensor.datum_type().is_quantized() {
        return None;
    }
    let tensor = tensor.cast_to::<i64>().ok()?;
    Some(bounds(slice::<i64>(&tensor).ok()?.iter().map(|value| *value as f64)))
}

fn bounds(values: impl Iterator<Item = f64>) -> Known {
    let nothing = Known { least: f64::INFINITY, most: f64::NEG_INFINITY, zero: false, infinite: false, nan: false };
    let all = values.fold(nothing, |all, value| Known {
        least: all.least.min(value),
        most: all.most.max(value),
        zero: all.zero || value == 0.0,
        infinite: all.infinite || value.is_infinite(),
        nan: all.nan || value.is_nan(),
    });
    // Nothing but NaN, or nothing at all.
    if all.least > all.most { Known { nan: all.nan, ..Known::FINITE } } else { all }
}
