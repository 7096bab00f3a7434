//! Nodes that wait for each other: no order of a graph's nodes lets them run.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::check::graphs;
use crate::proto::{GraphProto, NodeProto};

/// Nodes that are named at most.
const NAMED: usize = 6;

/// Nodes in a ring: each reads what the next one makes, the last what the first one makes.
pub(crate) struct Cycle {
    /// By their places in the graph.
    nodes: HashSet<usize>,
    what: String,
}

impl Cycle {
    /// One of a graph's cycles. What graphs within a node read from outside counts as read by the node.
    pub(crate) fn of(graph: &GraphProto) -> Option<Self> {
        let mut makers: HashMap<&str, usize> = HashMap::new();
        for (at, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                makers.entry(name).or_insert(at);
            }
        }
        // What is there before any node runs; that nodes make it again is another fault.
        for name in graph.input.iter().map(|one| one.name()).chain(graph.initializer.iter().map(|one| one.name())) {
            makers.remove(name);
        }
        let waits: Vec<HashMap<usize, &str>> = graph
            .node
            .iter()
            .map(|node| reads(node).into_iter().filter_map(|name| Some((*makers.get(name)?, name))).collect())
            .collect();
        let nodes = ring(&waits)?;
        let links: Vec<String> = nodes
            .iter()
            .enumerate()
            .take(NAMED)
            .map(|(at, node)| {
                let next = nodes[(at + 1) % nodes.len()];
                let maker = &graph.node[next];
                format!("'{}' of {} '{}'", waits[*node].get(&next).unwrap_or(&""), maker.op_type(), maker.label())
            })
            .collect();
        let first = &graph.node[nodes[0]];
        let more = match nodes.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and so on over {more} more"),
        };
        let what = format!(
            "{} '{}' reads {}{more}; expected nodes that wait for none of their own outputs",
            first.op_type(),
            first.label(),
            links.join(", which reads ")
        );
        Some(Self { nodes: nodes.into_iter().collect(), what })
    }

    /// Whether both are nodes of it.
    pub(crate) fn holds(&self, one: usize, other: usize) -> bool {
        self.nodes.contains(&one) && self.nodes.contains(&other)
    }

    /// Who reads whose outputs.
    pub(crate) fn what(&self) -> String {
        let count = self.nodes.len();
        format!("a cycle of {count} node{}: {}", if count == 1 { "" } else { "s" }, self.what)
    }
}

/// What a node reads, the graphs within it too.
fn reads(node: &NodeProto) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = node.input.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    for graph in graphs(node) {
        let inputs = graph.input.iter().map(|one| one.name()).chain(graph.initializer.iter().map(|one| one.name()));
        let own: HashSet<&str> =
            inputs.chain(graph.node.iter().flat_map(|inner| inner.output.iter().map(String::as_str))).collect();
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
