//! Names: each defined once and before its use, and contents that fill their shapes.

use std::collections::{HashMap, HashSet};

use super::Findings;
use crate::check::{content, graphs};
use crate::cycle::Cycle;
use crate::proto::{GraphProto, NodeProto};

/// How deep graphs may lie in each other.
const DEEPEST: usize = 64;

/// A node in words.
pub(super) fn place(node: &NodeProto) -> String {
    format!("{} '{}'", node.op_type(), node.label())
}

/// Looks at a graph and those within.
pub(super) fn examine(graph: &GraphProto, findings: &mut Findings) {
    scope(graph, &HashSet::new(), (findings, 0));
    let mut names: HashMap<&str, usize> = HashMap::new();
    for node in graph.node.iter().filter(|node| !node.name().is_empty()) {
        *names.entry(node.name()).or_default() += 1;
    }
    let mut twice: Vec<_> = names.into_iter().filter(|(_, count)| *count > 1).collect();
    twice.sort_unstable();
    for (name, count) in twice {
        findings.warning(format!("node '{name}'"), format!("name: {count} nodes have it; expected one"));
    }
}

fn scope<'a>(graph: &'a GraphProto, outer: &HashSet<&'a str>, (findings, depth): (&mut Findings, usize)) {
    if depth > DEEPEST {
        return findings.error(format!("graph '{}'", graph.name()), format!("graphs lie more than {DEEPEST} deep in each other"));
    }
    let mut known = outer.clone();
    for (what, values) in [("input", &graph.input), ("output", &graph.output)] {
        let mut seen = HashSet::new();
        for (at, value) in values.iter().enumerate() {
            if value.name().is_empty() {
                findings.error(format!("{what}[{at}]"), "name: it is empty");
            } else if !seen.insert(value.name()) {
                findings.error(format!("{what} '{}'", value.name()), format!("name: another {what} has the same"));
            }
        }
    }
    known.extend(graph.input.iter().map(|one| one.name()));
    let mut own = HashSet::new();
    for tensor in &graph.initializer {
        if let Err(unsound) = content(tensor) {
            findings.error(unsound.place, unsound.what);
        }
        if !own.insert(tensor.name()) {
            findings.error(format!("initializer '{}'", tensor.name()), "name: another has the same");
        }
    }
    known.extend(own);
    known.extend(graph.sparse_initializer.iter().filter_map(|one| one.values.as_ref()).map(|one| one.name()));
    // Where each name is made, to tell what comes too late from what never comes.
    let mut made: HashMap<&str, usize> = HashMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            made.entry(name).or_insert(at);
        }
    }
    let cycle = Cycle::of(graph);
    if let Some(cycle) = &cycle {
        findings.error(format!("graph '{}'", graph.name()), cycle.what());
    }
    // No other order mends those, so their order is not what is wrong.
    let told = |one: usize, other: usize| cycle.as_ref().is_some_and(|cycle| cycle.holds(one, other));
    for (at, node) in graph.node.iter().enumerate() {
        for (slot, name) in node.input.iter().enumerate().filter(|(_, name)| !name.is_empty() && !known.contains(name.as_str())) {
            let what = match made.get(name.as_str()) {
                Some(maker) if told(at, *maker) => continue,
                Some(maker) if *maker == at => "the node itself makes it".to_owned(),
                Some(maker) => {
                    format!("{} makes it, which comes later: nodes are not in topological order", place(&graph.node[*maker]))
                }
                None => "nothing makes it".to_owned(),
            };
            findings.error(place(node), format!("input[{slot}] '{name}': {what}"));
        }
        for inner in graphs(node) {
            scope(inner, &known, (&mut *findings, depth + 1));
        }
        for (name, tensor) in node.attribute.iter().filter_map(|one| Some((one.name(), one.t.as_ref()?))) {
            if let Err(unsound) = content(tensor) {
                findings.error(place(node), format!("attribute '{name}': {unsound}"));
            }
        }
        for (slot, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            if !known.insert(name) {
                findings.error(place(node), format!("output[{slot}] '{name}': the name is defined before"));
            }
        }
    }
    for one in graph.output.iter().filter(|one| !one.name().is_empty() && !known.contains(one.name())) {
        findings.error(format!("output '{}'", one.name()), "nothing makes it");
    }
    for one in graph.value_info.iter().filter(|one| !known.contains(one.name())) {
        findings.warning(format!("value_info '{}'", one.name()), "nothing has that name");
    }
}
