//! The tensors of a `ModelInferRequest`: all of them raw, or all of them typed.

use bytes::Bytes;
use modelyard_wire::proto::inference::model_infer_request::InferInputTensor;
use modelyard_wire::proto::inference::{InferTensorContents, ModelInferRequest};
use modelyard_wire::{DataType, Tensor};

use super::super::numbers::{dimensions, flags, of_input, packed};
use crate::fault::{Code, Fault};

/// The inputs by name, in the request's order. Raw ones share the request's memory.
///
/// # Errors
/// `INVALID_ARGUMENT` that names the input, what was found and what was expected.
pub(super) fn tensors(request: &mut ModelInferRequest) -> Result<Vec<(String, Tensor)>, Fault> {
    let inputs = std::mem::take(&mut request.inputs);
    let raw = std::mem::take(&mut request.raw_input_contents);
    if !raw.is_empty() && raw.len() != inputs.len() {
        let (expected, found) = (inputs.len(), raw.len());
        return Err(Fault::invalid(format!("raw_input_contents: expected {expected} entries, one per input, found {found}")));
    }
    let mut raw = raw.into_iter();
    let mut named = Vec::with_capacity(inputs.len());
    for mut input in inputs {
        let name = std::mem::take(&mut input.name);
        let tensor = tensor(input, raw.next()).map_err(|fault| of_input(&name, fault))?;
        named.push((name, tensor));
    }
    Ok(named)
}

fn tensor(input: InferInputTensor, raw: Option<Bytes>) -> Result<Tensor, Fault> {
    if input.parameters.keys().any(|key| key.starts_with("shared_memory_")) {
        return Err(Fault::new(Code::Unimplemented, "this server has no shared memory; send the data in the request"));
    }
    let datatype: DataType = input.datatype.parse().map_err(|error| Fault::invalid(format!("{error}")))?;
    let shape = dimensions(input.shape.into_iter())?;
    let contents = input.contents.unwrap_or_default();
    let Some(raw) = raw else { return typed(datatype, shape, contents) };
    if let Some((list, _)) = filled(&contents).next() {
        return Err(Fault::invalid(format!("it has {list}, and the request has raw_input_contents; expected one of them")));
    }
    Ok(Tensor::new(datatype, shape, raw)?)
}

/// A tensor of the one list that fits its datatype.
fn typed(datatype: DataType, shape: Vec<usize>, contents: InferTensorContents) -> Result<Tensor, Fault> {
    let Some(expected) = list_of(datatype) else {
        return Err(Fault::invalid(format!("{datatype} has no typed contents; expected raw_input_contents")));
    };
    if let Some((found, _)) = filled(&contents).find(|(list, _)| *list != expected) {
        return Err(Fault::invalid(format!("{datatype} takes {expected}, found {found}")));
    }
    if filled(&contents).next().is_none() && !shape.contains(&0) {
        return Err(Fault::invalid(format!("it has no data: expected {expected}, or raw_input_contents")));
    }
    if datatype == DataType::Bytes {
        return Ok(Tensor::strings(shape, contents.bytes_contents)?);
    }
    let of = &contents;
    let raw = match datatype {
        DataType::Bool => flags(&of.bool_contents),
        DataType::Int8 => packed(datatype, &of.int_contents, i8::to_le_bytes)?,
        DataType::Int16 => packed(datatype, &of.int_contents, i16::to_le_bytes)?,
        DataType::Int32 => packed(datatype, &of.int_contents, i32::to_le_bytes)?,
        DataType::Int64 => packed(datatype, &of.int64_contents, i64::to_le_bytes)?,
        DataType::Uint8 => packed(datatype, &of.uint_contents, u8::to_le_bytes)?,
        DataType::Uint16 => packed(datatype, &of.uint_contents, u16::to_le_bytes)?,
        DataType::Uint32 => packed(datatype, &of.uint_contents, u32::to_le_bytes)?,
        DataType::Uint64 => packed(datatype, &of.uint64_contents, u64::to_le_bytes)?,
        DataType::Fp32 => packed(datatype, &of.fp32_contents, f32::to_le_bytes)?,
        DataType::Fp64 => packed(datatype, &of.fp64_contents, f64::to_le_bytes)?,
        DataType::Fp16 | DataType::Bf16 | DataType::Bytes => Bytes::new(),
    };
    Ok(Tensor::new(datatype, shape, raw)?)
}

/// The list that holds a datatype's elements.
const fn list_of(datatype: DataType) -> Option<&'static str> {
    Some(match datatype {
        DataType::Bool => "bool_contents",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int_contents",
        DataType::Int64 => "int64_contents",
        DataType::Uint8 | DataType::Uint16 | DataType::Uint32 => "uint_contents",
        DataType::Uint64 => "uint64_contents",
        DataType::Fp32 => "fp32_contents",
        DataType::Fp64 => "fp64_contents",
        DataType::Bytes => "bytes_contents",
        DataType::Fp16 | DataType::Bf16 => return None,
    })
}

