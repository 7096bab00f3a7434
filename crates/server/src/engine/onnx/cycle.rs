//! Nodes that wait for each other: no order of a graph's nodes lets them run.
//!
//! `modelyard-onnx` looks for the same in messages of its own: it depends on no crate of ours, and the server not on it (ADR 0028).

use std::collections::{BTreeSet, HashMap, HashSet};

use tract_onnx::pb::{GraphProto, NodeProto};

use super::facts::bodies;
use super::scope::who;

/// Nodes that are named at most.
const NAMED: usize = 6;

/// One of a graph's cycles in words. What graphs within a node read from outside counts as read by the node.
pub(super) fn find(graph: &GraphProto) -> Option<String> {
    let outputs = graph.node.iter().enumerate().flat_map(|(at, node)| node.output.iter().map(move |name| (name.as_str(), at)));
    let makers: HashMap<&str, usize> = outputs.filter(|(name, _)| !name.is_empty()).collect();
    let makers = |node| reads(node).into_iter().filter_map(|name| Some((*makers.get(name)?, name))).collect();
    let waits: Vec<HashMap<usize, &str>> = graph.node.iter().map(makers).collect();
    let nodes = ring(&waits)?;
    let links: Vec<String> = nodes
        .iter()
        .zip(nodes.iter().cycle().skip(1))
        .take(NAMED)
        .map(|(node, next)| format!("'{}' of {}", waits[*node].get(next).unwrap_or(&""), who(&graph.node[*next])))
        .collect();
    let more = match nodes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and so on over {more} more"),
    };
    let (count, first) = (nodes.len(), who(&graph.node[nodes[0]]));
    let plural = if count == 1 { "" } else { "s" };
    let links = links.join(", which reads ");
    Some(format!(
        "the graph has a cycle of {count} node{plural}: {first} reads {links}{more}; expected nodes that wait for none of their own \
         outputs"
    ))
}

/// What a node reads, the graphs within it too.
fn reads(node: &NodeProto) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = node.input.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    for graph in bodies(node) {
        let inputs = graph.input.iter().map(|one| &one.name).chain(graph.initializer.iter().map(|one| &one.name));
        let own: HashSet<&str> = inputs.chain(graph.node.iter().flat_map(|inner| &inner.output)).map(String::as_str).collect();
        names.extend(graph.node.iter().flat_map(reads).filter(|name| !own.contains(name)));
    }
    names
}

/// Nodes that wait for each other, each for the next; `None` where there is an order to run in.
fn ring(waits: &[HashMap<usize, &str>]) -> Option<Vec<usize>> {
    let mut readers = vec![Vec::new(); waits.len()];
    let mut open: Vec<usize> = waits.iter().map(HashMap::len).collect();
    for (reader, makers) in waits.iter().enumerate() {
        makers.keys().for_each(|maker| readers[*maker].push(reader));
    }
    let mut ready: Vec<usize> = (0..waits.len()).filter(|node| open[*node] == 0).collect();
    while let Some(node) = ready.pop() {
        for reader in &readers[node] {
            open[*reader] -= 1;
            if open[*reader] == 0 {
                ready.push(*reader);
            }
        }
    }
    // Whoever is left waits for one that is left too: the way leads back to where it was.
    let mut at = open.iter().position(|count| *count > 0)?;
    let (mut path, mut place) = (Vec::new(), vec![None; waits.len()]);
    while place[at].is_none() {
        place[at] = Some(path.len());
        path.push(at);
        at = waits[at].keys().copied().filter(|maker| open[*maker] > 0).min()?;
    }
    Some(path.split_off(place[at]?))
}
