//! Operators of tract's whose answers are put right: those that lose NaN or an infinity, and those that take an index for another.
//!
//! tract's operator computes, and what it lost is put back; only where there is something to put back does that cost more than a look at
//! the values. A maximum over axes, a quantisation or an index is right in every plan: [`last`] goes over a plan when tract has
//! optimised it, so nothing that tract knows to join is kept apart. An activation is joined with the product before it, and is fast
//! for it; a plan in which all of these keep NaN too ([`first`]) is made for requests that hold one. In the plan for finite inputs those keep it that may
//! meet one all the same, as [`arising`] finds.
//!
//! The answers are ONNX Runtime's where it has one answer. In maxima over axes and in windows its answer depends on where NaN stands
//! (on the width of its registers); there the answer is NumPy's: NaN, and its place. `ThresholdedRelu` and `Shrink` make 0 of NaN, as there.

use tract_onnx::tract_core::ops::array::{Gather, GatherNd, Topk};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::cnn::MaxPool;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::gru_cell::GruEpilogue;
use tract_onnx::tract_core::ops::gru_seq::GruSeq;
use tract_onnx::tract_core::ops::lstm_cell::LstmEpilogue;
use tract_onnx::tract_core::ops::math::{Div, Max, Min, Mul, Pow, Rem, Rsqrt, Sqrt};
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_core::ops::quant::{QuantizeLinearI8, QuantizeLinearU8};
use tract_onnx::tract_core::ops::scan::Scan;
use tract_onnx::tract_hir::internal::*;

use super::branches;

mod arising;
mod gru;
mod indices;
mod lanes;
mod values;

use arising::Values;

/// Operators of one value whose kernels lose NaN, or may on some processor.
const ACTIVATIONS: [&str; 9] =
    ["Erf", "Exp", "GeluApproximate", "GeluExact", "HardSwish", "LeakyRelu", "Sigmoid", "Silu", "Tanh"];

pub(in crate::engine::tract) use arising::Known;

/// Which values of a plan are guarded: those of operators that would make a number of NaN.
#[derive(Clone, Debug)]
pub(in crate::engine::tract) enum Care {
    /// All.
    Any,
    /// Those that NaN or an infinity may come to, with such inputs.
    Arising(TVec<Known>),
}

impl Care {
    /// For finite inputs.
    pub(in crate::engine::tract) fn finite(model: &TypedModel) -> Self {
        Self::Arising(tvec!(Known::FINITE; model.inputs.len()))
    }
}

/// What is put right.
#[derive(Clone, Debug)]
enum Repair {
    /// Nothing: it is only not to be taken for what it is in numbers alone.
    Kept,
    /// A value each: NaN stays, and infinities come to the function's ends, where it has some: kernels stop short of 0.
    Each { ends: Option<(f64, f64)> },
    /// The greater or the smaller of two: NaN where either is.
    Either,
    /// The greatest or the least over axes: NaN where one is; infinite where all are.
    Extreme { axes: TVec<usize>, greatest: bool },
    /// The place of the greatest or the least: that of NaN where one is.
    Place { axes: TVec<usize>, last: bool },
    /// The greatest in windows: NaN where one is.
    Window,
    /// The greatest or the least in their order: NaN is the greatest.
    Order { axis: usize, largest: bool },
    /// The gates of an LSTM.
    Gates { hidden: usize },
    /// The gates of a GRU, of one step.
    Step { hidden: usize },
    /// A GRU of all steps: computed here.
    Sequence(GruSeq),
    /// Quantised: what is too large is the highest level; NaN is the lowest, as in ONNX Runtime.
    Levels(values::Levels),
    /// Indices along an axis: checked.
    Index { axis: usize },
    /// Indices of several axes: checked, and counted from the end where negative.
    Indices { batch: usize },
}

/// An operator of tract's, and what is put right of it.
#[derive(Clone, Debug)]
struct Repaired {
    original: Box<dyn TypedOp>,
    repair: Repair,
}

impl PartialEq for Repaired {
    fn eq(&self, _other: &Self) -> bool {
        false
    }
}

impl Eq for Repaired {}

