//! Which graphs are one tree ensemble: its node, and around it nothing but renaming and changes of datatype.

use modelyard_wire::DataType;
use tract_onnx::pb::tensor_proto::DataType as Code;
use tract_onnx::pb::{GraphProto, NodeProto};

use crate::engine::onnx::facts::full_domain;
use crate::engine::onnx::trees::is_tree;

/// The one tree node of a graph, and what is around it.
pub(super) struct Found<'a> {
    pub(super) node: &'a NodeProto,
    /// What the input is made before the trees see it.
    pub(super) cast: Option<DataType>,
    /// For each output of the graph: which of the node's outputs it is, and what it is made.
    pub(super) outputs: Vec<(usize, Option<DataType>)>,
}

/// Looks for it; `input` is the graph's one input.
pub(super) fn find<'a>(graph: &'a GraphProto, input: &str) -> Option<Found<'a>> {
    let mut trees = graph.node.iter().filter(|node| is_tree(node));
    let (Some(node), None) = (trees.next(), trees.next()) else { return None };
    if !graph.node.iter().all(|other| is_tree(other) || is_plain(other)) || node.input.len() != 1 {
        return None;
    }
    let (source, cast) = trace(graph, &node.input[0])?;
    if source != input {
        return None;
    }
    let output = |name: &str| {
        let (value, cast) = trace(graph, name)?;
        Some((node.output.iter().position(|output| output == value)?, cast))
    };
    let outputs = graph.output.iter().map(|port| output(&port.name)).collect::<Option<Vec<_>>>()?;
    Some(Found { node, cast, outputs })
}

/// A node that renames, or changes the datatype.
fn is_plain(node: &NodeProto) -> bool {
    full_domain(&node.domain) == "ai.onnx" && matches!(node.op_type.as_str(), "Identity" | "Cast") && node.input.len() == 1
}

/// From a value back to the one that it is made of, and the datatype it is made; `None` where more than one cast is on the way.
fn trace<'a>(graph: &'a GraphProto, name: &'a str) -> Option<(&'a str, Option<DataType>)> {
    let (mut value, mut cast) = (name, None);
    // Each name is defined once, so there are no more steps than nodes.
    for _ in 0..=graph.node.len() {
        let maker = graph.node.iter().find(|node| node.output.iter().any(|output| output == value));
        let Some(node) = maker.filter(|node| is_plain(node)) else { return Some((value, cast)) };
        if node.op_type == "Cast" && cast.replace(target(node)?).is_some() {
            return None;
        }
        value = &node.input[0];
    }
    None
}

/// What a Cast makes, where a tree engine can make it.
fn target(node: &NodeProto) -> Option<DataType> {
    let to = node.attribute.iter().find(|attribute| attribute.name == "to")?.i;
    Some(match Code::try_from(i32::try_from(to).ok()?).ok()? {
        Code::Float => DataType::Fp32,
        Code::Double => DataType::Fp64,
        Code::Int64 => DataType::Int64,
        Code::String => DataType::Bytes,
        _ => return None,
    })
}
