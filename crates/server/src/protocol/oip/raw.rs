//! The raw mode of the binary tensor extension: `Inference-Header-Content-Length: 0`, and the body is one tensor's bytes, so that
//! `curl --data-binary @file` is enough. Legal where the size of the body alone tells the shape.

use std::borrow::Cow;

use bytes::Bytes;
use modelyard_wire::json::oip::{NamedTensor, Request};
use modelyard_wire::{Tensor, element_count};

use crate::fault::Fault;
use crate::signature::{Signature, TensorSpec};

/// The request that a raw body stands for: its one input, all outputs.
///
/// # Errors
/// `INVALID_ARGUMENT` where the model or the body's size leaves the shape open.
pub(super) fn request<'a>(signature: &'a Signature, body: &Bytes) -> Result<Request<'a>, Fault> {
    let [spec] = &signature.inputs[..] else {
        return Err(Fault::invalid(format!(
            "a raw body (Inference-Header-Content-Length: 0) needs a model with one input, this one has {}",
            signature.inputs.len()
        )));
    };
    if body.is_empty() {
        return Err(Fault::invalid("a raw body (Inference-Header-Content-Length: 0) must not be empty"));
    }
    let tensor = if spec.datatype.size().is_some() { numbers(signature, spec, body)? } else { string(spec, body)? };
    Ok(Request { inputs: vec![NamedTensor { name: Cow::Borrowed(&spec.name), tensor }], ..Request::default() })
}

/// The one free dimension follows from the body's size. Where another than the batch is free too, the batch is one row.
fn numbers(signature: &Signature, spec: &TensorSpec, body: &Bytes) -> Result<Tensor, Fault> {
    let name = &spec.name;
    let mut shape = spec.shape.clone();
    let free = |shape: &[i64]| shape.iter().filter(|dim| **dim < 0).count();
    if signature.batched && free(&shape) > 1 {
        shape[0] = 1;
    }
    if free(&shape) > 1 {
        return Err(Fault::invalid(format!(
            "input '{name}': a raw body leaves the shape {:?} open; send the shape with the request's JSON",
            spec.shape
        )));
    }
    let known: Vec<usize> = shape.iter().filter_map(|dim| usize::try_from(*dim).ok()).collect();
    let row = element_count(&known).and_then(|count| count.checked_mul(spec.datatype.size()?)).filter(|row| *row > 0);
    let rows = row.filter(|row| body.len().is_multiple_of(*row)).map(|row| body.len() / row);
    let Some(rows) = rows.filter(|rows| *rows == 1 || free(&shape) == 1) else {
        let times = if free(&shape) == 1 { "a multiple of " } else { "" };
        return Err(Fault::invalid(format!(
            "input '{name}': a raw body of shape {:?} and datatype {} has {times}{} bytes, found {}",
            spec.shape,
            spec.datatype,
            row.unwrap_or(0),
            body.len()
        )));
    };
    let shape = shape.iter().map(|dim| usize::try_from(*dim).unwrap_or(rows)).collect();
    Ok(Tensor::new(spec.datatype, shape, body.clone())?)
}

/// One string, without a length before it.
fn string(spec: &TensorSpec, body: &Bytes) -> Result<Tensor, Fault> {
    if spec.shape.iter().any(|dim| *dim > 1 || *dim == 0) {
        return Err(Fault::invalid(format!(
            "input '{}': a raw body is one string, the model takes the shape {:?}",
            spec.name, spec.shape
        )));
    }
    Ok(Tensor::strings(vec![1; spec.shape.len()], vec![body.clone()])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelyard_wire::DataType;

    fn read(datatype: DataType, shape: &[i64], batched: bool, size: usize) -> Result<Vec<usize>, String> {
        let spec = TensorSpec { name: "x".to_owned(), datatype, shape: shape.to_vec() };
        let signature = Signature { inputs: vec![spec], outputs: Vec::new(), batched };
        let body = Bytes::from(vec![0; size]);
        request(&signature, &body).map(|request| request.inputs[0].tensor.shape().to_vec()).map_err(|fault| fault.message)
    }

    #[test]
    fn the_size_tells_the_shape() {
        assert_eq!(read(DataType::Fp32, &[-1, 3], true, 24), Ok(vec![2, 3]));
        assert_eq!(read(DataType::Fp32, &[-1, -1, 2], true, 24), Ok(vec![1, 3, 2]));
        assert_eq!(read(DataType::Fp32, &[2, 3], false, 24), Ok(vec![2, 3]));
        assert_eq!(read(DataType::Bytes, &[-1, 1], true, 5), Ok(vec![1, 1]));
        for (datatype, shape, batched, size, message) in [
            (
                DataType::Fp32,
                &[-1, 3][..],
                true,
                23,
                "input 'x': a raw body of shape [-1, 3] and datatype FP32 has a multiple of 12 bytes, found 23",
            ),
            (
                DataType::Fp32,
                &[2, 3],
                false,
                48,
                "input 'x': a raw body of shape [2, 3] and datatype FP32 has 24 bytes, found 48",
            ),
            (DataType::Fp32, &[-1, -1], false, 8, "input 'x': a raw body leaves the shape [-1, -1] open"),
            (DataType::Fp32, &[-1, -1, -1], true, 8, "input 'x': a raw body leaves the shape"),
            (DataType::Fp32, &[-1, 0], true, 8, "input 'x': a raw body of shape [-1, 0]"),
            (DataType::Bytes, &[-1, 2], true, 8, "input 'x': a raw body is one string"),
            (DataType::Fp32, &[-1, 3], true, 0, "a raw body (Inference-Header-Content-Length: 0) must not be empty"),
        ] {
            let found = read(datatype, shape, batched, size).unwrap_err();
            assert!(found.starts_with(message), "{found}");
        }
    }
}
