//! Products of a table with a fixed matrix, as decompositions have them: packed once, as a layer of a network is.

use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

use super::{Ground, own};
use crate::engine::onnx::view::{is, tensor};
use crate::engine::tract::ops::{AFFINE, DOMAIN, LAYER};

/// `MatMul` of a table of the model's, or of what [`super::affine`] made of one.
pub(super) fn product(ground: &Ground<'_>, end: &NodeProto) -> Option<NodeProto> {
    if !is(end, "ai.onnx", "MatMul") {
        return None;
    }
    let [rows, matrix] = &*end.input else { return None };
    let matrix = ground.view.constant(matrix, DataType::Float).filter(|matrix| matrix.dims.len() == 2)?;
    let known = ground.is_table(rows) || ground.view.maker(rows, DOMAIN, AFFINE).is_some();
    known.then(|| own(LAYER, rows, end, vec![tensor("matrix", matrix.clone())])).flatten()
}
