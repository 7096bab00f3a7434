//! Tensors between the wire and tract: one copy in, one or none out.

use std::sync::Arc;

use bytes::Bytes;
use modelyard_wire::{Data, DataType, Tensor};
use pulp::bytemuck::{self, Pod};
use tract_onnx::prelude::tract_ndarray::{ArrayD, IxDyn};
use tract_onnx::prelude::{Datum, DatumType, IntoArcTensor, TValue, TractResult};
use tract_onnx::tract_core::internal::Tensor as Computed;

use crate::engine::RunError;

/// Outputs above this many bytes are lent to the answer; smaller ones are copied, which is cheaper than lending.
const LEND_ABOVE: usize = 16 << 10;

// Wire and memory hold numbers alike.
const _: () = assert!(cfg!(target_endian = "little"));

/// tract's name for a datatype; `None` for BF16, which it has not.
const fn datum_type(datatype: DataType) -> Option<DatumType> {
    Some(match datatype {
        DataType::Bool => DatumType::Bool,
        DataType::Uint8 => DatumType::U8,
        DataType::Uint16 => DatumType::U16,
        DataType::Uint32 => DatumType::U32,
        DataType::Uint64 => DatumType::U64,
        DataType::Int8 => DatumType::I8,
        DataType::Int16 => DatumType::I16,
        DataType::Int32 => DatumType::I32,
        DataType::Int64 => DatumType::I64,
        DataType::Fp16 => DatumType::F16,
        DataType::Fp32 => DatumType::F32,
        DataType::Fp64 => DatumType::F64,
        DataType::Bytes => DatumType::String,
        DataType::Bf16 => return None,
    })
}

/// The wire's name for what tract computed. Its symbolic integers (`TDim`) leave as INT64, its quantised ones as what they hold.
pub(super) const fn wire_datatype(datum_type: DatumType) -> Option<DataType> {
    Some(match datum_type {
        DatumType::Bool => DataType::Bool,
        DatumType::U8 | DatumType::QU8(_) => DataType::Uint8,
        DatumType::U16 => DataType::Uint16,
        DatumType::U32 => DataType::Uint32,
        DatumType::U64 => DataType::Uint64,
        DatumType::I8 | DatumType::QI8(_) => DataType::Int8,
        DatumType::I16 => DataType::Int16,
        DatumType::I32 | DatumType::QI32(_) => DataType::Int32,
        DatumType::I64 | DatumType::TDim => DataType::Int64,
        DatumType::F16 => DataType::Fp16,
        DatumType::F32 => DataType::Fp32,
        DatumType::F64 => DataType::Fp64,
        DatumType::String => DataType::Bytes,
        DatumType::Blob => return None,
    })
}

/// An input for tract. `name` is for the error.
pub(super) fn to_tract(tensor: &Tensor, name: &str) -> Result<TValue, RunError> {
    let datatype = tensor.datatype();
    let Some(kind) = datum_type(datatype) else {
        return Err(RunError::InvalidData(format!("input '{name}': this engine does not compute with {datatype}")));
    };
    match tensor.data() {
        Data::Strings(strings) => strings_to_tract(strings, tensor.shape(), name),
        Data::Raw(raw) => {
            if kind == DatumType::Bool
                && let Some(at) = raw.iter().position(|byte| *byte > 1)
            {
                let found = raw[at];
                return Err(RunError::InvalidData(format!("input '{name}': element {at} of BOOL is {found}; expected 0 or 1")));
            }
            let shape = tensor.shape();
            let copied = match kind {
                DatumType::F32 => copied::<f32>(raw, shape),
                DatumType::F64 => copied::<f64>(raw, shape),
                DatumType::I32 => copied::<i32>(raw, shape),
                DatumType::I64 => copied::<i64>(raw, shape),
                DatumType::U8 => copied::<u8>(raw, shape),
                _ => Computed::zero_dt(kind, shape).map(|mut zeros| {
                    zeros.as_bytes_mut().copy_from_slice(raw);
                    zeros
                }),
            };
            Ok(copied.map_err(internal)?.into())
        }
    }
}

/// The tensor of the types that models mostly have: without zeros first, which tract writes one by one.
fn copied<T: Datum + Pod>(raw: &[u8], shape: &[usize]) -> TractResult<Computed> {
    match bytemuck::try_cast_slice(raw) {
        Ok(values) => Computed::from_shape::<T>(shape, values),
        // The wire promises no alignment.
        Err(_) => Computed::from_shape::<T>(shape, &bytemuck::pod_collect_to_vec(raw)),
    }
}

fn strings_to_tract(strings: &[Bytes], shape: &[usize], name: &str) -> Result<TValue, RunError> {
    let mut texts = Vec::with_capacity(strings.len());
    for (at, bytes) in strings.iter().enumerate() {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(RunError::InvalidData(format!("input '{name}': element {at} of BYTES is not UTF-8")));
        };
        texts.push(text.to_owned());
    }
    let array = ArrayD::from_shape_vec(IxDyn(shape), texts).map_err(internal)?;
    Ok(Computed::from(array).into())
}

/// An output for the wire.
pub(super) fn from_tract(value: TValue, name: &str) -> Result<Tensor, RunError> {
    let datum = value.datum_type();
    let Some(datatype) = wire_datatype(datum) else {
        return Err(RunError::Internal(format!("output '{name}' has a datatype that no protocol carries: {datum:?}")));
    };
    let shape = value.shape().to_vec();
    if !value.is_plain_ram() {
        return Err(RunError::Internal(format!("output '{name}' is not laid out as a plain tensor")));
    }
    if datatype == DataType::Bytes {
        let texts = texts(&value).map_err(internal)?;
        return Tensor::strings(shape, texts).map_err(internal);
    }
    let computed = match datum {
        DatumType::TDim => Arc::new(value.cast_to::<i64>().map_err(internal)?.into_owned()),
        _ => value.into_arc_tensor(),
    };
    let raw = if computed.as_bytes().len() > LEND_ABOVE {
        Bytes::from_owner(Lent(computed))
    } else {
        Bytes::copy_from_slice(computed.as_bytes())
    };
    Tensor::new(datatype, shape, raw).map_err(internal)
}

fn texts(value: &TValue) -> TractResult<Vec<Bytes>> {
    let view = value.try_as_plain_ram()?;
    Ok(view.as_slice::<String>()?.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect())
}

/// tract's memory, kept until the answer is sent.
struct Lent(Arc<Computed>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn internal(error: impl std::fmt::Display) -> RunError {
    RunError::Internal(error.to_string())
}
