//! ZipMap, which makes a map of each row's scores: tensors are what protocols carry, so the scores leave as the tensor they are. Where a
//! protocol has objects (TensorFlow Serving's JSON), they are written as maps again: each output's keys are kept.
//!
//! skl2onnx ends every classifier with it unless told not to. Of a ZipMap whose maps leave the graph the tensor leaves instead,
//! under the same name.

use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

use super::attributes::Attributes;
use super::facts::full_domain;

const FLOAT: i32 = 1;

/// The outputs that were maps, in the graph's order, each with its keys.
pub(in crate::engine) type Maps = Vec<(String, Vec<String>)>;

/// Puts the tensor in the place of the maps.
pub(super) fn strip(model: &mut ModelProto) -> Maps {
    let Some(graph) = &mut model.graph else { return Maps::new() };
    let rows = first_dimension(graph);
    let GraphProto { node: nodes, output: outputs, .. } = graph;
    let mut maps = Maps::new();
    for node in nodes.iter_mut().filter(|node| is_zip_map(node)) {
        let Some(output) = outputs.iter_mut().find(|output| Some(&output.name) == node.output.first()) else { continue };
        let classes = classes(node);
        *output = scores(&output.name, rows.clone(), classes.len());
        (node.op_type, node.domain) = ("Identity".to_owned(), String::new());
        node.attribute.clear();
        maps.push((output.name.clone(), classes));
    }
    // A graph of ONNX-ML alone imports nothing that Identity could be of.
    if !maps.is_empty() && model.opset_import.iter().all(|set| full_domain(&set.domain) != "ai.onnx") {
        model.opset_import.push(OperatorSetIdProto { domain: String::new(), version: 13 });
    }
    maps
}

fn is_zip_map(node: &NodeProto) -> bool {
    node.op_type == "ZipMap" && full_domain(&node.domain) == "ai.onnx.ml" && node.input.len() == 1 && node.output.len() == 1
}

/// The keys of the maps.
fn classes(node: &NodeProto) -> Vec<String> {
    let integers = Attributes::of(node).ints("classlabels_int64s").unwrap_or_default();
    if integers.is_empty() {
        return Attributes::of(node).texts("classlabels_strings").unwrap_or_default();
    }
    integers.iter().map(i64::to_string).collect()
}

/// The batch, as the first input declares it.
fn first_dimension(graph: &GraphProto) -> Dimension {
    let kind = graph.input.first().and_then(|input| input.r#type.as_ref()).and_then(|kind| kind.value.as_ref());
    let shape = kind.and_then(|type_proto::Value::TensorType(tensor)| tensor.shape.as_ref());
    shape.and_then(|shape| shape.dim.first()).cloned().unwrap_or_default()
}

/// FP32 of `rows` by `columns`.
fn scores(name: &str, rows: Dimension, columns: usize) -> ValueInfoProto {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value;
    let columns = i64::try_from(columns).ok().filter(|columns| *columns > 0).map(Value::DimValue);
    let shape = TensorShapeProto { dim: vec![rows, Dimension { value: columns, ..Dimension::default() }] };
    let tensor = type_proto::Tensor { elem_type: FLOAT, shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..ValueInfoProto::default() }
}