/// Before a plan is optimised: what optimising would make worse. What is to be guarded and would be lost to a fusion is kept.
pub(in crate::engine::tract) fn first(model: &mut TypedModel, care: &Care) -> TractResult<()> {
    let values = match care {
        Care::Arising(inputs) if loses(model) => Some(Values::of(model, inputs)?),
        _ => None,
    };
    for id in 0..model.nodes.len() {
        let node = &model.nodes[id];
        let guards = |repair: &Repair| match (care, &values) {
            (Care::Any, _) => true,
            // An infinity is the greater of two here as everywhere.
            (_, Some(values)) if matches!(repair, Repair::Either | Repair::Window) => values.around(node, |known| known.nan()),
            (_, Some(values)) => values.around(node, |known| known.lacks()),
            (_, None) => false,
        };
        let always = counted_back(model, node).or_else(|| turned_around(model, node));
        let nothing = || values.as_ref().is_some_and(|values| values.inputs(node).contains(&Known::NOTHING));
        let lost = || loses_nan(model, node).or_else(|| (is_product(node) && nothing()).then_some(Repair::Kept));
        if let Some(repair) = always.or_else(|| lost().filter(guards)) {
            repaired(model, id, repair);
            continue;
        }
        // What there is to lose in a body was looked for above.
        let inner = match (care, &values) {
            (Care::Any, _) => Care::Any,
            (Care::Arising(_), Some(values)) => Care::Arising(values.inputs(node)),
            (Care::Arising(_), None) => continue,
        };
        if let Some(scan) = node.op_as::<Scan>() {
            let mut scan = scan.clone();
            let inner = match inner {
                Care::Any => Care::Any,
                Care::Arising(inputs) => Care::Arising(arising::entering(&scan, &inputs)?),
            };
            first(&mut scan.body, &inner)?;
            model.nodes[id].op = Box::new(scan);
        } else if let Some(choice) = branches::guarded(&*node.op, &inner) {
            model.nodes[id].op = choice;
        }
    }
    Ok(())
}

/// After a plan is optimised: what is right in every plan.
pub(in crate::engine::tract) fn last(model: &mut TypedModel) {
    for id in 0..model.nodes.len() {
        if let Some(repair) = always(model, &model.nodes[id]) {
            repaired(model, id, repair);
        }
    }
}

/// Whether something in the plan, which is not optimised yet, loses NaN.
pub(in crate::engine::tract) fn loses(model: &TypedModel) -> bool {
    model.nodes.iter().any(|node| {
        let inner = || node.op_as::<Scan>().is_some_and(|scan| loses(&scan.body));
        loses_nan(model, node).is_some() || inner() || branches::is_choice(&*node.op)
    })
}

/// What is known of the outputs of a graph with such inputs.
pub(super) fn outputs(model: &TypedModel, inputs: &[Known]) -> TractResult<TVec<Known>> {
    let values = Values::of(model, inputs)?;
    Ok(model.output_outlets()?.iter().map(|outlet| values.get(*outlet)).collect())
}

/// The names of nodes that are guarded, in bodies of loops too.
#[cfg(test)]
pub(in crate::engine::tract) fn guarded(model: &TypedModel) -> Vec<String> {
    let of_node = |node: &TypedNode| match (node.op_as::<Repaired>(), node.op_as::<Scan>()) {
        (Some(Repaired { repair: Repair::Indices { .. }, .. }), _) => vec![],
        (Some(_), _) => vec![node.name.clone()],
        (_, Some(scan)) => guarded(&scan.body),
        _ => vec![],
    };
    model.nodes.iter().flat_map(of_node).collect()
}

fn repaired(model: &mut TypedModel, id: usize, repair: Repair) {
    let node = &mut model.nodes[id];
    node.op = Box::new(Repaired { original: node.op.clone(), repair });
}

/// The datatype of the node's first input, if it is of floating point.
fn real(model: &TypedModel, node: &TypedNode) -> Option<DatumType> {
    let kind = model.outlet_fact(*node.inputs.first()?).ok()?.datum_type;
    kind.is_float().then_some(kind)
}

