//! Indices, which may be counted back from the end.

use tract_onnx::tract_hir::internal::*;

use crate::engine::tract::ops::numbers::slice;

/// Refuses what is not in `-size..size`.
fn within(index: i64, (axis, size): (usize, usize)) -> TractResult<usize> {
    let counted = if index < 0 { index.saturating_add(size as i64) } else { index };
    let found = usize::try_from(counted).ok().filter(|index| *index < size);
    let least = -(size as i64);
    found.with_context(|| {
        format!("the index is {index}; axis {axis} has {size} elements, so {least} to {} are expected", size as i64 - 1)
    })
}

/// Checks the indices, the second input, along an axis of the first.
pub(super) fn check(inputs: &[TValue], axis: usize) -> TractResult<()> {
    // Weights that are stored in blocks have no such shape.
    if !inputs[0].is_plain_ram() {
        return Ok(());
    }
    let size = inputs[0].shape()[axis];
    slice::<i64>(&*inputs[1].cast_to::<i64>()?)?.iter().try_for_each(|index| within(*index, (axis, size)).map(drop))
}

/// The indices, the second input, of axes of the first from `batch` on: counted from the front.
pub(super) fn counted(inputs: &[TValue], batch: usize) -> TractResult<TValue> {
    let (shape, given) = (inputs[0].shape(), &inputs[1]);
    let mut indices = given.cast_to::<i64>()?.into_owned();
    let axes = given.shape().last().copied().unwrap_or(0);
    ensure!(batch + axes <= shape.len(), "{axes} axes are indexed after {batch}, of {} dimensions", shape.len());
    if axes > 0 {
        for point in indices.try_as_plain_ram_mut()?.as_slice_mut::<i64>()?.chunks_exact_mut(axes) {
            for (axis, index) in point.iter_mut().enumerate() {
                *index = within(*index, (batch + axis, shape[batch + axis]))? as i64;
            }
        }
    }
    Ok(indices.into_tvalue())
}
