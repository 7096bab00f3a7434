//! `TensorProto` to a tensor and back.

use bytes::{Bytes, BytesMut};
use half::{bf16, f16};
use modelyard_wire::proto::tensorflow::{DataType as Dtype, TensorProto, TensorShapeProto, tensor_shape_proto};
use modelyard_wire::{Data, DataType, Tensor, element_count};

use super::super::decode::varint;
use super::super::numbers::{dimensions, flags, packed};
use crate::fault::{Code, Fault};

/// TensorFlow's name of a datatype.
pub(super) const fn dtype_of(datatype: DataType) -> Dtype {
    match datatype {
        DataType::Bool => Dtype::DtBool,
        DataType::Uint8 => Dtype::DtUint8,
        DataType::Uint16 => Dtype::DtUint16,
        DataType::Uint32 => Dtype::DtUint32,
        DataType::Uint64 => Dtype::DtUint64,
        DataType::Int8 => Dtype::DtInt8,
        DataType::Int16 => Dtype::DtInt16,
        DataType::Int32 => Dtype::DtInt32,
        DataType::Int64 => Dtype::DtInt64,
        DataType::Fp16 => Dtype::DtHalf,
        DataType::Bf16 => Dtype::DtBfloat16,
        DataType::Fp32 => Dtype::DtFloat,
        DataType::Fp64 => Dtype::DtDouble,
        DataType::Bytes => Dtype::DtString,
    }
}

/// The datatype of one of TensorFlow's numbers.
fn datatype_of(number: i32) -> Result<DataType, Fault> {
    DataType::ALL.into_iter().find(|one| dtype_of(*one) as i32 == number).ok_or_else(|| {
        let found = Dtype::try_from(number).map_or_else(|_| number.to_string(), |known| known.as_str_name().to_owned());
        Fault::invalid(format!("dtype {found} is not served; expected a number, DT_BOOL or DT_STRING"))
    })
}

/// A client's tensor, `limit` bytes at most: one value can stand for a whole shape.
///
/// # Errors
/// `INVALID_ARGUMENT` that says what was found and what was expected, `RESOURCE_EXHAUSTED` past the limit.
pub(super) fn read(proto: TensorProto, limit: u64) -> Result<Tensor, Fault> {
    let datatype = datatype_of(proto.dtype)?;
    let shape = shape(proto.tensor_shape.as_ref())?;
    let Some(count) = element_count(&shape) else { return Err(modelyard_wire::TensorError::TooLarge(shape).into()) };
    let expected = list_of(datatype);
    let found = filled(&proto);
    if !proto.tensor_content.is_empty() {
        if let Some((list, _)) = found.first() {
            return Err(Fault::invalid(format!("it has tensor_content and {list}; expected one of them")));
        }
        if datatype == DataType::Bytes {
            return Ok(Tensor::strings(shape, split_strings(&proto.tensor_content, count)?)?);
        }
        return Ok(Tensor::new(datatype, shape, proto.tensor_content)?);
    }
    if let Some((list, _)) = found.iter().find(|(list, _)| *list != expected) {
        let dtype = dtype_of(datatype).as_str_name();
        return Err(Fault::invalid(format!("{dtype} takes {expected}, found {list}")));
    }
    let have = found.first().map_or(0, |(_, length)| *length);
    if have == 0 && count > 0 {
        return Err(Fault::invalid(format!("it has no data: expected {expected} or tensor_content")));
    }
    let fills = have == 1 && count > 1;
    if fills && count as u64 > limit / datatype.size().unwrap_or(size_of::<Bytes>()) as u64 {
        let message = format!("one value for {count} elements is more than the limit of {limit} bytes (serving.maxRequestBytes)");
        return Err(Fault::new(Code::PayloadTooLarge, message));
    }
    if datatype == DataType::Bytes {
        let strings = if fills { vec![proto.string_val[0].clone(); count] } else { proto.string_val };
        return Ok(Tensor::strings(shape, strings)?);
    }
    let raw = raw(datatype, &proto)?;
    Ok(Tensor::new(datatype, shape, if fills { repeated(&raw, count) } else { raw })?)
}

