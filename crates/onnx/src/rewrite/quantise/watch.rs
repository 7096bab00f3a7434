//! Which tensors need a range before a model can be given fixed ones, and the model that shows them.

use std::collections::{HashMap, HashSet};

use super::by_name;
use crate::names::Fresh;
use crate::proto::{GraphProto, ModelProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto, data_type, type_proto};

/// What a node's input and output become in INT8.
pub(super) struct Point {
    /// The node, by its place.
    pub(super) at: usize,
    /// What it reads.
    pub(super) input: String,
    /// Of a convolution: what comes of it, behind its activation where that is all that reads it.
    pub(super) output: Option<String>,
    /// Where its bias is read, by node and input: its own third, or that of the `Add` which alone reads a `MatMul`. ONNX Runtime makes one
    /// node of these two, and one in INT8 only where the bias is INT32.
    pub(super) bias: Option<(usize, usize)>,
}

/// The products and convolutions of a graph whose weights can be INT8.
pub(super) fn points(graph: &GraphProto) -> Vec<Point> {
    let weights = by_name(graph);
    let constants: HashSet<&str> = graph.initializer.iter().map(|one| one.name()).collect();
    let uses = crate::names::uses(graph);
    let fixed: HashSet<&str> = graph.output.iter().map(|one| one.name()).collect();
    let mut readers: HashMap<&str, Vec<(usize, &NodeProto)>> = HashMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        node.input.iter().for_each(|name| readers.entry(name).or_default().push((at, node)));
    }
    let alone = |node: &NodeProto| {
        let own = node.output.first()?;
        match readers.get(own.as_str()).filter(|_| uses.get(own) == Some(&1)).map(Vec::as_slice) {
            Some([reader]) => Some(*reader),
            _ => None,
        }
    };
    let behind = |node: &NodeProto| {
        let own = node.output.first()?;
        let last = match alone(node) {
            Some((_, next)) if next.is("Relu") || next.is("Clip") => next.output.first()?,
            _ => own,
        };
        (!fixed.contains(last.as_str()) && readers.contains_key(last.as_str())).then(|| last.clone())
    };
    let point = |(at, node): (usize, &NodeProto)| {
        let input = node.input_at(0).filter(|name| !constants.contains(name))?;
        if !node.input_at(1).is_some_and(|name| weights.contains_key(name)) || !super::is_plain(node) {
            return None;
        }
        let output = if node.is("Conv") { behind(node) } else { None };
        let bias = match alone(node) {
            _ if node.input_at(2).is_some() => Some((at, 2)),
            Some((add, next)) if node.is("MatMul") && next.is("Add") => {
                next.input.iter().position(|name| constants.contains(name.as_str())).map(|slot| (add, slot))
            }
            _ => None,
        };
        Some(Point { at, input: input.to_owned(), output, bias })
    };
    graph.node.iter().enumerate().filter_map(point).collect()
}

/// The tensors that need a range.
#[must_use]
pub fn activations(model: &ModelProto) -> Vec<String> {
    let Some(graph) = &model.graph else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    for point in points(graph) {
        for name in [point.input].into_iter().chain(point.output) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// The model with these tensors as further outputs; which output shows which.
#[must_use]
pub fn watched(model: &ModelProto, names: &[String]) -> (ModelProto, Vec<(String, String)>) {
    let mut model = model.clone();
    let mut shown = Vec::new();
    let Some(graph) = &mut model.graph else { return (model, shown) };
    let mut fresh = Fresh::of(graph);
    let ranks: HashMap<&String, usize> = names.iter().map(|name| (name, rank(graph, name))).collect();
    let inputs: HashSet<String> = graph.input.iter().chain(&graph.output).map(|one| one.name().to_owned()).collect();
    for name in names {
        let output = if inputs.contains(name) {
            // What is an input cannot be an output under the same name.
            let output = fresh.name(&format!("{name}_shown"));
            graph.node.push(super::node("Identity", fresh.name(&format!("{name}_show")), &[name], &[&output]));
            output
        } else {
            name.clone()
        };
        graph.output.push(declared(&output, ranks[name]));
        shown.push((output, name.clone()));
    }
    (model, shown)
}

/// The number of dimensions that whoever reads it takes: of a convolution as many as its kernel has.
fn rank(graph: &GraphProto, name: &str) -> usize {
    let told = graph.input.iter().chain(&graph.value_info).find(|one| one.name() == name).and_then(|one| one.r#type.as_ref());
    if let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = told
        && let Some(shape) = &tensor.shape
    {
        return shape.dim.len();
    }
    0
}

fn declared(name: &str, rank: usize) -> ValueInfoProto {
    let shape = (rank > 0).then(|| TensorShapeProto { dim: vec![Default::default(); rank] });
    let tensor = type_proto::Tensor { elem_type: Some(data_type::FLOAT), shape };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(kind), ..ValueInfoProto::default() }
}
