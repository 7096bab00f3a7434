//! Operators that tract has, and answers wrongly or dies of in some form. Each rule was seen to go wrong against ONNX Runtime.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use crate::engine::onnx::facts::bodies;
use crate::engine::onnx::weights::{self, datatype_name, element_bytes};
use crate::engine::onnx::windows;

/// The largest tensor, in bytes, that a node may make: of a file's own constants, and of a request.
pub(super) const MAX_TENSOR_BYTES: u64 = 4 << 30;

/// How deep loops may stand within one another: each level more takes twice as long to prepare, 0.2 s at this one.
const MAX_LOOPS: usize = 6;

/// Which values are constants of the file.
pub(super) struct Constants<'a> {
    constants: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Constants<'a> {
    /// Those of one graph.
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let mut constants: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|one| (one.name.as_str(), one)).collect();
        for node in &graph.node {
            if let ("Constant", [output], Some(value)) = (node.op_type.as_str(), &*node.output, attribute(node, "value")) {
                constants.extend(value.t.iter().map(|tensor| (output.as_str(), tensor)));
            }
        }
        Self { constants }
    }

    /// The integers of a constant, where the node's input is one.
    pub(super) fn integers(&self, node: &NodeProto, input: usize) -> Option<Vec<i64>> {
        let tensor = self.constants.get(node.input.get(input)?.as_str())?;
        let raw = &tensor.raw_data;
        Some(match DataType::try_from(tensor.data_type).ok()? {
            DataType::Int64 | DataType::Uint64 if !raw.is_empty() => {
                raw.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
            }
            DataType::Int64 => tensor.int64_data.clone(),
            DataType::Uint32 if !raw.is_empty() => {
                raw.as_chunks::<4>().0.iter().map(|bytes| i64::from(u32::from_le_bytes(*bytes))).collect()
            }
            DataType::Uint16 if !raw.is_empty() => {
                raw.as_chunks::<2>().0.iter().map(|bytes| i64::from(u16::from_le_bytes(*bytes))).collect()
            }
            DataType::Uint8 if !raw.is_empty() => raw.iter().map(|byte| i64::from(*byte)).collect(),
            _ => tensor.int32_data.iter().map(|value| i64::from(*value)).collect(),
        })
    }
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|one| one.name == name)
}

/// Why this node must not be run, if there is a reason.
pub(super) fn refusal(node: &NodeProto, constants: &Constants<'_>) -> Option<String> {
    let operator = node.op_type.as_str();
    match operator {
        "Cast" => attribute(node, "to")
            .map(|to| i32::try_from(to.i).unwrap_or(-1))
            .filter(|to| element_bytes(*to).is_none())
            .map(|to| format!("it casts to datatype {}, which this engine does not support", datatype_name(to))),
        "ConstantOfShape" => too_large(&constants.integers(node, 0)?),
        // tract cuts repeats to 32 bits.
        "Expand" | "Tile" => too_large(&constants.integers(node, 1)?),
        // Without it, or at 0, ONNX keeps no box; tract keeps all.
        "NonMaxSuppression" => {
            let most = node.input.get(2).filter(|name| !name.is_empty());
            let none = most.is_none() || constants.integers(node, 2).is_some_and(|most| most == [0]);
            none.then(|| "its max_output_boxes_per_class is 0 or absent, so it keeps no box: export it with a number".to_owned())
        }
        "RandomNormal" | "RandomUniform" => too_large(&attribute(node, "shape")?.ints),
        "Scan" => Some(loops(node)).filter(|deep| *deep > MAX_LOOPS).map(|deep| {
            format!("loops stand {deep} deep within one another, expected at most {MAX_LOOPS}: each level takes twice as long to prepare")
        }),
        _ => windows::takes_away(node),
    }
}

/// How many loops stand within one another, from this node on; decoding bounds it.
fn loops(node: &NodeProto) -> usize {
    let within = bodies(node).flat_map(|body| &body.node).map(loops).max().unwrap_or_default();
    within + usize::from(node.op_type == "Scan")
}

/// A constant's shape is the file's to choose, so it is bounded before anything is allocated.
fn too_large(shape: &[i64]) -> Option<String> {
    if shape.iter().any(|dim| *dim < 0) {
        return None;
    }
    let elements = weights::element_count(shape).unwrap_or(u64::MAX);
    (elements > MAX_TENSOR_BYTES / 8)
        .then(|| format!("it asks for a constant of shape {shape:?}, which is larger than {} elements", MAX_TENSOR_BYTES / 8))
}
