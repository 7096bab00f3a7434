//! Tensors between the wire and ONNX Runtime: one copy in, one out (texts are copied once more, by the crate).

use bytes::Bytes;
use half::{bf16, f16};
use modelyard_wire::{Data, DataType, Tensor};
use ort::session::Session;
use ort::value::{DynValue, TensorElementType, ValueType};

use crate::engine::RunError;
use crate::signature::TensorSpec;

/// The wire's name for a datatype; `None` for those that no protocol carries.
const fn wire_datatype(element: TensorElementType) -> Option<DataType> {
    Some(match element {
        TensorElementType::Bool => DataType::Bool,
        TensorElementType::Uint8 => DataType::Uint8,
        TensorElementType::Uint16 => DataType::Uint16,
        TensorElementType::Uint32 => DataType::Uint32,
        TensorElementType::Uint64 => DataType::Uint64,
        TensorElementType::Int8 => DataType::Int8,
        TensorElementType::Int16 => DataType::Int16,
        TensorElementType::Int32 => DataType::Int32,
        TensorElementType::Int64 => DataType::Int64,
        TensorElementType::Float16 => DataType::Fp16,
        TensorElementType::Bfloat16 => DataType::Bf16,
        TensorElementType::Float32 => DataType::Fp32,
        TensorElementType::Float64 => DataType::Fp64,
        TensorElementType::String => DataType::Bytes,
        _ => return None,
    })
}

/// What a session gives; `None` where an output is no tensor, or of a datatype that no protocol carries.
pub(super) fn specs(session: &Session) -> Option<Vec<TensorSpec>> {
    let spec = |outlet: &ort::value::Outlet| {
        let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else { return None };
        let shape = shape.iter().map(|size| if *size > 0 { *size } else { -1 }).collect();
        Some(TensorSpec { name: outlet.name().to_owned(), datatype: wire_datatype(*ty)?, shape })
    };
    session.outputs().iter().map(spec).collect()
}

/// Calls `$body!(type, bytes of an element)` for a datatype of numbers.
macro_rules! for_number {
    ($datatype:expr, $body:ident) => {
        match $datatype {
            DataType::Uint8 => $body!(u8, 1),
            DataType::Uint16 => $body!(u16, 2),
            DataType::Uint32 => $body!(u32, 4),
            DataType::Uint64 => $body!(u64, 8),
            DataType::Int8 => $body!(i8, 1),
            DataType::Int16 => $body!(i16, 2),
            DataType::Int32 => $body!(i32, 4),
            DataType::Int64 => $body!(i64, 8),
            DataType::Fp16 => $body!(f16, 2),
            DataType::Bf16 => $body!(bf16, 2),
            DataType::Fp32 => $body!(f32, 4),
            DataType::Fp64 => $body!(f64, 8),
            DataType::Bool | DataType::Bytes => Err(RunError::Internal("no datatype of numbers".to_owned())),
        }
    };
}

/// An input for ONNX Runtime. `name` is for the error.
pub(super) fn to_ort(tensor: &Tensor, name: &str) -> Result<DynValue, RunError> {
    let shape = tensor.shape().to_vec();
    let raw = match tensor.data() {
        Data::Raw(raw) => raw,
        Data::Strings(strings) => return strings_to_ort(strings, shape, name),
    };
    if tensor.datatype() == DataType::Bool {
        if let Some(at) = raw.iter().position(|byte| *byte > 1) {
            let found = raw[at];
            return Err(RunError::InvalidData(format!("input '{name}': element {at} of BOOL is {found}; expected 0 or 1")));
        }
        let values: Vec<bool> = raw.iter().map(|byte| *byte == 1).collect();
        return ort::value::Tensor::from_array((shape, values)).map(|value| value.into_dyn()).map_err(internal);
    }
    macro_rules! numbers {
        ($number:ty, $size:literal) => {{
            let values: Vec<$number> = raw.as_chunks::<$size>().0.iter().map(|bytes| <$number>::from_le_bytes(*bytes)).collect();
            ort::value::Tensor::from_array((shape, values)).map(|value| value.into_dyn()).map_err(internal)
        }};
    }
    for_number!(tensor.datatype(), numbers)
}

fn strings_to_ort(strings: &[Bytes], shape: Vec<usize>, name: &str) -> Result<DynValue, RunError> {
    let mut texts = Vec::with_capacity(strings.len());
    for (at, bytes) in strings.iter().enumerate() {
        match std::str::from_utf8(bytes) {
            // Not borrowed: the crate wants texts that could live for ever, and copies them itself.
            Ok(text) if !text.contains('\0') => texts.push(text.to_owned()),
            Ok(_) => {
                let message = format!("input '{name}': element {at} of BYTES holds a NUL, which this engine cannot read past");
                return Err(RunError::InvalidData(message));
            }
            Err(_) => return Err(RunError::InvalidData(format!("input '{name}': element {at} of BYTES is not UTF-8"))),
        }
    }
    let value = ort::value::Tensor::from_string_array((shape, texts.as_slice())).map_err(internal)?;
    Ok(value.into_dyn())
}

/// An output for the wire.
pub(super) fn from_ort(value: &DynValue, name: &str) -> Result<Tensor, RunError> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
        return Err(RunError::Internal(format!("output '{name}' is not a tensor")));
    };
    let Some(datatype) = wire_datatype(*ty) else {
        return Err(RunError::Internal(format!("output '{name}' has a datatype that no protocol carries: {ty}")));
    };
    let dims = shape.iter().map(|size| usize::try_from(*size)).collect::<Result<Vec<_>, _>>().map_err(internal)?;
    if datatype == DataType::Bytes {
        let (_, texts) = value.try_extract_strings().map_err(internal)?;
        return Tensor::strings(dims, texts.into_iter().map(Bytes::from).collect()).map_err(internal);
    }
    if datatype == DataType::Bool {
        let (_, values) = value.try_extract_tensor::<bool>().map_err(internal)?;
        return Tensor::new(datatype, dims, values.iter().map(|value| u8::from(*value)).collect()).map_err(internal);
    }
    macro_rules! numbers {
        ($number:ty, $size:literal) => {{
            let (_, values) = value.try_extract_tensor::<$number>().map_err(internal)?;
            let mut raw = vec![0; values.len() * $size];
            raw.as_chunks_mut::<$size>().0.iter_mut().zip(values).for_each(|(bytes, value)| *bytes = value.to_le_bytes());
            Tensor::new(datatype, dims, Bytes::from(raw)).map_err(internal)
        }};
    }
    for_number!(datatype, numbers)
}

fn internal(error: impl std::fmt::Display) -> RunError {
    RunError::Internal(error.to_string())
}
