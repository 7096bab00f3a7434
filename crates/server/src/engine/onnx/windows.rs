//! Windows that go over a tensor's dimensions, and what is put around it: convolutions, pools and `Pad`, whose lists of numbers no engine
//! could run where they are wrong. Engines tell of them in words about their own insides, if at all.

use std::collections::HashMap;

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, type_proto};

use super::facts::full_domain;

/// Operators whose windows have the size of a weight, and which input that is.
const CONVOLUTIONS: [(&str, usize); 4] = [("Conv", 1), ("ConvInteger", 1), ("ConvTranspose", 1), ("QLinearConv", 3)];
const POOLS: [&str; 3] = ["AveragePool", "LpPool", "MaxPool"];

/// Operators whose output has as many dimensions as their first input, among those that stand around `Pad`.
const AS_MANY: [&str; 14] = [
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Conv",
    "ConvTranspose",
    "Identity",
    "InstanceNormalization",
    "LeakyRelu",
    "LpPool",
    "MaxPool",
    "Pad",
    "Relu",
    "Sigmoid",
];

/// How many dimensions the tensors of a graph have, as far as its declarations and a few operators tell.
pub(in crate::engine) struct Ranks<'a>(HashMap<&'a str, usize>);

impl<'a> Ranks<'a> {
    pub(in crate::engine) fn of(graph: &'a GraphProto) -> Self {
        let declared = graph.input.iter().filter_map(|value| {
            let type_proto::Value::TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()?;
            Some((value.name.as_str(), tensor.shape.as_ref()?.dim.len()))
        });
        let mut ranks: HashMap<&str, usize> = declared.collect();
        ranks.extend(graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor.dims.len())));
        for node in graph.node.iter().filter(|node| is_default(node) && AS_MANY.contains(&node.op_type.as_str())) {
            let rank = node.input.first().and_then(|name| ranks.get(name.as_str())).copied();
            if let (Some(output), Some(rank)) = (node.output.first(), rank) {
                ranks.insert(output, rank);
            }
        }
        Self(ranks)
    }

    fn input(&self, node: &NodeProto, at: usize) -> Option<usize> {
        self.0.get(node.input.get(at)?.as_str()).copied()
    }
}

/// The integers of a node's input, where they are in the file.
type Integers<'a> = &'a dyn Fn(usize) -> Option<Vec<i64>>;

/// What is wrong with a node's window or its padding: the attribute or input, what was found and what was expected.
pub(in crate::engine) fn fault(node: &NodeProto, ranks: &Ranks<'_>, integers: Integers<'_>) -> Option<String> {
    if !is_default(node) {
        return None;
    }
    let operator = node.op_type.as_str();
    let convolution = CONVOLUTIONS.iter().find(|(name, _)| *name == operator).map(|(_, weight)| *weight);
    match convolution {
        Some(weight) => window(node, ranks.input(node, weight)),
        None if POOLS.contains(&operator) => window(node, None),
        None if operator == "Pad" => padding(node, ranks, integers),
        None => None,
    }
}

/// A padding that takes away, which the definitions of these operators do not have.
pub(in crate::engine) fn takes_away(node: &NodeProto) -> Option<String> {
    let operator = node.op_type.as_str();
    let has_window = POOLS.contains(&operator) || CONVOLUTIONS.iter().any(|(name, _)| *name == operator);
    let pads = list(node, "pads").filter(|pads| has_window && is_default(node) && pads.iter().any(|one| *one < 0))?;
    Some(format!("attribute 'pads': {pads:?}; expected 0 or more each"))
}

/// `weight` is how many dimensions the weight has, where it is one.
fn window(node: &NodeProto, weight: Option<usize>) -> Option<String> {
    let of_weight = weight.and_then(|rank| rank.checked_sub(2)).filter(|rank| *rank > 0);
    let kernel = list(node, "kernel_shape");
    if let (Some(kernel), Some(rank)) = (kernel, of_weight)
        && kernel.len() != rank
    {
        return Some(format!("attribute 'kernel_shape': {kernel:?}; expected {}, as its weight has", entries(rank)));
    }
    let rank = of_weight.or(kernel.map(<[i64]>::len));
    for (name, least) in [("kernel_shape", 1), ("strides", 1), ("dilations", 1), ("output_padding", 0)] {
        let Some(found) = list(node, name) else { continue };
        if let Some(rank) = rank.filter(|rank| *rank != found.len()) {
            return Some(format!(
                "attribute '{name}': {found:?}; expected {}, one for each dimension of the window",
                entries(rank)
            ));
        }
        if found.iter().any(|one| *one < least) {
            return Some(format!("attribute '{name}': {found:?}; expected {least} or more each"));
        }
    }
    if let Some(group) = attribute(node, "group").filter(|group| group.i < 1) {
        return Some(format!("attribute 'group': {}; expected 1 or more", group.i));
    }
    // Beside another way to pad, numbers are not read.
    let by_numbers = attribute(node, "auto_pad").is_none_or(|one| matches!(&*one.s, b"" | b"NOTSET"));
    let pads = list(node, "pads").filter(|_| by_numbers)?;
    let rank = rank.filter(|rank| 2 * rank != pads.len())?;
    Some(format!(
        "attribute 'pads': {pads:?}; expected {}, a begin and an end for each dimension of the window",
        entries(2 * rank)
    ))
}

fn padding(node: &NodeProto, ranks: &Ranks<'_>, integers: Integers<'_>) -> Option<String> {
    // None where they are of another type or in another file.
    let integers = |at| integers(at).filter(|found| !found.is_empty());
    let (place, pads) = match list(node, "pads") {
        Some(pads) => ("attribute 'pads'".to_owned(), pads.to_vec()),
        None => (format!("input[1] '{}'", node.input.get(1)?), integers(1)?),
    };
    let axes = node.input.get(3).filter(|name| !name.is_empty());
    let (rank, of) = match axes {
        Some(_) => (integers(3).map(|axes| axes.len()), "axis"),
        None => (ranks.input(node, 0), "dimension of the input"),
    };
    let expected = match rank {
        Some(rank) if pads.len() != 2 * rank => entries(2 * rank),
        None if !pads.len().is_multiple_of(2) => "an even number of entries".to_owned(),
        _ => return None,
    };
    Some(format!("{place}: {pads:?}; expected {expected}, a begin and an end for each {of}"))
}

fn is_default(node: &NodeProto) -> bool {
    full_domain(&node.domain) == "ai.onnx"
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|one| one.name == name)
}

/// The numbers of an attribute that has some; one without any stands for the default.
fn list<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    attribute(node, name).map(|one| one.ints.as_slice()).filter(|ints| !ints.is_empty())
}

fn entries(count: usize) -> String {
    format!("{count} {}", if count == 1 { "entry" } else { "entries" })
}