/// What loses NaN for the sake of speed.
fn loses_nan(model: &TypedModel, node: &TypedNode) -> Option<Repair> {
    let kind = real(model, node)?;
    if vanishes(model, node) {
        return Some(Repair::Kept);
    }
    if let Some(op) = node.op_as::<ElementWiseOp>() {
        let keeps = node.outputs[0].fact.datum_type == kind && ACTIVATIONS.contains(&&*op.0.name());
        let ends = match &*op.0.name() {
            "Exp" => Some((0.0, f64::INFINITY)),
            "Sigmoid" => Some((0.0, 1.0)),
            "Erf" | "Tanh" => Some((-1.0, 1.0)),
            _ => None,
        };
        return keeps.then_some(Repair::Each { ends });
    }
    if let Some(op) = node.op_as::<TypedBinOp>() {
        let compares = op.0.is::<Max>() || op.0.is::<Min>();
        return (compares && !becomes_whole(model, node)).then_some(Repair::Either);
    }
    if let Some(op) = node.op_as::<LstmEpilogue>() {
        return Some(Repair::Gates { hidden: op.hidden });
    }
    if let Some(op) = node.op_as::<GruEpilogue>() {
        return Some(Repair::Step { hidden: op.hidden });
    }
    if let Some(op) = node.op_as::<GruSeq>() {
        return Some(Repair::Sequence(op.clone()));
    }
    node.op_is::<MaxPool>().then_some(Repair::Window)
}

/// What tract would take out of the plan: a product with 0, a division that becomes one, and a root where it finds that it is squared.
fn vanishes(model: &TypedModel, node: &TypedNode) -> bool {
    let is = |at: usize, number: f64| node.inputs.get(at).is_some_and(|outlet| is_uniform(model, *outlet, number));
    let Some(op) = node.op_as::<TypedBinOp>() else {
        return node.op_as::<ElementWiseOp>().is_some_and(|op| op.0.is::<Sqrt>() || op.0.is::<Rsqrt>());
    };
    let product = op.0.is::<Mul>() && (is(0, 0.0) || is(1, 0.0));
    let division = op.0.is::<Div>() && (is(0, 0.0) || is(1, f64::INFINITY) || is(1, f64::NEG_INFINITY));
    product || division || (op.0.is::<Pow>() && is(1, 0.5))
}

/// Whether the node is a product, or becomes one.
fn is_product(node: &TypedNode) -> bool {
    node.op_as::<TypedBinOp>().is_some_and(|op| op.0.is::<Mul>() || op.0.is::<Div>())
}

/// Whether a value is known to be this number wherever it is.
fn is_uniform(model: &TypedModel, outlet: OutletId, number: f64) -> bool {
    let fact = model.outlet_fact(outlet).ok();
    let uniform = fact.and_then(|fact| fact.uniform.clone().or_else(|| fact.konst.as_ref()?.as_uniform().map(Arc::new)));
    uniform.is_some_and(|uniform| uniform.cast_to_scalar::<f64>().is_ok_and(|found| found == number))
}

/// Whether whole numbers are made of the bounded values next: a quantisation, where NaN is the lowest level.
fn becomes_whole(model: &TypedModel, node: &TypedNode) -> bool {
    let [next] = &*node.outputs[0].successors else { return false };
    let next = model.node(next.node);
    if let Some(cast) = next.op_as::<Cast>() {
        return cast.to.is_integer();
    }
    next.op_as::<TypedBinOp>().is_some_and(|op| op.0.is::<Max>() || op.0.is::<Min>()) && becomes_whole(model, next)
}

/// Constant indices that tract would take for large ones.
fn counted_back(model: &TypedModel, node: &TypedNode) -> Option<Repair> {
    let gather = node.op_as::<GatherNd>()?;
    let indices = model.outlet_fact(*node.inputs.get(1)?).ok()?.konst.as_ref()?.cast_to::<i64>().ok()?;
    let negative = indices.try_as_plain_ram().ok()?.as_slice::<i64>().ok()?.iter().any(|index| *index < 0);
    negative.then_some(Repair::Indices { batch: gather.batch_dims })
}

/// A remainder whose first operand is the smaller: tract takes it for one that may change places with the other.
fn turned_around(model: &TypedModel, node: &TypedNode) -> Option<Repair> {
    let remainder = node.op_as::<TypedBinOp>().is_some_and(|op| op.0.is::<Rem>());
    let [a, b] = &*node.inputs else { return None };
    let (a, b) = (model.outlet_fact(*a).ok()?, model.outlet_fact(*b).ok()?);
    (remainder && a.datum_type != TDim::datum_type() && a.shape != b.shape).then_some(Repair::Kept)
}

