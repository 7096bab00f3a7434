//! A model that can be asked what it answers without some of its heads: an input for each attention multiplies what each head gives.

use super::Attention;
use super::find::is_fused;
use crate::names::Fresh;
use crate::proto::{
    GraphProto, ModelProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto, data_type, tensor_shape_proto, type_proto,
};

/// The input that leaves heads of an attention out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// The input, FP32: `[rows, heads, 1, 1]`, or `[rows, 1, heads * block]` where they lie in one dimension.
    pub input: String,
    /// Whose heads.
    pub attention: Attention,
    /// Numbers of each head that lie beside each other.
    pub block: usize,
    /// Whether they all lie in one dimension.
    flat: bool,
}

impl Mask {
    /// The shape for so many rows.
    #[must_use]
    pub fn shape(&self, rows: usize) -> Vec<usize> {
        let heads = self.attention.heads;
        if self.flat { vec![rows, 1, heads * self.block] } else { vec![rows, heads, 1, 1] }
    }

    /// The numbers for so many rows: 1, and 0 for the head that is left out.
    #[must_use]
    pub fn values(&self, rows: usize, without: Option<usize>) -> Vec<f32> {
        let row = (0..self.attention.heads * self.block).map(|at| if Some(at / self.block) == without { 0.0 } else { 1.0 });
        std::iter::repeat_n(row, rows).flatten().collect()
    }
}

/// The model with an input for each attention whose heads can go.
#[must_use]
pub fn masked(model: &ModelProto) -> (ModelProto, Vec<Mask>) {
    let mut model = model.clone();
    let opset = model.opset();
    let mut masks = Vec::new();
    let Some(graph) = &mut model.graph else { return (model, masks) };
    let (blocks, _) = super::blocks(graph, opset);
    let mut fresh = Fresh::of(graph);
    let rows = rows(graph);
    for found in blocks {
        let Some(at) = graph.node.iter().position(|node| node.output.first() == Some(&found.output)) else { continue };
        let flat = is_fused(&graph.node[at]);
        // Of an operator that gives all heads in one dimension, the weight that reads them tells the numbers of each.
        let read = || found.weights().find(|weight| weight.reads).map(|weight| weight.block);
        let Some(block) = (if flat { read() } else { Some(1) }) else { continue };
        let input = fresh.name(&format!("{}_heads", found.name));
        let attention = Attention { name: found.name, heads: found.heads };
        let mask = Mask { input: input.clone(), attention, block, flat };
        let all = fresh.name(&format!("{}_all", found.output));
        graph.node[at].output[0].clone_from(&all);
        graph.node.insert(
            at + 1,
            NodeProto {
                name: Some(fresh.name(&format!("{input}_mask"))),
                op_type: Some("Mul".to_owned()),
                input: vec![all, input.clone()],
                output: vec![found.output],
                ..NodeProto::default()
            },
        );
        graph.input.push(declared(&input, &rows, &mask.shape(1)[1..]));
        masks.push(mask);
    }
    (model, masks)
}

/// How many rows the model takes: what its first input says.
fn rows(graph: &GraphProto) -> tensor_shape_proto::Dimension {
    let shape = graph.input.first().and_then(|one| one.r#type.as_ref()).and_then(|kind| match &kind.value {
        Some(type_proto::Value::TensorType(tensor)) => tensor.shape.as_ref(),
        _ => None,
    });
    shape.and_then(|shape| shape.dim.first()).cloned().unwrap_or_default()
}

fn declared(name: &str, rows: &tensor_shape_proto::Dimension, dims: &[usize]) -> ValueInfoProto {
    let size = |size: &usize| {
        let value = Some(tensor_shape_proto::dimension::Value::DimValue(i64::try_from(*size).unwrap_or(i64::MAX)));
        tensor_shape_proto::Dimension { value, ..Default::default() }
    };
    let dim = std::iter::once(rows.clone()).chain(dims.iter().map(size)).collect();
    let tensor = type_proto::Tensor { elem_type: Some(data_type::FLOAT), shape: Some(TensorShapeProto { dim }) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(kind), ..ValueInfoProto::default() }
}
