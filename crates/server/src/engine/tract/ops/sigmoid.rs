//! `Sigmoid` of 64 bit numbers too, which tract has of 16 and 32 bits only.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::{math, nn};
use tract_onnx::tract_hir::internal::*;

use super::alike::alike;

/// The name in ONNX.
pub(super) const NAME: &str = "Sigmoid";

/// tract's operator for a node.
pub(super) fn build(_context: &ParsingContext<'_>, _node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok(alike(NAME, wired))
}

fn wired(prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
    let fact = model.outlet_fact(inputs[0])?.clone();
    if fact.datum_type != f64::datum_type() {
        return model.wire_node(prefix, nn::sigmoid(), inputs);
    }
    // 1 / (1 + e^-x): an infinite power gives 0, as it should.
    let one = model.add_const(format!("{prefix}.one"), tensor0(1_f64).broadcast_into_rank(fact.rank())?)?;
    let minus = model.wire_node(format!("{prefix}.neg"), math::neg(), inputs)?;
    let power = model.wire_node(format!("{prefix}.exp"), math::exp(), &minus)?;
    let sum = model.wire_node(format!("{prefix}.add"), math::add(), &[power[0], one])?;
    model.wire_node(prefix, math::recip(), &sum)
}
