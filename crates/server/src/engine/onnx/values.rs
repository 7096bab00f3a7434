//! The values of a tensor that an attribute holds.

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;

use super::attributes::{Wrong, readable};
use super::weights::{datatype_name, element_bytes, element_count, is_external};

/// A list of values of one type.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) enum Values {
    Texts(Vec<String>),
    Ints(Vec<i64>),
    Int32s(Vec<i32>),
    Int16s(Vec<i16>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
}

impl Values {
    /// How many there are.
    pub(in crate::engine) fn len(&self) -> usize {
        match self {
            Self::Texts(all) => all.len(),
            Self::Ints(all) => all.len(),
            Self::Int32s(all) => all.len(),
            Self::Int16s(all) => all.len(),
            Self::Floats(all) => all.len(),
            Self::Doubles(all) => all.len(),
        }
    }

    /// Those of a tensor that lies in the file itself, in the file's order. FP16 is widened to FP32, UINT8 to INT32.
    ///
    /// # Errors
    /// What is wrong with the tensor, in words that follow its name.
    pub(in crate::engine) fn of(tensor: &TensorProto) -> Result<Self, Wrong> {
        let (name, kind) = (datatype_name(tensor.data_type), DataType::try_from(tensor.data_type));
        if is_external(tensor) {
            return Err("its values are in another file".to_owned());
        }
        let Some((count, size)) = element_count(&tensor.dims).zip(element_bytes(tensor.data_type)) else {
            return Err(format!("a tensor of {name} and shape {:?} is not supported", tensor.dims));
        };
        let raw = &tensor.raw_data;
        let values = match kind {
            Ok(DataType::String) => {
                let text = |bytes: &Vec<u8>| readable(bytes).map(str::to_owned).map_err(|wrong| format!("a text {wrong}"));
                Self::Texts(tensor.string_data.iter().map(text).collect::<Result<_, _>>()?)
            }
            Ok(DataType::Int64) => Self::Ints(stored(tensor, &tensor.int64_data, i64::from_le_bytes)),
            Ok(DataType::Int32) => Self::Int32s(stored(tensor, &tensor.int32_data, i32::from_le_bytes)),
            Ok(DataType::Int16) => {
                Self::Int16s(stored(tensor, &narrow(tensor, |value| i16::try_from(value).ok())?, i16::from_le_bytes))
            }
            Ok(DataType::Uint8) => {
                let short = stored(tensor, &narrow(tensor, |value| u8::try_from(value).ok())?, u8::from_le_bytes);
                Self::Int32s(short.into_iter().map(i32::from).collect())
            }
            Ok(DataType::Float) => Self::Floats(stored(tensor, &tensor.float_data, f32::from_le_bytes)),
            Ok(DataType::Float16) => {
                let bits = stored(tensor, &narrow(tensor, |value| u16::try_from(value).ok())?, u16::from_le_bytes);
                Self::Floats(bits.into_iter().map(|bits| half::f16::from_bits(bits).to_f32()).collect())
            }
            Ok(DataType::Double) => Self::Doubles(stored(tensor, &tensor.double_data, f64::from_le_bytes)),
            _ => return Err(format!("a tensor of {name} is not supported")),
        };
        let whole = raw.is_empty() || raw.len() as u64 == count.saturating_mul(size);
        if !whole || values.len() as u64 != count {
            return Err(format!("its shape {:?} needs {count} values, found {}", tensor.dims, values.len()));
        }
        Ok(values)
    }
}

/// The raw values where there are any, otherwise those listed.
fn stored<T: Clone, const N: usize>(tensor: &TensorProto, listed: &[T], of: fn([u8; N]) -> T) -> Vec<T> {
    match &*tensor.raw_data {
        [] => listed.to_vec(),
        raw => raw.as_chunks().0.iter().map(|bytes| of(*bytes)).collect(),
    }
}

/// Listed values of fewer than 32 bits.
fn narrow<T>(tensor: &TensorProto, of: fn(i32) -> Option<T>) -> Result<Vec<T>, Wrong> {
    let bits = 8 * size_of::<T>();
    let fit = |value: &i32| of(*value).ok_or_else(|| format!("{value} is no {bits} bit integer"));
    tensor.int32_data.iter().map(fit).collect()
}
