//! What no output needs: nodes, initializers, and what is said of names that are gone.

use std::collections::HashSet;

use crate::names;
use crate::proto::GraphProto;

pub(super) fn rewrite(graph: &mut GraphProto) -> usize {
    let before = graph.node.len() + graph.initializer.len();
    loop {
        // Nodes are in the order of their inputs: a chain of dead ones falls from its end.
        let (used, nodes) = (names::uses(graph), graph.node.len());
        graph.node.retain(|node| node.output.iter().any(|name| used.contains_key(name)));
        if graph.node.len() == nodes {
            break;
        }
    }
    let (used, fixed) = (names::uses(graph), names::fixed(graph));
    graph.initializer.retain(|one| used.contains_key(one.name()) || fixed.contains(one.name()));
    let made: HashSet<&str> = graph.node.iter().flat_map(|node| &node.output).map(String::as_str).collect();
    graph.value_info.retain(|one| made.contains(one.name()));
    let known: HashSet<&str> = made.iter().copied().chain(graph.initializer.iter().map(|one| one.name())).collect();
    graph.quantization_annotation.retain(|one| known.contains(one.tensor_name()));
    before - graph.node.len() - graph.initializer.len()
}
