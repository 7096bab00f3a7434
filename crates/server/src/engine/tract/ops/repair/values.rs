//! What is put back value by value.

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_ndarray::Zip;

use crate::engine::tract::ops::numbers::{slice, tensor};

/// Numbers of floating point.
pub(super) trait Real: Datum + Copy + PartialOrd {
    const NAN: Self;
    const ZERO: Self;
    const ONE: Self;
    /// The least and the greatest that are finite.
    const LIMITS: (Self, Self);
    /// The infinities.
    const ENDS: (Self, Self);

    fn is_nan(self) -> bool;

    /// The nearest to a number.
    fn of(number: f64) -> Self;
}

macro_rules! real {
    ($kind:ty, $zero:expr, $one:expr, $of:expr) => {
        impl Real for $kind {
            const NAN: Self = <$kind>::NAN;
            const ZERO: Self = $zero;
            const ONE: Self = $one;
            const LIMITS: (Self, Self) = (<$kind>::MIN, <$kind>::MAX);
            const ENDS: (Self, Self) = (<$kind>::NEG_INFINITY, <$kind>::INFINITY);

            fn is_nan(self) -> bool {
                <$kind>::is_nan(self)
            }

            fn of(number: f64) -> Self {
                $of(number)
            }
        }
    };
}

real!(half::f16, half::f16::ZERO, half::f16::ONE, half::f16::from_f64);
real!(f32, 0.0, 1.0, |number: f64| number as f32);
real!(f64, 0.0, 1.0, |number: f64| number);

/// Whether a value is NaN: without a branch, so that the processor looks at several at once.
pub(super) fn has_nan<T: Real>(values: &[T]) -> bool {
    values.chunks(1024).any(|part| part.iter().fold(false, |found, value| found | value.is_nan()))
}

/// Changes the values of output `at`.
pub(super) fn change<T: Datum>(outputs: &mut TVec<TValue>, at: usize, work: impl FnOnce(&mut [T])) -> TractResult<()> {
    let mut output = outputs.remove(at).into_tensor();
    work(output.try_as_plain_ram_mut()?.as_slice_mut::<T>()?);
    outputs.insert(at, output.into_tvalue());
    Ok(())
}

/// Whether a value is a number that is not infinite.
pub(super) fn is_finite<T: Real>(value: T) -> bool {
    value > T::ENDS.0 && value < T::ENDS.1
}

/// Whether all values are: without a branch, as above.
pub(super) fn are_finite<T: Real>(values: &[T]) -> bool {
    !values.chunks(1024).any(|part| part.iter().fold(false, |found, value| found | !is_finite(*value)))
}

/// NaN where the input is, and the function's ends where it is infinite.
pub(super) fn each<T: Real>(input: &Tensor, ends: Option<(f64, f64)>, outputs: &mut TVec<TValue>) -> TractResult<()> {
    let input = slice::<T>(input)?;
    if are_finite(input) {
        return Ok(());
    }
    let found = |value: T| match ends {
        _ if value.is_nan() => Some(T::NAN),
        Some((low, high)) if !is_finite(value) => Some(T::of(if value < T::ZERO { low } else { high })),
        _ => None,
    };
    change::<T>(outputs, 0, |output| {
        for (output, value) in output.iter_mut().zip(input) {
            *output = found(*value).unwrap_or(*output);
        }
    })
}

/// NaN where either input is; each may be repeated along axes.
pub(super) fn either<T: Real>((a, b): (&Tensor, &Tensor), outputs: &mut TVec<TValue>) -> TractResult<()> {
    if !has_nan(slice::<T>(a)?) && !has_nan(slice::<T>(b)?) {
        return Ok(());
    }
    let mut output = outputs.remove(0).into_tensor();
    let shape: TVec<usize> = output.shape().into();
    let (a, b) = (a.to_plain_array_view::<T>()?, b.to_plain_array_view::<T>()?);
    let (Some(a), Some(b)) = (a.broadcast(&*shape), b.broadcast(&*shape)) else {
        bail!("inputs of shape {:?} and {:?} do not make one of {shape:?}", a.shape(), b.shape())
    };
    Zip::from(output.try_as_plain_ram_mut()?.to_array_view_mut::<T>()?).and(&a).and(&b).for_each(|output, a, b| {
        if a.is_nan() || b.is_nan() {
            *output = T::NAN;
        }
    });
    outputs.insert(0, output.into_tvalue());
    Ok(())
}

/// The state and the cell of an LSTM, [rows, hidden] each, of what comes to its gates, [rows, 4 * hidden] in the order i, o, f, c,
/// and of the cell before.
pub(super) fn gates<T: Real>((gates, cell): (&Tensor, &Tensor), hidden: usize, outputs: &mut TVec<TValue>) -> TractResult<()> {
    let (gates, cell) = (slice::<T>(gates)?, slice::<T>(cell)?);
    if !has_nan(gates) && !has_nan(cell) {
        return Ok(());
    }
    let nan = |at: usize, gate: usize| gates[at / hidden * 4 * hidden + gate * hidden + at % hidden].is_nan();
    let cell: Vec<bool> =
        (0..cell.len()).map(|at| cell[at].is_nan() || [0, 2, 3].into_iter().any(|gate| nan(at, gate))).collect();
    change::<T>(outputs, 0, |state| {
        (0..state.len()).filter(|at| cell[*at] || nan(*at, 1)).for_each(|at| state[at] = T::NAN);
    })?;
    change::<T>(outputs, 1, |output| (0..output.len()).filter(|at| cell[*at]).for_each(|at| output[at] = T::NAN))
}

/// The state of a GRU, [rows, hidden], of what comes to its gates from the input and from the state, [rows, 3 * hidden] each, and of
/// the state before.
pub(super) fn step<T: Real>(given: &[TValue], hidden: usize, outputs: &mut TVec<TValue>) -> TractResult<()> {
    let (input, kept, before) = (slice::<T>(&given[0])?, slice::<T>(&given[1])?, slice::<T>(&given[2])?);
    let gate = |at: usize, gate: usize| at / hidden * 3 * hidden + gate * hidden + at % hidden;
    let nan = |at: usize| (0..3).map(|one| gate(at, one)).any(|place| input[place].is_nan() || kept[place].is_nan());
    change::<T>(outputs, 0, |state| {
        (0..state.len()).filter(|at| before[*at].is_nan() || nan(*at)).for_each(|at| state[at] = T::NAN);
    })
}

/// The levels of a quantisation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    /// Levels for each unit.
    scale: f32,
    /// The level of 0.
    zero: f32,
    signed: bool,
}

impl Levels {
    pub(super) fn unsigned(scale: f32, zero: u8) -> Self {
        Self { scale, zero: f32::from(zero), signed: false }
    }

    pub(super) fn signed(scale: f32, zero: i8) -> Self {
        Self { scale, zero: f32::from(zero), signed: true }
    }

    /// The nearest levels. A float becomes the nearest whole number that the type has; NaN is below all of them.
    pub(super) fn quantised(self, input: &Tensor) -> TractResult<TVec<TValue>> {
        let (low, high) = if self.signed { (-128.0, 127.0) } else { (0.0, 255.0) };
        let level = |value: &f32| ((value * self.scale).round_ties_even() + self.zero).max(low).min(high);
        let (shape, input) = (input.shape(), input.cast_to::<f32>()?);
        let values = slice::<f32>(&input)?.iter();
        let levels = if self.signed {
            tensor(shape, values.map(|value| level(value) as i8).collect())?
        } else {
            tensor(shape, values.map(|value| level(value) as u8).collect())?
        };
        Ok(tvec!(levels.into_tvalue()))
    }
}
