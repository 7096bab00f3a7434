//! ZipMap, which makes a map of each row's scores: no protocol carries maps, so the scores leave as the tensor they are.
//!
//! skl2onnx ends every classifier with it unless told not to. Of a ZipMap whose maps leave the graph the tensor leaves instead,
//! under the same name.

use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

use super::facts::full_domain;
use super::trees::Attributes;

const FLOAT: i32 = 1;

/// Puts the tensor in the place of the maps.
pub(super) fn strip(model: &mut ModelProto) {
    let Some(graph) = &mut model.graph else { return };
    let rows = first_dimension(graph);
    let GraphProto { node: nodes, output: outputs, .. } = graph;
    let mut stripped = false;
    for node in nodes.iter_mut().filter(|node| is_zip_map(node)) {
        let Some(output) = outputs.iter_mut().find(|output| Some(&output.name) == node.output.first()) else { continue };
        *output = scores(&output.name, rows.clone(), columns(node));
        (node.op_type, node.domain) = ("Identity".to_owned(), String::new());
        node.attribute.clear();
        stripped = true;
    }
    // A graph of ONNX-ML alone imports nothing that Identity could be of.
    if stripped && model.opset_import.iter().all(|set| full_domain(&set.domain) != "ai.onnx") {
        model.opset_import.push(OperatorSetIdProto { domain: String::new(), version: 13 });
    }
}

fn is_zip_map(node: &NodeProto) -> bool {
    node.op_type == "ZipMap" && full_domain(&node.domain) == "ai.onnx.ml" && node.input.len() == 1 && node.output.len() == 1
}

fn columns(node: &NodeProto) -> usize {
    let named = |name: &str| {
        node.attribute.iter().find(|attribute| attribute.name == name).map_or(0, |attribute| attribute.strings.len())
    };
    Attributes(node).integers("classlabels_int64s").len().max(named("classlabels_strings"))
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
