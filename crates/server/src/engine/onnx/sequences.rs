//! Sequences of tensors that leave a graph: no protocol carries them, so each tensor leaves as an output of its own.
//!
//! skl2onnx answers the probabilities of a model of several outputs so. The tensors of `probabilities` are `probabilities_0`,
//! `probabilities_1` and so on, in the sequence's order.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto};

use super::facts::full_domain;

/// Puts the tensors in the place of each sequence that is made from them by one node, and that no other node reads.
pub(super) fn spread(model: &mut ModelProto) {
    let Some(graph) = &mut model.graph else { return };
    if !graph.node.iter().any(is_sequence) {
        return;
    }
    let made = leaving(graph);
    graph.node.retain(|node| !is_sequence(node) || !made.contains_key(&node.output[0]));
    let outputs = std::mem::take(&mut graph.output);
    for output in outputs {
        let Some(tensors) = made.get(&output.name) else {
            graph.output.push(output);
            continue;
        };
        for (at, tensor) in tensors.iter().enumerate() {
            let name = format!("{}_{at}", output.name);
            graph.node.push(identity(tensor, &name));
            // What it holds is not declared; the engine finds out.
            graph.output.push(ValueInfoProto { name, ..ValueInfoProto::default() });
        }
    }
}

fn is_sequence(node: &NodeProto) -> bool {
    node.op_type == "SequenceConstruct" && full_domain(&node.domain) == "ai.onnx" && node.output.len() == 1
}

/// The sequences that leave, and of which tensors each is.
fn leaving(graph: &GraphProto) -> HashMap<String, Vec<String>> {
    let read: HashSet<&str> = graph.node.iter().flat_map(|node| &node.input).map(String::as_str).collect();
    let left: HashSet<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
    let made = graph.node.iter().filter(|node| is_sequence(node)).map(|node| (&node.output[0], &node.input));
    let leaving = made.filter(|(name, _)| left.contains(name.as_str()) && !read.contains(name.as_str()));
    leaving.map(|(name, tensors)| (name.clone(), tensors.clone())).collect()
}

fn identity(from: &str, to: &str) -> NodeProto {
    NodeProto {
        op_type: "Identity".to_owned(),
        name: to.to_owned(),
        input: vec![from.to_owned()],
        output: vec![to.to_owned()],
        ..NodeProto::default()
    }
}
