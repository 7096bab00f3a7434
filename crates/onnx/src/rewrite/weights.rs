//! What of a graph is a weight: an FP32 initializer that a product takes as its second factor.

use crate::names;
use crate::proto::{GraphProto, NodeProto};

/// Weights of fewer elements are left alone: they save nothing.
const LEAST: usize = 256;

/// A weight, and along which of its dimensions the output channels lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    /// Its index among the initializers.
    pub(super) at: usize,
    /// The dimension of the output channels.
    pub(super) axis: usize,
}

/// All weights of the outermost graph.
pub(super) fn weights(graph: &GraphProto) -> Vec<Weight> {
    let fixed = names::fixed(graph);
    let mut found: Vec<Weight> = Vec::new();
    for (at, one) in graph.initializer.iter().enumerate() {
        let large = one.count().is_some_and(|count| count >= LEAST) && one.dims.len() >= 2;
        if !large || fixed.contains(one.name()) || !one.is_floats() {
            continue;
        }
        let axes = graph.node.iter().filter(|node| node.input_at(1) == Some(one.name())).map(|node| axis(node, one.dims.len()));
        let mut axes = axes.collect::<Option<Vec<usize>>>().unwrap_or_default();
        axes.dedup();
        if let [axis] = *axes {
            found.push(Weight { at, axis });
        }
    }
    found
}

/// The dimension of the output channels in the second input; `None` where the operator has none.
fn axis(node: &NodeProto, rank: usize) -> Option<usize> {
    let transposed = node.attribute_named("transB").is_some_and(|one| one.i() != 0);
    match node.op_type() {
        _ if !matches!(node.domain(), "" | "ai.onnx") => None,
        "MatMul" => Some(rank - 1),
        "Gemm" => Some(usize::from(!transposed)),
        "Conv" => Some(0),
        _ => None,
    }
}
