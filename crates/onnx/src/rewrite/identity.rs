//! Nodes that give back what they take.

use std::collections::{HashMap, HashSet};

use crate::names;
use crate::proto::{GraphProto, NodeProto};

pub(super) fn rewrite(graph: &mut GraphProto, opset: i64) -> usize {
    let mut all = 0;
    // A chain of them goes link by link.
    loop {
        match pass(graph, opset) {
            0 => return all,
            gone => all += gone,
        }
    }
}

fn pass(graph: &mut GraphProto, opset: i64) -> usize {
    let (fixed, used) = (names::fixed(graph), names::uses(graph));
    let known: HashSet<String> = graph.initializer.iter().map(|one| one.name().to_owned()).collect();
    let idle = |node: &NodeProto| {
        let others = node.output.iter().skip(1).any(|name| used.contains_key(name));
        let trains = node.input_at(2).is_some() || (opset < 7 && node.attribute_named("is_test").is_none_or(|one| one.i() == 0));
        !others && (node.is("Identity") || (node.is("Dropout") && !trains))
    };
    // What is an output must be made by a node of that name: the node before takes the name, where nobody outside knows its own.
    let (mut later, mut earlier) = (HashMap::new(), HashMap::new());
    let before = graph.node.len();
    graph.node.retain(|node| {
        let (Some(input), Some(output)) = (node.input_at(0), node.output.first()) else { return true };
        if !idle(node) {
            return true;
        }
        if !fixed.contains(output) {
            later.insert(output.clone(), input.to_owned());
            return false;
        }
        let free = !fixed.contains(input) && !known.contains(input) && !later.contains_key(input) && !earlier.contains_key(input);
        if free {
            earlier.insert(input.to_owned(), output.clone());
        }
        !free
    });
    for output in graph.node.iter_mut().flat_map(|node| &mut node.output) {
        if let Some(name) = earlier.get(output) {
            output.clone_from(name);
        }
    }
    names::rename(graph, &later);
    names::rename(graph, &earlier);
    before - graph.node.len()
}
