//! `Slice` whose bounds are computed at run time.
//!
//! What tract makes of it names sizes in a scope that is gone when the plan runs, so that every run fails; and it leaves out a step
//! that is not 1. Bounds that the plan knows are tract's still.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::array::StridedSlice;

use super::numbers::{slice, tensor};
use super::softmax::of_tract;

/// The name in ONNX.
pub(super) const NAME: &str = "Slice";

/// The operator, with tract's for bounds that are known.
#[derive(Clone, Debug)]
struct Slice(StridedSlice);

/// tract's operator for a node: before version 10 bounds are attributes.
pub(super) fn build(context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    if context.onnx_operator_set_version < 10
        && let Some(tracts) = of_tract(NAME)
    {
        return tracts(context, node);
    }
    let given = |at: usize| node.input.get(at).is_some_and(|name| !name.is_empty());
    let (axes, steps) = (given(3).then_some(3), given(4).then_some(if given(3) { 4 } else { 3 }));
    let tracts =
        StridedSlice { optional_axes_input: axes, optional_steps_input: steps, begin_mask: 0, end_mask: 0, shrink_axis_mask: 0 };
    Ok((expand(Slice(tracts)), Vec::new()))
}

impl Expansion for Slice {
    fn name(&self) -> StaticName {
        NAME.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        InferenceRulesOp::rules(&self.0, solver, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let facts = inputs.iter().map(|input| model.outlet_fact(*input).cloned()).collect::<TractResult<TVec<_>>>()?;
        if facts[1..].iter().all(|fact| fact.konst.is_some()) {
            return model.wire_node(prefix, self.0.clone(), inputs);
        }
        let rank = facts[0].rank();
        let axes = match self.0.optional_axes_input {
            Some(at) => facts[at].konst.as_deref().map(|axes| axes_of(axes, rank)).transpose()?,
            None => Some((0..facts[1].shape[0].to_usize()?).collect()),
        };
        let may_change = |axis: &usize| axes.as_ref().is_none_or(|axes: &TVec<usize>| axes.contains(axis));
        let free = (0..rank).filter(may_change).map(|axis| (axis, model.symbols.new_with_prefix("slice"))).collect();
        model.wire_node(prefix, DynamicSlice { tracts: self.0.clone(), free }, inputs)
    }
}

fn axes_of(axes: &Tensor, rank: usize) -> TractResult<TVec<usize>> {
    let axes = axes.cast_to::<i64>()?;
    let view = axes.try_as_plain_ram()?;
    let resolved = view.as_slice::<i64>()?.iter().map(|axis| {
        let from_front = if *axis < 0 { axis.saturating_add(rank as i64) } else { *axis };
        let found = usize::try_from(from_front).ok().filter(|axis| *axis < rank);
        found.with_context(|| format!("axis {axis} is sliced of an input of {rank} dimensions"))
    });
    resolved.collect()
}

/// The operator in a plan: bounds are read when it runs.
#[derive(Clone, Debug)]
struct DynamicSlice {
    tracts: StridedSlice,
    /// The axes that may be cut, and their sizes afterwards.
    free: TVec<(usize, Symbol)>,
}

impl PartialEq for DynamicSlice {
    fn eq(&self, other: &Self) -> bool {
        self.free == other.free
    }
}

impl Eq for DynamicSlice {}

impl Op for DynamicSlice {
    fn name(&self) -> StaticName {
        NAME.into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        true
    }

    op_as_typed_op!();
}

/// The places along an axis of so many that are kept, in order.
fn kept((start, end, step): (i64, i64, i64), size: usize) -> TractResult<Vec<usize>> {
    ensure!(step != 0, "a step is 0; expected any other");
    let size = size as i64;
    let counted = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let (start, end) = (counted(start).clamp(low, high), counted(end).clamp(low, high));
    let goes_on = move |at: &i64| if step > 0 { *at < end } else { *at > end };
    let next = |at: &i64| at.checked_add(step).filter(goes_on);
    Ok(std::iter::successors(Some(start).filter(goes_on), next).map(|at| at as usize).collect())
}

/// The elements at `places` of the flat input.
fn cut<T: Datum>(input: &Tensor, places: &[usize], shape: &[usize]) -> TractResult<Tensor> {
    let values = slice::<T>(input)?;
    tensor(shape, places.iter().map(|place| values[*place].clone()).collect())
}

impl EvalOp for DynamicSlice {
    not_out_of_plan!();

    fn eval(&self, context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let integers = |at: usize| -> TractResult<Vec<i64>> {
            if inputs[at].datum_type() == TDim::datum_type() {
                return inputs[at]
                    .try_as_plain_ram()?
                    .as_slice::<TDim>()?
                    .iter()
                    .map(|dim| Ok(dim.eval(context.symbols).to_i64()?))
                    .collect();
            }
            Ok(inputs[at].cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.to_vec())
        };
        let (input, starts, ends) = (&inputs[0], integers(1)?, integers(2)?);
        let axes = match self.tracts.optional_axes_input {
            Some(at) => axes_of(&inputs[at], input.rank())?,
            None => (0..starts.len()).collect(),
        };
        let steps = self.tracts.optional_steps_input.map_or_else(|| Ok(vec![1; axes.len()]), integers)?;
        let counts = [starts.len(), ends.len(), axes.len(), steps.len()];
        ensure!(
            counts.iter().all(|count| *count == counts[0]),
            "starts, ends, axes, steps have {counts:?} values; expected as many"
        );
        ensure!(axes.iter().all(|axis| *axis < input.rank()), "more axes are sliced than the input has");
        let mut along: Vec<Vec<usize>> = input.shape().iter().map(|size| (0..*size).collect()).collect();
        for (at, axis) in axes.iter().enumerate() {
            along[*axis] = kept((starts[at], ends[at], steps[at]), input.shape()[*axis])?;
        }
        let shape: Vec<usize> = along.iter().map(Vec::len).collect();
        // Places are found once for all datatypes: a view of ndarray's for each would be 200 KB of program.
        let places = along.iter().zip(input.shape()).fold(vec![0], |outer: Vec<usize>, (along, size)| {
            outer.iter().flat_map(|begin| along.iter().map(move |at| begin * size + at)).collect()
        });
        Ok(tvec!(dispatch_datum!(cut(input.datum_type())(input, &places, &shape))?.into_tvalue()))
    }
}

impl TypedOp for DynamicSlice {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.to_tvec();
        for (axis, size) in &self.free {
            shape[*axis] = size.to_dim();
        }
        Ok(tvec!(inputs[0].datum_type.fact(shape)))
    }

    /// tract's, as soon as all bounds are known.
    fn declutter(&self, model: &TypedModel, node: &TypedNode) -> TractResult<Option<TypedModelPatch>> {
        let facts = model.node_input_facts(node.id)?;
        if facts[1..].iter().any(|fact| fact.konst.is_none()) {
            return Ok(None);
        }
        TypedModelPatch::replace_single_op(model, node, &node.inputs, self.tracts.clone()).map(Some)
    }

    as_op!();
}