fn shape(proto: Option<&TensorShapeProto>) -> Result<Vec<usize>, Fault> {
    let Some(proto) = proto else { return Ok(Vec::new()) };
    if proto.unknown_rank {
        return Err(Fault::invalid("its shape has an unknown rank; expected dimensions"));
    }
    dimensions(proto.dim.iter().map(|dim| dim.size))
}

fn repeated(raw: &[u8], count: usize) -> Bytes {
    let mut all = BytesMut::with_capacity(raw.len() * count);
    (0..count).for_each(|_| all.extend_from_slice(raw));
    all.freeze()
}

/// The elements of the list that fits, little-endian.
fn raw(datatype: DataType, of: &TensorProto) -> Result<Bytes, Fault> {
    match datatype {
        DataType::Bool => Ok(flags(&of.bool_val)),
        DataType::Int8 => packed(datatype, &of.int_val, i8::to_le_bytes),
        DataType::Int16 => packed(datatype, &of.int_val, i16::to_le_bytes),
        DataType::Int32 => packed(datatype, &of.int_val, i32::to_le_bytes),
        DataType::Int64 => packed(datatype, &of.int64_val, i64::to_le_bytes),
        DataType::Uint8 => packed(datatype, &of.int_val, u8::to_le_bytes),
        DataType::Uint16 => packed(datatype, &of.int_val, u16::to_le_bytes),
        DataType::Uint32 => packed(datatype, &of.uint32_val, u32::to_le_bytes),
        DataType::Uint64 => packed(datatype, &of.uint64_val, u64::to_le_bytes),
        // The bits, not the value.
        DataType::Fp16 | DataType::Bf16 => packed(datatype, &of.half_val, u16::to_le_bytes),
        DataType::Fp32 => packed(datatype, &of.float_val, f32::to_le_bytes),
        DataType::Fp64 => packed(datatype, &of.double_val, f64::to_le_bytes),
        DataType::Bytes => Ok(Bytes::new()),
    }
}

/// The list that holds a datatype's elements.
const fn list_of(datatype: DataType) -> &'static str {
    match datatype {
        DataType::Bool => "bool_val",
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Uint8 | DataType::Uint16 => "int_val",
        DataType::Int64 => "int64_val",
        DataType::Uint32 => "uint32_val",
        DataType::Uint64 => "uint64_val",
        DataType::Fp16 | DataType::Bf16 => "half_val",
        DataType::Fp32 => "float_val",
        DataType::Fp64 => "double_val",
        DataType::Bytes => "string_val",
    }
}

/// The lists that hold anything, with how much.
fn filled(proto: &TensorProto) -> Vec<(&'static str, usize)> {
    let lists = [
        ("bool_val", proto.bool_val.len()),
        ("int_val", proto.int_val.len()),
        ("int64_val", proto.int64_val.len()),
        ("uint32_val", proto.uint32_val.len()),
        ("uint64_val", proto.uint64_val.len()),
        ("half_val", proto.half_val.len()),
        ("float_val", proto.float_val.len()),
        ("double_val", proto.double_val.len()),
        ("string_val", proto.string_val.len()),
    ];
    lists.into_iter().filter(|(_, length)| *length > 0).collect()
}

/// Strings in `tensor_content`: every length as a varint, then every string. Source: TensorFlow's `EncodeStringList`.
fn split_strings(content: &Bytes, count: usize) -> Result<Vec<Bytes>, Fault> {
    let cut = |element: usize| Fault::invalid(format!("tensor_content ends within string {element} of {count}"));
    let mut rest = &content[..];
    // Each length costs a byte at least, so a declared count cannot make this allocate more than the message did.
    let mut lengths = Vec::with_capacity(count.min(content.len()));
    for element in 0..count {
        let length = varint(&mut rest).ok_or_else(|| cut(element))?;
        lengths.push(usize::try_from(length).map_err(|_| cut(element))?);
    }
    let mut left = content.slice(content.len() - rest.len()..);
    let mut strings = Vec::with_capacity(lengths.len());
    for (element, length) in lengths.into_iter().enumerate() {
        if length > left.len() {
            return Err(cut(element));
        }
        strings.push(left.split_to(length));
    }
    if left.is_empty() {
        return Ok(strings);
    }
    Err(Fault::invalid(format!("tensor_content has {} bytes after the last of {count} strings", left.len())))
}

