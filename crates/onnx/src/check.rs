//! Whether a file that could be decoded is a sound model: what every rewrite relies on.

use std::collections::HashSet;

use crate::cycle::Cycle;
use crate::proto::{AttributeProto, EXTERNAL, GraphProto, ModelProto, NodeProto, TensorProto, data_type};
use crate::store::Place;
use crate::tensor::element_bytes;

/// How deep graphs may lie in each other.
const DEEPEST: usize = 64;

/// What is unsound, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Unsound {
    /// The node, tensor or field.
    pub place: String,
    /// What was found, and what was expected.
    pub what: String,
}

impl Unsound {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

/// Checks that there is a graph, that each name is defined once and before its use, and that the content of each tensor fills its shape.
pub(crate) fn check(model: &ModelProto) -> Result<(), Unsound> {
    let Some(graph) = &model.graph else { return Err(Unsound::new("model", "it has no graph")) };
    if model.opset_import.is_empty() && model.ir_version() >= 3 {
        return Err(Unsound::new("model", "it imports no operator set; expected at least one"));
    }
    if graph.output.iter().chain(&graph.input).any(|one| one.name().is_empty()) {
        return Err(Unsound::new(format!("graph '{}'", graph.name()), "one of its inputs or outputs has no name"));
    }
    scope(graph, &HashSet::new(), 0)
}

/// Checks a graph that sees the names of those around it.
fn scope<'a>(graph: &'a GraphProto, outer: &HashSet<&'a str>, depth: usize) -> Result<(), Unsound> {
    if depth > DEEPEST {
        return Err(Unsound::new(
            format!("graph '{}'", graph.name()),
            format!("graphs lie more than {DEEPEST} deep in each other"),
        ));
    }
    let mut known = outer.clone();
    known.extend(graph.input.iter().map(|one| one.name()));
    let mut own = HashSet::new();
    for tensor in &graph.initializer {
        content(tensor)?;
        if !own.insert(tensor.name()) {
            return Err(Unsound::new(format!("initializer '{}'", tensor.name()), "another has the same name"));
        }
    }
    known.extend(own);
    known.extend(graph.sparse_initializer.iter().filter_map(|one| one.values.as_ref()).map(|one| one.name()));
    if let Some(cycle) = Cycle::of(graph) {
        return Err(Unsound::new(format!("graph '{}'", graph.name()), cycle.what()));
    }
    for node in &graph.node {
        let place = || format!("{} '{}'", node.op_type(), node.label());
        if let Some(name) = node.input.iter().find(|name| !name.is_empty() && !known.contains(name.as_str())) {
            return Err(Unsound::new(place(), format!("its input '{name}' is made by nothing before it")));
        }
        for inner in graphs(node) {
            scope(inner, &known, depth + 1)?;
        }
        for tensor in node.attribute.iter().filter_map(|one| one.t.as_ref()) {
            content(tensor).map_err(|unsound| Unsound::new(place(), unsound.to_string()))?;
        }
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if !known.insert(name) {
                return Err(Unsound::new(place(), format!("its output '{name}' is defined before")));
            }
        }
    }
    match graph.output.iter().find(|one| !known.contains(one.name())) {
        Some(one) => Err(Unsound::new(format!("output '{}'", one.name()), "nothing makes it")),
        None => Ok(()),
    }
}

/// The graphs within a node.
pub(crate) fn graphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|one: &AttributeProto| one.g.iter().chain(&one.graphs))
}

pub(crate) fn content(tensor: &TensorProto) -> Result<(), Unsound> {
    let place = || format!("tensor '{}'", tensor.name());
    let Some(count) = tensor.count() else {
        return Err(Unsound::new(place(), format!("its dimensions {:?} cannot be counted", tensor.dims)));
    };
    if tensor.segment.is_some() {
        return Ok(());
    }
    if tensor.data_location() == EXTERNAL {
        return outside(tensor, count);
    }
    let (found, expected) = match (&tensor.raw_data, element_bytes(tensor.data_type())) {
        (Some(raw), Some(size)) => (raw.len(), count.checked_mul(size)),
        _ if tensor.data_type() == data_type::STRING => (tensor.string_data.len(), Some(count)),
        (None, Some(_)) if tensor.data_type() == data_type::FLOAT => (tensor.float_data.len(), Some(count)),
        (None, Some(_)) if tensor.data_type() == data_type::INT64 => (tensor.int64_data.len(), Some(count)),
        // Types of less than a byte, and those that share a list: nothing here reads them.
        _ => return Ok(()),
    };
    if Some(found) == expected {
        return Ok(());
    }
    let unit = if tensor.raw_data.is_some() { "bytes" } else { "values" };
    let expected = expected.map_or_else(|| "more than can be counted".to_owned(), |expected| expected.to_string());
    Err(Unsound::new(place(), format!("it has {found} {unit}; its dimensions {:?} need {expected}", tensor.dims)))
}

/// Of a content in a file only its length is known, where it is told.
fn outside(tensor: &TensorProto, count: usize) -> Result<(), Unsound> {
    let (Some(place), Some(size)) = (Place::of(tensor), element_bytes(tensor.data_type())) else { return Ok(()) };
    let expected = (count as u64).checked_mul(size as u64);
    if Some(place.length) == expected {
        return Ok(());
    }
    let (found, expected) = (place.length, expected.map_or_else(|| "more than can be counted".to_owned(), |one| one.to_string()));
    let what = format!("it has {found} bytes; its dimensions {:?} need {expected}", tensor.dims);
    Err(Unsound::new(format!("tensor '{}'", tensor.name()), what))
}
