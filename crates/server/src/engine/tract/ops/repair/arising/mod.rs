//! Which values may be NaN or infinite though all inputs are finite: a division by what may be 0, the logarithm of what may be negative,
//! infinities in a mask.
//!
//! A walk along tract's graph before it is optimised, from inputs to outputs, with what is [`Known`] of each value. What is not told of an
//! operator may be anything: that costs a fusion, where the other mistake would cost an answer.

use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::scan::Scan;
use tract_onnx::tract_hir::internal::*;

use super::branches;
use crate::engine::tract::ops::kernel::Own;

mod arithmetic;
mod constant;
mod each;
mod known;
mod nodes;
mod pairs;
mod scans;

pub(in crate::engine::tract) use known::Known;
pub(super) use scans::entering;

/// What is known of every value of a graph.
pub(super) struct Values(HashMap<OutletId, Known>);

impl Values {
    /// Of a graph with such inputs.
    pub(super) fn of(model: &TypedModel, inputs: &[Known]) -> TractResult<Self> {
        let mut values = Self(model.input_outlets()?.iter().copied().zip(inputs.iter().copied()).collect());
        for id in model.eval_order()? {
            let node = model.node(id);
            if model.inputs.contains(&id.into()) {
                continue;
            }
            let constants = node.outputs.iter().map(|output| output.fact.konst.as_deref().map(constant::known));
            let found = match constants.collect::<Option<TVec<Known>>>() {
                Some(constants) => constants,
                None => values.made(model, node)?,
            };
            for (slot, output) in node.outputs.iter().enumerate() {
                let known = found.get(slot).copied().unwrap_or(Known::ANYTHING);
                values.0.insert(OutletId::new(id, slot), as_it_is(known, output.fact.datum_type));
            }
        }
        Ok(values)
    }

    /// Of one value; what the outputs do not hang on is anything.
    pub(super) fn get(&self, outlet: OutletId) -> Known {
        self.0.get(&outlet).copied().unwrap_or(Known::ANYTHING)
    }

    /// Of a node's inputs.
    pub(super) fn inputs(&self, node: &TypedNode) -> TVec<Known> {
        node.inputs.iter().map(|outlet| self.get(*outlet)).collect()
    }

    /// Whether that is so of what goes into the node, or comes out of it.
    pub(super) fn around(&self, node: &TypedNode, is_so: fn(Known) -> bool) -> bool {
        let outputs = (0..node.outputs.len()).map(|slot| OutletId::new(node.id, slot));
        node.inputs.iter().copied().chain(outputs).any(|outlet| is_so(self.get(outlet)))
    }

    /// What a node makes.
    fn made(&self, model: &TypedModel, node: &TypedNode) -> TractResult<TVec<Known>> {
        let inputs = self.inputs(node);
        if let Some(konst) = node.op_as::<Const>() {
            return Ok(tvec!(constant::known(konst.val())));
        }
        if let Some(scan) = node.op_as::<Scan>() {
            return scans::leaving(scan, &inputs);
        }
        if let Some(outputs) = branches::known(&*node.op, &inputs) {
            return Ok(outputs);
        }
        if let Some(own) = node.op_as::<Own>() {
            return Ok(node.outputs.iter().map(|_| own.known(&inputs)).collect());
        }
        let first = nodes::Node { model, node, values: self, inputs: &inputs }.known();
        let is_real = |output: &Outlet<TypedFact>| output.fact.datum_type.is_float();
        // What follows is of the same kind, or places; behind levels their scale.
        let other = |output: &Outlet<TypedFact>| match (is_real(&node.outputs[0]), is_real(output)) {
            (true, true) => first,
            (false, true) if node.op.name() == "DynamicQuantizeLinearU8" => Known::computed(&inputs),
            (false, true) => Known::ANYTHING,
            (_, false) => Known::of(output.fact.datum_type),
        };
        Ok(std::iter::once(first).chain(node.outputs.iter().skip(1).map(other)).collect())
    }
}

/// What the datatype says, too.
fn as_it_is(known: Known, kind: DatumType) -> Known {
    if kind.is_float() {
        return known.rounded(kind);
    }
    let of_kind = Known::of(kind);
    let (least, most) = (known.least.max(of_kind.least), known.most.min(of_kind.most));
    Known { least, most, infinite: false, nan: false, ..known }.settled()
}

#[cfg(test)]
mod tests;
