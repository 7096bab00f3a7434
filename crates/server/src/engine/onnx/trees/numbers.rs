//! Thresholds and weights: FP32 or FP64, in a list or in a tensor.

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;

use crate::engine::onnx::attributes::Attributes;
use crate::engine::onnx::values::Values;
use crate::engine::onnx::weights::datatype_name;

/// Numbers, and whether they are FP64.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) values: Vec<f64>,
    pub(super) double: bool,
}

impl Numbers {
    /// FP32 listed under `name`, or FP32 or FP64 in the tensor `{name}_as_tensor`; empty where both are absent.
    pub(super) fn listed(attributes: Attributes<'_>, name: &str) -> Result<Self, String> {
        let (list, tensor) = (attributes.floats(name)?, format!("{name}_as_tensor"));
        match attributes.tensor(&tensor)? {
            Some(_) if !list.is_empty() => Err(format!("{name} and {tensor} are both given")),
            Some(found) => Self::of(found, &tensor),
            None => Ok(Self { values: list.iter().copied().map(f64::from).collect(), double: false }),
        }
    }

    /// The numbers of the tensor `name`; empty where it is absent.
    pub(super) fn tensor(attributes: Attributes<'_>, name: &str) -> Result<Self, String> {
        attributes.tensor(name)?.map_or_else(|| Ok(Self::default()), |found| Self::of(found, name))
    }

    fn of(tensor: &TensorProto, name: &str) -> Result<Self, String> {
        const KNOWN: [DataType; 4] = [DataType::Float, DataType::Double, DataType::Float16, DataType::Uint8];
        if !KNOWN.iter().any(|known| *known as i32 == tensor.data_type) {
            return Err(format!("{name} has datatype {}; expected FLOAT or DOUBLE", datatype_name(tensor.data_type)));
        }
        let values = match Values::of(tensor).map_err(|wrong| format!("{name}: {wrong}"))? {
            Values::Doubles(values) => return Ok(Self { values, double: true }),
            Values::Floats(values) => values.into_iter().map(f64::from).collect(),
            Values::Int32s(values) => values.into_iter().map(f64::from).collect(),
            _ => Vec::new(),
        };
        Ok(Self { values, double: false })
    }
}
