//! `Softplus` that does not overflow: `max(x, 0) + ln(1 + e^-|x|)`. tract takes the exponential of the number as it is, so above 88 the
//! answer is infinite.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_hir::internal::*;

use super::alike::alike;

/// The name in ONNX.
pub(super) const NAME: &str = "Softplus";

/// tract's operator for a node.
pub(super) fn build(_context: &ParsingContext<'_>, _node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok(alike(NAME, wired))
}

fn wired(prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
    let fact = model.outlet_fact(inputs[0])?.clone();
    let constant = |value: f32| tensor0(value).cast_to_dt(fact.datum_type)?.into_owned().broadcast_into_rank(fact.rank());
    let zero = model.add_const(format!("{prefix}.zero"), constant(0.0)?)?;
    let one = model.add_const(format!("{prefix}.one"), constant(1.0)?)?;
    let size = model.wire_node(format!("{prefix}.abs"), math::abs(), inputs)?;
    let minus = model.wire_node(format!("{prefix}.neg"), math::neg(), &size)?;
    let power = model.wire_node(format!("{prefix}.exp"), math::exp(), &minus)?;
    let sum = model.wire_node(format!("{prefix}.plus_one"), math::add(), &[power[0], one])?;
    let log = model.wire_node(format!("{prefix}.ln"), math::ln(), &sum)?;
    let above = model.wire_node(format!("{prefix}.above"), math::max(), &[inputs[0], zero])?;
    model.wire_node(prefix, math::add(), &[above[0], log[0]])
}
