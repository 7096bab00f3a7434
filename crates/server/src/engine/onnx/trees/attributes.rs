//! A node's attributes by name, in the datatypes that tree nodes have.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

use crate::engine::onnx::weights::{datatype_name, element_count};

/// The attributes of a node.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Attributes<'a>(pub(in crate::engine) &'a NodeProto);

/// Numbers, and whether they are FP64.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) values: Vec<f64>,
    pub(super) double: bool,
}

impl<'a> Attributes<'a> {
    fn get(self, name: &str) -> Option<&'a AttributeProto> {
        self.0.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// Integers; empty where absent.
    pub(in crate::engine) fn integers(self, name: &str) -> &'a [i64] {
        self.get(name).map_or(&[], |attribute| &attribute.ints)
    }

    /// An integer.
    pub(super) fn integer(self, name: &str) -> Option<i64> {
        self.get(name).map(|attribute| attribute.i)
    }

    /// Byte strings; empty where absent.
    pub(super) fn strings(self, name: &str) -> &'a [Vec<u8>] {
        self.get(name).map_or(&[], |attribute| &attribute.strings)
    }

    /// Strings; empty where absent.
    pub(in crate::engine) fn texts(self, name: &str) -> Result<Vec<String>, String> {
        let text =
            |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).map_err(|_| format!("{name} holds a string that is not UTF-8"));
        self.strings(name).iter().map(text).collect()
    }

    /// A string, or `default` where absent.
    pub(super) fn text(self, name: &str, default: &'a str) -> &'a str {
        self.get(name).map_or(default, |attribute| std::str::from_utf8(&attribute.s).unwrap_or("(not UTF-8)"))
    }

    /// FP32 listed under `name`, or FP32 or FP64 in the tensor `{name}_as_tensor`; empty where both are absent.
    pub(super) fn numbers(self, name: &str) -> Result<Numbers, String> {
        let tensor = format!("{name}_as_tensor");
        match (self.get(name), self.get(&tensor).and_then(|attribute| attribute.t.as_ref())) {
            (Some(list), Some(_)) if !list.floats.is_empty() => Err(format!("{name} and {tensor} are both given")),
            (_, Some(found)) => values(found, &tensor),
            (list, None) => {
                let values = list.map_or(&[][..], |list| &list.floats).iter().map(|value| f64::from(*value)).collect();
                Ok(Numbers { values, double: false })
            }
        }
    }

    /// The numbers of a tensor; empty where absent.
    pub(super) fn tensor(self, name: &str) -> Result<Numbers, String> {
        match self.get(name).and_then(|attribute| attribute.t.as_ref()) {
            Some(found) => values(found, name),
            None => Ok(Numbers::default()),
        }
    }
}

/// The numbers of a tensor that lies in the file itself.
fn values(tensor: &TensorProto, name: &str) -> Result<Numbers, String> {
    let raw = &tensor.raw_data;
    let short = |value: u16| f64::from(half::f16::from_bits(value));
    let (values, double): (Vec<f64>, bool) = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) if raw.is_empty() => (tensor.float_data.iter().map(|value| f64::from(*value)).collect(), false),
        Ok(DataType::Float) => (raw.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect(), false),
        Ok(DataType::Double) if raw.is_empty() => (tensor.double_data.clone(), true),
        Ok(DataType::Double) => (raw.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(), true),
        Ok(DataType::Float16) if raw.is_empty() => (tensor.int32_data.iter().map(|bits| short(*bits as u16)).collect(), false),
        Ok(DataType::Float16) => (raw.as_chunks().0.iter().map(|bytes| short(u16::from_le_bytes(*bytes))).collect(), false),
        Ok(DataType::Uint8) if raw.is_empty() => (tensor.int32_data.iter().map(|value| f64::from(*value)).collect(), false),
        Ok(DataType::Uint8) => (raw.iter().map(|value| f64::from(*value)).collect(), false),
        _ => return Err(format!("{name} has datatype {}; expected FLOAT or DOUBLE", datatype_name(tensor.data_type))),
    };
    match element_count(&tensor.dims) {
        Some(count) if count == values.len() as u64 => Ok(Numbers { values, double }),
        _ => Err(format!("{name} of shape {:?} holds {} values", tensor.dims, values.len())),
    }
}