/// The lists that hold anything, with how much.
fn filled(contents: &InferTensorContents) -> impl Iterator<Item = (&'static str, usize)> {
    [
        ("bool_contents", contents.bool_contents.len()),
        ("int_contents", contents.int_contents.len()),
        ("int64_contents", contents.int64_contents.len()),
        ("uint_contents", contents.uint_contents.len()),
        ("uint64_contents", contents.uint64_contents.len()),
        ("fp32_contents", contents.fp32_contents.len()),
        ("fp64_contents", contents.fp64_contents.len()),
        ("bytes_contents", contents.bytes_contents.len()),
    ]
    .into_iter()
    .filter(|(_, length)| *length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(datatype: &str, shape: &[i64], contents: Option<InferTensorContents>) -> InferInputTensor {
        InferInputTensor { name: "x".into(), datatype: datatype.into(), shape: shape.to_vec(), contents, ..Default::default() }
    }

    fn read(inputs: Vec<InferInputTensor>, raw: Vec<Bytes>) -> Result<Vec<(String, Tensor)>, Fault> {
        tensors(&mut ModelInferRequest { inputs, raw_input_contents: raw, ..Default::default() })
    }

    #[test]
    fn every_datatype_has_its_list() {
        let all = InferTensorContents {
            bool_contents: vec![true, false],
            int_contents: vec![-1, 2],
            int64_contents: vec![i64::MIN, 2],
            uint_contents: vec![1, 2],
            uint64_contents: vec![u64::MAX, 2],
            fp32_contents: vec![1.5, -0.0],
            fp64_contents: vec![f64::NAN, 2.0],
            bytes_contents: vec![Bytes::from_static(b"a"), Bytes::new()],
        };
        for datatype in DataType::ALL {
            let mut one = InferTensorContents::default();
            match list_of(datatype) {
                Some("bool_contents") => one.bool_contents.clone_from(&all.bool_contents),
                Some("int_contents") => one.int_contents.clone_from(&all.int_contents),
                Some("int64_contents") => one.int64_contents.clone_from(&all.int64_contents),
                Some("uint_contents") => one.uint_contents.clone_from(&all.uint_contents),
                Some("uint64_contents") => one.uint64_contents.clone_from(&all.uint64_contents),
                Some("fp32_contents") => one.fp32_contents.clone_from(&all.fp32_contents),
                Some("fp64_contents") => one.fp64_contents.clone_from(&all.fp64_contents),
                Some(_) => one.bytes_contents.clone_from(&all.bytes_contents),
                None => {
                    let fault = read(vec![input(datatype.as_str(), &[2], Some(all.clone()))], vec![]).unwrap_err();
                    let message = format!("input 'x': {datatype} has no typed contents; expected raw_input_contents");
                    assert_eq!(fault.message, message);
                    continue;
                }
            }
            let typed = read(vec![input(datatype.as_str(), &[2], Some(one))], vec![]).unwrap();
            assert_eq!((typed[0].1.datatype(), typed[0].1.shape()), (datatype, &[2][..]));
            let raw = read(vec![input(datatype.as_str(), &[2], None)], vec![typed[0].1.to_raw()]).unwrap();
            assert_eq!(raw, typed);
        }
    }

    #[test]
    fn each_fault_names_the_input() {
        let floats = InferTensorContents { fp32_contents: vec![1.0], ..Default::default() };
        let wide = InferTensorContents { int_contents: vec![300], ..Default::default() };
        let raw = || vec![Bytes::from_static(&[0; 4])];
        for (inputs, raw, message) in [
            (
                vec![input("FP32", &[1], Some(floats.clone()))],
                raw(),
                "it has fp32_contents, and the request has raw_input_contents",
            ),
            (vec![input("FP32", &[1], None)], vec![], "it has no data: expected fp32_contents, or raw_input_contents"),
            (vec![input("INT64", &[1], Some(floats.clone()))], vec![], "INT64 takes int64_contents, found fp32_contents"),
            (vec![input("INT8", &[1], Some(wide))], vec![], "element 0 is 300, which INT8 cannot hold"),
            (vec![input("FP32", &[2], Some(floats))], vec![], "needs 8 bytes, found 4"),
            (vec![input("FP32", &[2], None)], raw(), "needs 8 bytes, found 4"),
            (vec![input("FP32", &[-1], None)], raw(), "dimension 0 of its shape is -1"),
            (vec![input("FLOAT", &[1], None)], raw(), "unknown datatype 'FLOAT'"),
            (vec![input("FP32", &[i64::MAX, 9], None)], raw(), "more elements than can be addressed"),
            (vec![input("BYTES", &[2], None)], raw(), "BYTES data is cut short at byte 4"),
        ] {
            let found = read(inputs, raw).unwrap_err();
            assert_eq!(found.code, Code::InvalidArgument);
            assert!(found.message.starts_with("input 'x': ") && found.message.contains(message), "{}", found.message);
        }
        let two = vec![input("FP32", &[1], None), input("FP32", &[1], None)];
        for entries in [1, 3] {
            let raw = vec![Bytes::from_static(&[0; 4]); entries];
            let message = format!("raw_input_contents: expected 2 entries, one per input, found {entries}");
            assert_eq!(read(two.clone(), raw).unwrap_err().message, message);
        }
    }
}
