//! What ONNX Runtime must never be given: files that no engine should read, and a division by which a request could end the process.
//!
//! ONNX Runtime 1.32 refuses to divide whole numbers by zero, and dies (SIGFPE) of dividing the least one by -1: measured. So a `Div`
//! is let through where its numbers are floats, come from sizes of tensors, or are divided by a constant other than -1.

use std::collections::HashMap;
use std::path::Path;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

use crate::engine::onnx::facts::{bodies, full_domain, operator_name};
use crate::engine::onnx::file::{File, MAX_EXTERNAL_BYTES};
use crate::engine::onnx::scope::{self, node_name};
use crate::engine::onnx::weights::{External, is_external};
use crate::engine::{LoadError, Problem};

/// What is known of a value's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Floats, or anything else that divides without harm.
    Harmless,
    /// Whole numbers made of sizes of tensors: none of them is near the least.
    Sizes,
    /// Whole numbers, or unknown.
    Whole,
}

/// Checks names and external data, and every `Div`.
///
/// # Errors
/// [`LoadError::Invalid`] or [`LoadError::Read`] for a file that no engine should read, [`LoadError::Unsupported`] for a hazard.
pub(super) fn check(file: &File) -> Result<(), LoadError> {
    scope::check(file.graph())?;
    external(file.graph(), Path::new(file.folder()), &mut 0)?;
    let mut walk = Walk::default();
    walk.graph(file.graph());
    let mut problems = walk.problems;
    for function in &file.proto().functions {
        // Names of its own.
        let mut walk = Walk::default();
        function.node.iter().for_each(|node| walk.node(node));
        problems.extend(walk.problems);
    }
    if problems.is_empty() { Ok(()) } else { Err(LoadError::unsupported(&problems)) }
}

/// External data stays in the model's folder, and within its bound.
fn external(graph: &GraphProto, folder: &Path, total: &mut u64) -> Result<(), LoadError> {
    let of_nodes = graph.node.iter().flat_map(|node| node.attribute.iter().flat_map(|one| one.t.iter().chain(&one.tensors)));
    for tensor in graph.initializer.iter().chain(of_nodes).filter(|tensor| is_external(tensor)) {
        *total = total.saturating_add(External::locate(tensor, folder)?.length);
        if *total > MAX_EXTERNAL_BYTES {
            return Err(LoadError::Invalid(format!("the external data exceeds {MAX_EXTERNAL_BYTES} bytes")));
        }
    }
    graph.node.iter().flat_map(bodies).try_for_each(|body| external(body, folder, &mut *total))
}

