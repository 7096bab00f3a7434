//! Maps that enter a graph: no protocol carries them, so each row's map comes as a text, a JSON object.
//!
//! scikit-learn's `DictVectorizer` reads one. ONNX gives such an operator one map for a run; as texts they are rows like all others, and its
//! answer has as many.

use std::collections::HashMap;

use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorShapeProto, TypeProto, type_proto};

use super::facts::full_domain;
use crate::engine::LoadError;

/// The attributes by which an operator is told the datatypes of its maps, as codes of ONNX. They are ours: the file has them as the
/// input's type.
pub(in crate::engine) const KEYS: &str = "modelyard_map_keys";
/// See [`KEYS`].
pub(in crate::engine) const VALUES: &str = "modelyard_map_values";

/// Puts texts in the place of the maps that only `DictVectorizer` and `CastMap` read.
///
/// # Errors
/// [`LoadError::Invalid`] for a file whose types cannot be read.
pub(super) fn open(model: &mut ModelProto, raw: &[u8]) -> Result<(), LoadError> {
    let Some(graph) = &mut model.graph else { return Ok(()) };
    for node in graph.node.iter_mut().filter(|node| reads_map(node)) {
        node.attribute.retain(|one| one.name != KEYS && one.name != VALUES);
    }
    if !graph.node.iter().any(reads_map) {
        return Ok(());
    }
    let types = Types::decode(raw).map_err(|error| LoadError::Invalid(format!("an input's type cannot be read: {error}")))?;
    for (name, (keys, values)) in types.maps() {
        let mut readers = graph.node.iter_mut().filter(|node| node.input.contains(&name)).peekable();
        if readers.peek().is_none() || readers.any(|node| !reads_map(node)) {
            continue;
        }
        for node in graph.node.iter_mut().filter(|node| node.input.contains(&name)) {
            node.attribute.extend([code(KEYS, keys), code(VALUES, values)]);
        }
        declare(graph, &name);
    }
    Ok(())
}

/// The first node that reads a map which is a text now.
pub(in crate::engine) fn reader(graph: &GraphProto) -> Option<&NodeProto> {
    graph.node.iter().find(|node| reads_map(node) && node.attribute.iter().any(|one| one.name == KEYS))
}

fn reads_map(node: &NodeProto) -> bool {
    matches!(node.op_type.as_str(), "DictVectorizer" | "CastMap") && full_domain(&node.domain) == "ai.onnx.ml"
}

fn code(name: &str, value: i32) -> AttributeProto {
    let kind = AttributeType::Int as i32;
    AttributeProto { name: name.to_owned(), i: i64::from(value), r#type: kind, ..AttributeProto::default() }
}

/// The input becomes a text for each row; the rows are counted as those of the graph's first tensor.
fn declare(graph: &mut GraphProto, name: &str) {
    let first = graph.input.iter().find_map(|input| {
        let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref()?.value.as_ref() else { return None };
        tensor.shape.as_ref()?.dim.first().cloned()
    });
    let shape = TensorShapeProto { dim: vec![first.unwrap_or_else(Dimension::default)] };
    let tensor = type_proto::Tensor { elem_type: DataType::String as i32, shape: Some(shape) };
    for input in graph.input.iter_mut().filter(|input| input.name == name) {
        let value = Some(type_proto::Value::TensorType(tensor.clone()));
        input.r#type = Some(TypeProto { value, ..TypeProto::default() });
    }
}

/// The types of inputs that are maps, which tract's messages leave out (onnx.proto: field 5 of a TypeProto).
#[derive(Clone, PartialEq, prost::Message)]
struct Types {
    #[prost(message, optional, tag = "7")]
    graph: Option<Inputs>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Inputs {
    #[prost(message, repeated, tag = "11")]
    inputs: Vec<Input>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Input {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Kind {
    #[prost(message, optional, tag = "1")]
    tensor: Option<Element>,
    #[prost(message, optional, boxed, tag = "5")]
    map: Option<Box<Map>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Element {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Map {
    #[prost(int32, tag = "1")]
    keys: i32,
    #[prost(message, optional, boxed, tag = "2")]
    values: Option<Box<Kind>>,
}

impl Types {
    /// The maps of scalars by their input's name, with the codes of their keys' and values' datatypes.
    fn maps(&self) -> HashMap<String, (i32, i32)> {
        let inputs = self.graph.iter().flat_map(|graph| &graph.inputs);
        let map = |input: &Input| {
            let map = input.kind.as_ref()?.map.as_ref()?;
            Some((input.name.clone(), (map.keys, map.values.as_ref()?.tensor.as_ref()?.code)))
        };
        inputs.filter_map(map).collect()
    }
}
