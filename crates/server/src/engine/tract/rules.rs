//! Operators that tract has, and answers wrongly or dies of in some form. Each rule was seen to go wrong against ONNX Runtime.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use crate::engine::onnx::weights::{self, datatype_name, element_bytes};

/// The largest tensor, in bytes, that a node may make: of a file's own constants, and of a request.
pub(super) const MAX_TENSOR_BYTES: u64 = 4 << 30;

/// Who reads a value, and which values are constants of the file.
pub(super) struct Neighbours<'a> {
    readers: HashMap<&'a str, Vec<&'a str>>,
    constants: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Neighbours<'a> {
    /// Those of one graph.
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let mut readers: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut constants: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|one| (one.name.as_str(), one)).collect();
        for node in &graph.node {
            for name in &node.input {
                readers.entry(name).or_default().push(&node.op_type);
            }
            if let ("Constant", [output], Some(value)) = (node.op_type.as_str(), &*node.output, attribute(node, "value")) {
                constants.extend(value.t.iter().map(|tensor| (output.as_str(), tensor)));
            }
        }
        Self { readers, constants }
    }

    /// The integers of a constant, where the node's input is one.
    fn integers(&self, node: &NodeProto, input: usize) -> Option<Vec<i64>> {
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

    /// The bits of the datatype of a constant, where the node's input is one.
    fn bits(&self, node: &NodeProto, input: usize) -> Option<i64> {
        let tensor = self.constants.get(node.input.get(input)?.as_str())?;
        Some(i64::try_from(element_bytes(tensor.data_type)?).ok()? * 8)
    }
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|one| one.name == name)
}

fn text<'a>(node: &'a NodeProto, name: &str) -> &'a [u8] {
    attribute(node, name).map_or(b"", |one| &one.s)
}

/// Why this node must not be run, if there is a reason.
pub(super) fn refusal(node: &NodeProto, neighbours: &Neighbours<'_>) -> Option<String> {
    let operator = node.op_type.as_str();
    match operator {
        "LSTM" | "GRU" | "RNN" if text(node, "direction") == b"reverse" => {
            Some("direction=reverse is answered wrongly by this engine version; forward and bidirectional are right".to_owned())
        }
        "LSTM" => recurrent(node, &["Sigmoid", "Tanh", "Tanh"]),
        "GRU" => recurrent(node, &["Sigmoid", "Tanh"]),
        "RNN" => recurrent(node, &["Tanh"]),
        "Softmax" | "LogSoftmax" if is_quantised(node, neighbours) => Some(
            "its output is quantised, which this engine version answers wrongly; quantise without Softmax \
             (op_types_to_quantize)"
                .to_owned(),
        ),
        "SpaceToDepth" if text(node, "mode") == b"CRD" => {
            Some("mode=CRD is ignored by this engine version, which would answer as DCR".to_owned())
        }
        "BitShift" => bit_shift(node, neighbours),
        "Attention" => attention(node),
        "Cast" => attribute(node, "to")
            .map(|to| i32::try_from(to.i).unwrap_or(-1))
            .filter(|to| element_bytes(*to).is_none())
            .map(|to| format!("it casts to datatype {}, which this engine does not support", datatype_name(to))),
        "ConstantOfShape" => too_large(&neighbours.integers(node, 0)?),
        "Expand" => too_large(&neighbours.integers(node, 1)?),
        "RandomNormal" | "RandomUniform" => too_large(&attribute(node, "shape")?.ints),
        _ => None,
    }
}

fn is_quantised(node: &NodeProto, neighbours: &Neighbours<'_>) -> bool {
    let readers = node.output.first().and_then(|output| neighbours.readers.get(output.as_str()));
    readers.is_some_and(|readers| readers.contains(&"QuantizeLinear"))
}

/// tract computes recurrent nets with the default activations, whatever the file says.
fn recurrent(node: &NodeProto, usual: &[&str]) -> Option<String> {
    let activations = attribute(node, "activations").map_or(&[][..], |one| &one.strings);
    let odd = activations.iter().zip(usual.iter().cycle()).find(|(found, usual)| !found.eq_ignore_ascii_case(usual.as_bytes()));
    if let Some((found, usual)) = odd {
        let found = String::from_utf8_lossy(found);
        return Some(format!("activation {found} is ignored by this engine version, which would compute {usual}"));
    }
    let ignored = |name: &&str| attribute(node, name).is_some_and(|one| one.f != 0.0 || one.i != 0);
    ["clip", "input_forget"].iter().find(|name| ignored(name)).map(|name| format!("{name} is ignored by this engine version"))
}

fn bit_shift(node: &NodeProto, neighbours: &Neighbours<'_>) -> Option<String> {
    let within = neighbours
        .integers(node, 1)
        .zip(neighbours.bits(node, 1))
        .is_some_and(|(amounts, bits)| amounts.iter().all(|amount| (0..bits).contains(amount)));
    (!within).then(|| {
        "shifting by as many bits as the number has, or more, is answered wrongly by this engine version, and here the amount is \
         not a constant below that"
            .to_owned()
    })
}

fn attention(node: &NodeProto) -> Option<String> {
    const HONOURED: [&str; 6] = ["q_num_heads", "kv_num_heads", "is_causal", "scale", "softcap", "qk_matmul_output_mode"];
    if let Some(ignored) = node.attribute.iter().find(|one| !HONOURED.contains(&one.name.as_str())) {
        return Some(format!("attribute {} is ignored by this engine version", ignored.name));
    }
    let causal = attribute(node, "is_causal").is_some_and(|one| one.i != 0);
    let past = node.input.get(4).is_some_and(|name| !name.is_empty());
    (causal && past).then(|| "is_causal with past keys is answered wrongly by this engine version".to_owned())
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
