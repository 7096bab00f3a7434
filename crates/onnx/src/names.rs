//! Who uses which name: in a graph and in the graphs within it, which see its names.

use std::collections::{HashMap, HashSet};

use crate::check::graphs;
use crate::proto::{GraphProto, NodeProto};

/// How often each name is used: by nodes, by graphs within, and as an output.
#[must_use]
pub fn uses(graph: &GraphProto) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    count(graph, &mut counts);
    counts
}

fn count(graph: &GraphProto, counts: &mut HashMap<String, usize>) {
    let outputs = graph.output.iter().map(|one| one.name());
    let inputs = graph.node.iter().flat_map(|node| &node.input).map(String::as_str);
    for name in outputs.chain(inputs).filter(|name| !name.is_empty()) {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    graph.node.iter().flat_map(graphs).for_each(|inner| count(inner, counts));
}

/// Puts other names in place of some, wherever nodes use them. Outputs keep theirs.
pub fn rename(graph: &mut GraphProto, names: &HashMap<String, String>) {
    if names.is_empty() {
        return;
    }
    for node in &mut graph.node {
        for input in &mut node.input {
            // A name may be replaced by one that is replaced itself.
            while let Some(new) = names.get(input) {
                input.clone_from(new);
            }
        }
        for attribute in &mut node.attribute {
            attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|inner| rename(inner, names));
        }
    }
}

/// The names that no rewrite may take away: outsiders see them, or a graph within gives them as its own output.
#[must_use]
pub fn fixed(graph: &GraphProto) -> HashSet<String> {
    let mut names: HashSet<String> = graph.input.iter().map(|one| one.name().to_owned()).collect();
    outputs(graph, &mut names);
    names
}

fn outputs(graph: &GraphProto, names: &mut HashSet<String>) {
    names.extend(graph.output.iter().map(|one| one.name().to_owned()));
    graph.node.iter().flat_map(graphs).for_each(|inner| outputs(inner, names));
}

/// Names that are not taken yet.
#[derive(Debug)]
pub struct Fresh {
    taken: HashSet<String>,
}

impl Fresh {
    /// With all names of a graph, and of those within, taken.
    #[must_use]
    pub fn of(graph: &GraphProto) -> Self {
        let mut taken = HashSet::new();
        collect(graph, &mut taken);
        Self { taken }
    }

    /// `base`, or with a number behind it, and takes it.
    pub fn name(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut number = 1_usize;
        while !self.taken.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        name
    }
}

fn collect(graph: &GraphProto, taken: &mut HashSet<String>) {
    taken.extend(fixed(graph));
    taken.extend(graph.initializer.iter().map(|one| one.name().to_owned()));
    let of_node =
        |node: &NodeProto| node.output.iter().chain(&node.input).cloned().chain([node.name().to_owned()]).collect::<Vec<_>>();
    taken.extend(graph.node.iter().flat_map(of_node));
    graph.node.iter().flat_map(graphs).for_each(|inner| collect(inner, taken));
}