#[derive(Default)]
struct Walk<'a> {
    kinds: HashMap<&'a str, Kind>,
    constants: HashMap<&'a str, &'a TensorProto>,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    fn graph(&mut self, graph: &'a GraphProto) {
        for tensor in &graph.initializer {
            self.kinds.insert(&tensor.name, kind_of(tensor.data_type));
            self.constants.insert(&tensor.name, tensor);
        }
        for value in graph.input.iter().chain(&graph.value_info) {
            if let Some(element) = element_of(value) {
                self.kinds.insert(&value.name, kind_of(element));
            }
        }
        graph.node.iter().for_each(|node| self.node(node));
    }

    fn node(&mut self, node: &'a NodeProto) {
        bodies(node).for_each(|body| self.graph(body));
        if node.op_type == "Div" && full_domain(&node.domain) == "ai.onnx" && !self.divides_safely(node) {
            let reason = "it divides whole numbers that a request may choose, which ends the process where the least of them is \
                          divided by -1 (a fault of this ONNX Runtime)";
            let (name, operator) = (node_name(node).to_owned(), operator_name(node));
            self.problems.push(Problem { node: name, operator, reason: reason.to_owned() });
        }
        if let ("Constant", Some(tensor)) = (node.op_type.as_str(), attribute(node, "value").and_then(|value| value.t.as_ref()))
            && let Some(output) = node.output.first()
        {
            self.constants.insert(output, tensor);
        }
        let kind = self.result(node);
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            // What the file declares is checked by ONNX Runtime, which refuses a declaration that is wrong.
            self.kinds.entry(output).or_insert(kind);
        }
    }

    fn kind(&self, node: &NodeProto, input: usize) -> Kind {
        node.input.get(input).and_then(|name| self.kinds.get(name.as_str())).copied().unwrap_or(Kind::Whole)
    }

    fn divides_safely(&self, node: &NodeProto) -> bool {
        let (dividend, divisor) = (self.kind(node, 0), self.kind(node, 1));
        // Both are of one datatype, so one that is known tells of the other.
        if [dividend, divisor].contains(&Kind::Harmless) || dividend == Kind::Sizes {
            return true;
        }
        let constant = node.input.get(1).and_then(|name| self.constants.get(name.as_str()));
        constant.is_some_and(|tensor| !may_hold_minus_one(tensor))
    }

    /// What a node's outputs hold: mostly what its first input does.
    fn result(&self, node: &NodeProto) -> Kind {
        match node.op_type.as_str() {
            "Shape" | "Size" => Kind::Sizes,
            "Cast" => attribute(node, "to").map_or(Kind::Whole, |to| match i32::try_from(to.i).map(kind_of) {
                // Sizes stay sizes; what comes of floats may be the least whole number.
                Ok(Kind::Whole) if self.kind(node, 0) == Kind::Sizes => Kind::Sizes,
                Ok(kind) => kind,
                Err(_) => Kind::Whole,
            }),
            "Constant" | "ConstantOfShape" => match attribute(node, "value").and_then(|value| value.t.as_ref()) {
                Some(tensor) => kind_of(tensor.data_type),
                None if node.op_type == "ConstantOfShape" || attribute(node, "value_float").is_some() => Kind::Harmless,
                None => Kind::Whole,
            },
            "Where" => self.kind(node, 1),
            "DequantizeLinear" | "Dropout" | "RandomNormal" | "RandomUniform" | "RandomNormalLike" | "RandomUniformLike" => {
                Kind::Harmless
            }
            "ArgMax" | "ArgMin" | "NonZero" | "TopK" | "Unique" | "If" | "Loop" | "Scan" | "Optional" | "SequenceAt" => {
                Kind::Whole
            }
            "Add" | "Sub" | "Mul" | "Div" | "Concat" | "Max" | "Min" | "Mod" | "Pow" => self.joined(node),
            _ => self.kind(node, 0),
        }
    }

    /// Of inputs that are all of one datatype; sizes and constants make sizes.
    fn joined(&self, node: &NodeProto) -> Kind {
        let kinds = node.input.iter().enumerate().map(|(at, name)| match self.kind(node, at) {
            Kind::Whole if self.constants.contains_key(name.as_str()) => Kind::Sizes,
            kind => kind,
        });
        kinds
            .reduce(|a, b| {
                if a == Kind::Harmless || b == Kind::Harmless {
                    Kind::Harmless
                } else if a == b {
                    a
                } else {
                    Kind::Whole
                }
            })
            .unwrap_or(Kind::Whole)
    }
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a tract_onnx::pb::AttributeProto> {
    node.attribute.iter().find(|one| one.name == name)
}

fn element_of(value: &ValueInfoProto) -> Option<i32> {
    let Some(type_proto::Value::TensorType(tensor)) = &value.r#type.as_ref()?.value else { return None };
    Some(tensor.elem_type)
}

/// Signed whole numbers of 32 and 64 bits are what dies; narrower ones are widened before they are divided.
fn kind_of(element: i32) -> Kind {
    match DataType::try_from(element) {
        Ok(DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Undefined) | Err(_) => Kind::Whole,
        Ok(_) => Kind::Harmless,
    }
}

/// Whether a constant divisor has an element of -1, or hides its elements.
fn may_hold_minus_one(tensor: &TensorProto) -> bool {
    let raw = &tensor.raw_data;
    match DataType::try_from(tensor.data_type) {
        Ok(DataType::Int64) if !raw.is_empty() => raw.as_chunks::<8>().0.iter().any(|bytes| i64::from_le_bytes(*bytes) == -1),
        Ok(DataType::Int64) => tensor.int64_data.is_empty() || tensor.int64_data.contains(&-1),
        Ok(DataType::Int32) if !raw.is_empty() => raw.as_chunks::<4>().0.iter().any(|bytes| i32::from_le_bytes(*bytes) == -1),
        Ok(DataType::Int32) => tensor.int32_data.is_empty() || tensor.int32_data.contains(&-1),
        _ => true,
    }
}
