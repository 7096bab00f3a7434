//! Names in a graph: every value and every attribute is defined once, whatever is read is defined, and no node waits for itself. tract dies
//! of files that break this.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, NodeProto};

use super::cycle;
use super::facts::{bodies, operator_name};
use crate::engine::LoadError;

/// Checks a graph and the graphs within it.
///
/// # Errors
/// [`LoadError::Invalid`] that names the value, and who defines or reads it.
pub(in crate::engine) fn check(graph: &GraphProto) -> Result<(), LoadError> {
    check_within(graph, &mut Vec::new())
}

fn check_within<'a>(graph: &'a GraphProto, outer: &mut Vec<HashSet<&'a str>>) -> Result<(), LoadError> {
    outer.push(definitions(graph)?);
    for node in &graph.node {
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            if !outer.iter().any(|scope| scope.contains(name.as_str())) {
                return Err(LoadError::Invalid(format!("{} reads '{name}', which nothing defines", who(node))));
            }
        }
        let mut given = HashSet::new();
        if let Some(twice) = node.attribute.iter().find(|attribute| !given.insert(attribute.name.as_str())) {
            return Err(LoadError::Invalid(format!("{} gives attribute {} twice", who(node), twice.name)));
        }
        for body in bodies(node) {
            check_within(body, outer)?;
        }
    }
    if let Some(what) = cycle::find(graph) {
        return Err(LoadError::Invalid(what));
    }
    let own = outer.pop().unwrap_or_default();
    match graph.output.iter().find(|output| !own.contains(output.name.as_str())) {
        Some(output) => Err(LoadError::Invalid(format!("nothing defines the graph's output '{}'", output.name))),
        None => Ok(()),
    }
}

/// Every name that the graph defines. An initializer may share its name with an input: it is the input's default.
fn definitions(graph: &GraphProto) -> Result<HashSet<&str>, LoadError> {
    let mut by: HashMap<&str, String> = HashMap::new();
    let inputs = graph.input.iter().map(|input| (input.name.as_str(), "an input".to_owned()));
    let outputs = graph.node.iter().flat_map(|node| node.output.iter().map(move |name| (name.as_str(), who(node))));
    for (name, definer) in inputs.chain(outputs).filter(|(name, _)| !name.is_empty()) {
        if let Some(first) = by.insert(name, definer.clone()) {
            return Err(LoadError::Invalid(format!("'{name}' is defined twice: by {first} and by {definer}")));
        }
    }
    let mut names: HashSet<&str> = by.keys().copied().collect();
    let mut weights = HashSet::new();
    for tensor in &graph.initializer {
        let name = tensor.name.as_str();
        if !weights.insert(name) {
            return Err(LoadError::Invalid(format!("'{name}' is defined twice: by two initializers")));
        }
        if by.get(name).is_some_and(|definer| definer != "an input") {
            return Err(LoadError::Invalid(format!("'{name}' is defined twice: by {} and by an initializer", by[name])));
        }
    }
    names.extend(weights);
    Ok(names)
}

/// A node in words.
pub(super) fn who(node: &NodeProto) -> String {
    format!("node '{}' ({})", node_name(node), operator_name(node))
}

/// A node's name, or its first output where it has none.
pub(in crate::engine) fn node_name(node: &NodeProto) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}
