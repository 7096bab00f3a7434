//! Whether a model computes its rows one by one, as probes of engines ask it: two rows together against each alone.

use modelyard_wire::{Data, Tensor};

/// One of a tensor's two rows.
pub(super) fn half(tensor: &Tensor, at: usize) -> Option<Tensor> {
    let mut shape = tensor.shape().to_vec();
    if *shape.first()? != 2 {
        return None;
    }
    shape[0] = 1;
    match tensor.data() {
        Data::Raw(raw) => Tensor::new(tensor.datatype(), shape, raw.slice(raw.len() / 2 * at..raw.len() / 2 * (at + 1))).ok(),
        Data::Strings(all) => Tensor::strings(shape, all[all.len() / 2 * at..all.len() / 2 * (at + 1)].to_vec()).ok(),
    }
}

/// Equal but for the rounding of another order of sums.
pub(super) fn nearly(a: &Tensor, b: &Tensor) -> bool {
    let close = |a: &f64, b: &f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-4 + 1e-3 * b.abs();
    a.shape() == b.shape()
        && match (a.to_f64(), b.to_f64()) {
            (Some(a), Some(b)) => a.iter().zip(&b).all(|(a, b)| close(a, b)),
            _ => a == b,
        }
}