/// An answer's tensor, in the list that fits its datatype.
pub(super) fn write(tensor: &Tensor) -> TensorProto {
    let dims = tensor
        .shape()
        .iter()
        .map(|size| tensor_shape_proto::Dim { size: i64::try_from(*size).unwrap_or(i64::MAX), name: String::new() });
    let mut proto = TensorProto {
        dtype: dtype_of(tensor.datatype()).into(),
        tensor_shape: Some(TensorShapeProto { dim: dims.collect(), unknown_rank: false }),
        ..TensorProto::default()
    };
    let raw = match tensor.data() {
        Data::Strings(strings) => {
            proto.string_val.clone_from(strings);
            return proto;
        }
        Data::Raw(raw) => raw,
    };
    match tensor.datatype() {
        DataType::Bool => proto.bool_val = raw.iter().map(|byte| *byte != 0).collect(),
        DataType::Uint8 => proto.int_val = raw.iter().map(|byte| i32::from(*byte)).collect(),
        DataType::Int8 => proto.int_val = numbers(raw, |bytes| i8::from_le_bytes(bytes).into()),
        DataType::Uint16 => proto.int_val = numbers(raw, |bytes| u16::from_le_bytes(bytes).into()),
        DataType::Int16 => proto.int_val = numbers(raw, |bytes| i16::from_le_bytes(bytes).into()),
        DataType::Int32 => proto.int_val = numbers(raw, i32::from_le_bytes),
        DataType::Int64 => proto.int64_val = numbers(raw, i64::from_le_bytes),
        DataType::Uint32 => proto.uint32_val = numbers(raw, u32::from_le_bytes),
        DataType::Uint64 => proto.uint64_val = numbers(raw, u64::from_le_bytes),
        DataType::Fp16 => proto.half_val = numbers(raw, |bytes| f16::from_le_bytes(bytes).to_bits().into()),
        DataType::Bf16 => proto.half_val = numbers(raw, |bytes| bf16::from_le_bytes(bytes).to_bits().into()),
        DataType::Fp32 => proto.float_val = numbers(raw, f32::from_le_bytes),
        DataType::Fp64 => proto.double_val = numbers(raw, f64::from_le_bytes),
        // Its elements are strings, written above.
        DataType::Bytes => {}
    }
    proto
}