/// What costs nothing that could be measured.
fn always(model: &TypedModel, node: &TypedNode) -> Option<Repair> {
    if let Some(gather) = node.op_as::<Gather>() {
        return Some(Repair::Index { axis: gather.axis });
    }
    if let Some(gather) = node.op_as::<GatherNd>() {
        return Some(Repair::Indices { batch: gather.batch_dims });
    }
    real(model, node)?;
    if let Some(Reduce { axes, reducer }) = node.op_as::<Reduce>() {
        let axes = axes.clone();
        return match reducer {
            Reducer::Max => Some(Repair::Extreme { axes, greatest: true }),
            Reducer::Min => Some(Repair::Extreme { axes, greatest: false }),
            Reducer::ArgMax(last) | Reducer::ArgMin(last) => Some(Repair::Place { axes, last: *last }),
            _ => None,
        };
    }
    if let Some(Topk { axis, largest, .. }) = node.op_as::<Topk>() {
        return Some(Repair::Order { axis: *axis, largest: *largest });
    }
    let op = node.op_as::<ElementWiseOp>()?;
    let unsigned = op.0.downcast_ref::<QuantizeLinearU8>().map(|op| values::Levels::unsigned(op.scale, op.zero_point));
    let levels =
        unsigned.or_else(|| op.0.downcast_ref::<QuantizeLinearI8>().map(|op| values::Levels::signed(op.scale, op.zero_point)));
    levels.map(Repair::Levels)
}

impl Op for Repaired {
    fn name(&self) -> StaticName {
        self.original.name()
    }

    fn mints_runtime_symbols(&self) -> bool {
        self.original.mints_runtime_symbols()
    }

    fn required_bound_symbols(&self, inputs: &[&TypedFact]) -> TVec<Symbol> {
        self.original.required_bound_symbols(inputs)
    }

    op_as_typed_op!();
}

impl EvalOp for Repaired {
    not_out_of_plan!();

    fn eval(&self, context: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        match &self.repair {
            Repair::Levels(levels) => return levels.quantised(&inputs[0]),
            Repair::Sequence(net) => return gru::run(net, &inputs),
            Repair::Kept => return self.original.eval(context, inputs),
            Repair::Index { axis } => indices::check(&inputs, *axis)?,
            Repair::Indices { batch } => inputs[1] = indices::counted(&inputs, *batch)?,
            _ => {}
        }
        let given = inputs.clone();
        let mut outputs = self.original.eval(context, inputs)?;
        match given[0].datum_type() {
            DatumType::F16 => self.mend::<half::f16>((context, &given), &mut outputs)?,
            DatumType::F32 => self.mend::<f32>((context, &given), &mut outputs)?,
            DatumType::F64 => self.mend::<f64>((context, &given), &mut outputs)?,
            _ => {}
        }
        Ok(outputs)
    }
}

impl Repaired {
    /// Puts back what the operator lost of its inputs.
    fn mend<T: values::Real>(
        &self,
        (context, given): (&EvalContext<'_>, &[TValue]),
        outputs: &mut TVec<TValue>,
    ) -> TractResult<()> {
        match &self.repair {
            Repair::Each { ends } => values::each::<T>(&given[0], *ends, outputs),
            Repair::Either => values::either::<T>((&given[0], &given[1]), outputs),
            Repair::Gates { hidden } => values::gates::<T>((&given[0], &given[1]), *hidden, outputs),
            Repair::Extreme { axes, greatest } => lanes::extreme::<T>(&given[0], (axes, *greatest), outputs),
            Repair::Place { axes, last } => lanes::place::<T>(&given[0], (axes, *last), outputs),
            Repair::Order { axis, largest } => lanes::order::<T>(&given[0], (*axis, *largest), outputs),
            Repair::Window => lanes::window::<T>(&given[0], |mask| self.original.eval(context, mask), outputs),
            Repair::Step { hidden } => values::step::<T>(given, *hidden, outputs),
            Repair::Kept | Repair::Levels(_) | Repair::Sequence(_) | Repair::Index { .. } | Repair::Indices { .. } => Ok(()),
        }
    }
}

impl TypedOp for Repaired {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.original.output_facts(inputs)
    }

    as_op!();
}
