//! Small graphs, made here.

#![allow(clippy::unwrap_used, dead_code)]

use modelyard_server::engine::{Engine, load};
use prost::Message;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

pub(crate) const FLOAT: i32 = 1;
pub(crate) const INT64: i32 = 7;
pub(crate) const STRING: i32 = 8;
pub(crate) const DOUBLE: i32 = 11;
pub(crate) const UINT8: i32 = 2;

pub(crate) fn port(name: &str, kind: i32, shape: &[i64]) -> ValueInfoProto {
    let dim = |size: &i64| {
        let value = if *size < 0 { Value::DimParam(format!("dim{size}")) } else { Value::DimValue(*size) };
        Dimension { value: Some(value), ..Dimension::default() }
    };
    let shape = TensorShapeProto { dim: shape.iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: kind, shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..ValueInfoProto::default() }
}

pub(crate) fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let (domain, op_type) = operator.rsplit_once(':').unwrap_or(("", operator));
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NodeProto {
        op_type: op_type.to_owned(),
        domain: domain.to_owned(),
        input: owned(inputs),
        output: owned(outputs),
        ..NodeProto::default()
    }
}

pub(crate) fn with(mut node: NodeProto, name: &str, value: AttributeProto) -> NodeProto {
    node.attribute.push(AttributeProto { name: name.to_owned(), ..value });
    node
}

pub(crate) fn text(value: &str) -> AttributeProto {
    AttributeProto { s: value.as_bytes().to_vec(), r#type: 3, ..AttributeProto::default() }
}

pub(crate) fn number(value: i64) -> AttributeProto {
    AttributeProto { i: value, r#type: 2, ..AttributeProto::default() }
}

pub(crate) fn graph_of(nodes: Vec<NodeProto>, inputs: Vec<ValueInfoProto>, outputs: Vec<ValueInfoProto>) -> GraphProto {
    GraphProto { node: nodes, input: inputs, output: outputs, name: "test".to_owned(), ..GraphProto::default() }
}

pub(crate) fn model_of(graph: GraphProto) -> ModelProto {
    let sets = [("", 18), ("ai.onnx.ml", 3), ("com.microsoft", 1), ("org.example", 1)];
    let opset_import = sets.map(|(domain, version)| OperatorSetIdProto { domain: domain.to_owned(), version }).to_vec();
    ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..ModelProto::default() }
}

pub(crate) fn float(value: f32) -> AttributeProto {
    AttributeProto { f: value, r#type: 1, ..AttributeProto::default() }
}

pub(crate) fn integers(values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), r#type: 7, ..AttributeProto::default() }
}

pub(crate) fn floats(values: &[f32]) -> AttributeProto {
    AttributeProto { floats: values.to_vec(), r#type: 6, ..AttributeProto::default() }
}

pub(crate) fn texts(values: &[&str]) -> AttributeProto {
    let strings = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    AttributeProto { strings, r#type: 8, ..AttributeProto::default() }
}

pub(crate) fn tensor(value: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(value), r#type: 4, ..AttributeProto::default() }
}

/// FP64 values.
pub(crate) fn doubles(name: &str, values: &[f64]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { name: name.to_owned(), dims: vec![values.len() as i64], data_type: DOUBLE, raw_data, ..TensorProto::default() }
}

/// FP32 values.
pub(crate) fn weights(name: &str, shape: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { name: name.to_owned(), dims: shape.to_vec(), data_type: FLOAT, raw_data, ..TensorProto::default() }
}

/// One node from `x` (FP32, any rows by 4) to `y`.
pub(crate) fn single(node: NodeProto) -> ModelProto {
    model_of(graph_of(vec![node], vec![port("x", FLOAT, &[-1, 4])], vec![port("y", FLOAT, &[-1, 4])]))
}

pub(crate) fn opened(model: &ModelProto) -> Result<Box<dyn Engine>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    load(&path).map_err(|error| error.to_string())
}

/// INT64 values, in one dimension.
pub(crate) fn integer(name: &str, values: &[i64]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { name: name.to_owned(), dims: vec![values.len() as i64], data_type: INT64, raw_data, ..TensorProto::default() }
}