fn numbers<T, const N: usize>(raw: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn dims(sizes: &[i64]) -> Option<TensorShapeProto> {
        let dim = sizes.iter().map(|size| tensor_shape_proto::Dim { size: *size, name: String::new() }).collect();
        Some(TensorShapeProto { dim, unknown_rank: false })
    }

    proptest! {
        /// Every datatype reads back, typed and as tensor_content.
        #[test]
        fn tensors_read_back(index in 0..DataType::ALL.len(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let datatype = DataType::ALL[index];
            let tensor = match datatype.size() {
                None => Tensor::strings(vec![bytes.len()], bytes.iter().map(|one| vec![*one; 3].into()).collect()).unwrap(),
                Some(size) => {
                    let count = bytes.len() / size;
                    let mut raw = bytes[..count * size].to_vec();
                    if datatype == DataType::Bool {
                        raw.iter_mut().for_each(|one| *one &= 1);
                    }
                    Tensor::new(datatype, vec![count], raw.into()).unwrap()
                }
            };
            let typed = write(&tensor);
            prop_assert_eq!(read(typed.clone(), LIMIT).unwrap().to_raw(), tensor.to_raw());
            if let Data::Raw(raw) = tensor.data() {
                let content = TensorProto {
                    dtype: typed.dtype, tensor_shape: typed.tensor_shape, tensor_content: raw.clone(), ..TensorProto::default()
                };
                prop_assert_eq!(read(content, LIMIT).unwrap(), tensor);
            }
        }
    }

    #[test]
    fn one_value_fills_the_shape_within_the_limit() {
        let proto = |sizes: &[i64]| TensorProto {
            dtype: Dtype::DtFloat.into(),
            tensor_shape: dims(sizes),
            float_val: vec![2.5],
            ..TensorProto::default()
        };
        assert_eq!(read(proto(&[2, 2]), LIMIT).unwrap(), Tensor::from_f32(vec![2, 2], &[2.5; 4]).unwrap());
        assert_eq!(read(proto(&[1 << 40]), LIMIT).unwrap_err().code, Code::PayloadTooLarge);
        assert_eq!(read(proto(&[0]), LIMIT).unwrap_err().code, Code::InvalidArgument);
        let words = TensorProto {
            dtype: Dtype::DtString.into(),
            tensor_shape: dims(&[3]),
            string_val: vec![Bytes::from_static(b"w")],
            ..TensorProto::default()
        };
        assert_eq!(read(words, LIMIT).unwrap().to_raw().len(), 15);
    }

    #[test]
    fn strings_in_content_are_lengths_then_bytes() {
        let proto = |content: &'static [u8]| TensorProto {
            dtype: Dtype::DtString.into(),
            tensor_shape: dims(&[2]),
            tensor_content: Bytes::from_static(content),
            ..TensorProto::default()
        };
        let words = Tensor::strings(vec![2], vec![Bytes::from_static(b"a"), Bytes::from_static(b"bc")]).unwrap();
        assert_eq!(read(proto(b"\x01\x02abc"), LIMIT).unwrap(), words);
        for (content, message) in [
            (&b"\x01\x02ab"[..], "tensor_content ends within string 1 of 2"),
            (b"\x01", "tensor_content ends within string 1 of 2"),
            (b"\x01\x01abc", "tensor_content has 1 bytes after the last of 2 strings"),
        ] {
            assert_eq!(read(proto(content), LIMIT).unwrap_err().message, message);
        }
    }

    #[test]
    fn each_fault_says_what_was_found() {
        let one = |dtype: i32| TensorProto { dtype, tensor_shape: dims(&[2]), ..TensorProto::default() };
        let float = Dtype::DtFloat as i32;
        for (proto, message) in [
            (one(0), "dtype DT_INVALID is not served"),
            (one(8), "dtype DT_COMPLEX64 is not served"),
            (one(999), "dtype 999 is not served"),
            (one(float), "it has no data: expected float_val or tensor_content"),
            (TensorProto { int_val: vec![1, 2], ..one(float) }, "DT_FLOAT takes float_val, found int_val"),
            (TensorProto { float_val: vec![1.0; 3], ..one(float) }, "needs 8 bytes, found 12"),
            (TensorProto { tensor_content: Bytes::from_static(&[0; 7]), ..one(float) }, "needs 8 bytes, found 7"),
            (TensorProto { int_val: vec![1, -1], ..one(Dtype::DtUint8 as i32) }, "element 1 is -1, which UINT8 cannot hold"),
            (
                TensorProto { tensor_content: Bytes::from_static(&[0; 8]), float_val: vec![1.0], ..one(float) },
                "it has tensor_content and float_val; expected one of them",
            ),
            (TensorProto { tensor_shape: dims(&[-1]), ..one(float) }, "dimension 0 of its shape is -1"),
            (TensorProto { tensor_shape: dims(&[i64::MAX, 3]), ..one(float) }, "more elements than can be addressed"),
            (
                TensorProto { tensor_shape: Some(TensorShapeProto { dim: vec![], unknown_rank: true }), ..one(float) },
                "its shape has an unknown rank",
            ),
        ] {
            let fault = read(proto, LIMIT).unwrap_err();
            assert_eq!(fault.code, Code::InvalidArgument);
            assert!(fault.message.contains(message), "{} / {message}", fault.message);
        }
    }
}
