//! Values in and out of tract's tensors, and the one loop that matters: the dot product.

use std::borrow::Cow;

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_ndarray::{ArrayD, IxDyn};

use crate::engine::tract::rules::MAX_TENSOR_BYTES;

/// Partial sums of a dot product: two vectors of eight, so that one addition need not wait for the one before.
const LANES: usize = 16;

/// The values of a tensor of `T`.
pub(super) fn slice<T: Datum>(tensor: &Tensor) -> TractResult<&[T]> {
    tensor.try_as_plain_ram()?.as_slice::<T>()
}

/// A tensor that takes the values over.
pub(super) fn tensor<T: Datum>(shape: &[usize], values: Vec<T>) -> TractResult<Tensor> {
    Ok(ArrayD::from_shape_vec(IxDyn(shape), values)?.into_tensor())
}

/// Numbers of any type as FP32, which is what `ai.onnx.ml` computes with.
pub(super) fn floats(tensor: &Tensor) -> TractResult<Cow<'_, [f32]>> {
    Ok(match tensor.cast_to::<f32>()? {
        Cow::Borrowed(same) => Cow::Borrowed(slice(same)?),
        Cow::Owned(cast) => Cow::Owned(slice::<f32>(&cast)?.to_vec()),
    })
}

/// The rows and columns of a table: [N, C], or one row [C].
pub(super) fn table(tensor: &Tensor) -> TractResult<(usize, usize)> {
    match *tensor.shape() {
        [columns] => Ok((1, columns)),
        [rows, columns] => Ok((rows, columns)),
        ref shape => bail!("the input has {} dimensions; expected [rows, columns] or [columns]", shape.len()),
    }
}

/// Refuses what is no number.
pub(super) fn number(kind: DatumType) -> TractResult<()> {
    ensure!(kind.is_number() || kind == bool::datum_type(), "the input is {kind:?}; expected numbers");
    Ok(())
}

/// How many elements a shape has, where a tensor of them could be held.
pub(super) fn elements(shape: &[usize], size: usize) -> TractResult<usize> {
    let count = shape.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim));
    match count.filter(|count| count.saturating_mul(size.max(1)) as u64 <= MAX_TENSOR_BYTES) {
        Some(count) => Ok(count),
        None => bail!("the answer's shape {shape:?} would exceed {MAX_TENSOR_BYTES} bytes"),
    }
}

/// Refuses strings that could not be held, by their lengths in bytes.
pub(super) fn characters(lengths: impl Iterator<Item = usize>) -> TractResult<()> {
    let bytes = lengths.fold(0_usize, usize::saturating_add) as u64;
    ensure!(bytes <= MAX_TENSOR_BYTES, "the answer would have {bytes} bytes of text; at most {MAX_TENSOR_BYTES} are made");
    Ok(())
}

/// The sum of `a[i] * b[i]`.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (head_a, tail_a) = a.as_chunks::<LANES>();
    let (head_b, tail_b) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in head_a.iter().zip(head_b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = tail_a.iter().zip(tail_b).map(|(a, b)| a * b).sum();
    together(sums) + rest
}

/// The sum of `a[i] * b[i]`, in 64 bits.
pub(super) fn weighted(a: &[f32], b: &[f64]) -> f64 {
    let (head_a, tail_a) = a.as_chunks::<LANES>();
    let (head_b, tail_b) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f64; LANES];
    for (a, b) in head_a.iter().zip(head_b) {
        for lane in 0..LANES {
            sums[lane] += f64::from(a[lane]) * b[lane];
        }
    }
    let rest: f64 = tail_a.iter().zip(tail_b).map(|(a, b)| f64::from(*a) * b).sum();
    together(sums) + rest
}

/// The sum of partial sums, by halves: of one after another each addition would wait for the one before.
fn together<T: Copy + std::ops::AddAssign>(mut sums: [T; LANES]) -> T {
    for half in [LANES / 2, LANES / 4, LANES / 8, LANES / 16] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0]
}
