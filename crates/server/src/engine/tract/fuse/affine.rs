//! Columns moved and stretched, several times over: scalers behind one another, and what a decomposition takes off.

use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

use super::{Ground, own};
use crate::engine::onnx::attributes::Attributes;
use crate::engine::onnx::values::Values;
use crate::engine::onnx::view::{floats, ints, is};
use crate::engine::tract::ops::{AFFINE, Step};

/// What is done to each column, one after another.
type Steps = Vec<(Step, Vec<f32>)>;

/// A chain of at least two such nodes over a table of the model's.
pub(super) fn chain(ground: &Ground<'_>, end: &NodeProto) -> Option<NodeProto> {
    let (mut input, mut steps) = step(ground, end)?;
    steps.reverse();
    // Not from the middle of a longer one.
    let goes_on = ground.graph.node.iter().any(|next| next.input.first() == end.output.first() && step(ground, next).is_some());
    if goes_on {
        return None;
    }
    let mut left = ground.graph.node.len();
    while !ground.is_table(input) {
        // A cycle ends nowhere.
        left = left.checked_sub(1)?;
        let before = ground.graph.node.iter().find(|node| node.output.first() == Some(input))?;
        let (value, found) = step(ground, before)?;
        steps.extend(found.into_iter().rev());
        input = value;
    }
    steps.reverse();
    let width = steps.iter().map(|(_, values)| values.len()).max()?;
    if steps.len() < 2 || width < 2 || steps.iter().any(|(_, values)| values.len() != width && values.len() != 1) {
        return None;
    }
    let values = steps.iter().flat_map(|(_, values)| values.iter().copied().cycle().take(width)).collect();
    let kinds = steps.iter().map(|(step, _)| *step as i64).collect();
    let attributes = vec![ints("steps", kinds), floats("values", values)];
    own(AFFINE, input, end, attributes)
}

/// What a node does to each column, and of which value.
fn step<'a>(ground: &Ground<'_>, node: &'a NodeProto) -> Option<(&'a String, Steps)> {
    if is(node, "ai.onnx.ml", "Scaler") {
        let attributes = Attributes::of(node);
        let (offset, scale) = (attributes.floats("offset").ok()?, attributes.floats("scale").ok()?);
        let steps = [(Step::Subtract, offset), (Step::Multiply, scale)];
        let given = steps.into_iter().filter(|(_, values)| !values.is_empty()).map(|(step, values)| (step, values.to_vec()));
        return Some((node.input.first()?, given.collect()));
    }
    if is(node, "ai.onnx", "Cast") {
        let same = Attributes::of(node).int("to", 0) == Ok(DataType::Float as i64);
        return same.then(|| Some((node.input.first()?, Vec::new()))).flatten();
    }
    let kinds = [("Mul", Step::Multiply), ("Add", Step::Add), ("Sub", Step::Subtract), ("Div", Step::Divide)];
    let (_, kind) = kinds.into_iter().find(|(name, _)| is(node, "ai.onnx", name))?;
    let [value, constant] = &*node.input else { return None };
    let tensor = ground.view.constant(constant, DataType::Float).filter(|tensor| tensor.dims.len() <= 1)?;
    match Values::of(tensor).ok()? {
        Values::Floats(values) => Some((value, vec![(kind, values)])),
        _ => None,
    }
}
