//! `ReduceLogSumExp` that does not overflow: the greatest value is taken out before the exponential and added after the
//! logarithm. tract sums the exponentials as they are, so scores above 88 become infinite.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_core::ops::{change_axes::AxisOp, math};
use tract_onnx::tract_hir::internal::*;

use crate::engine::onnx::attributes::Attributes;

/// The name in ONNX.
pub(super) const NAME: &str = "ReduceLogSumExp";

/// The operator: which axes, as an attribute (before version 18) or as a constant input.
#[derive(Clone, Debug)]
pub(super) struct LogSumExp {
    axes: Vec<i64>,
    keep: bool,
    /// Without axes nothing is reduced, instead of everything.
    noop: bool,
    /// An infinite greatest value makes NaN of all: what a softmax is of.
    infinite: bool,
}

/// tract's operator for a node.
pub(super) fn build(_context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let attributes = Attributes::of(node);
    let flag = |name, default| attributes.flag(name, default).map_err(TractError::msg);
    let axes = attributes.ints("axes").map_err(TractError::msg)?.to_vec();
    Ok((
        expand(LogSumExp { axes, keep: flag("keepdims", true)?, noop: flag("noop_with_empty_axes", false)?, infinite: false }),
        Vec::new(),
    ))
}

impl LogSumExp {
    /// Over these axes, which stay with size 1.
    pub(super) fn over(axes: std::ops::Range<usize>) -> Self {
        Self { axes: axes.map(|axis| axis as i64).collect(), keep: true, noop: true, infinite: true }
    }

    /// The axes to reduce of an input of `rank`, in order, each once.
    fn resolve(&self, given: Option<&Tensor>, rank: usize) -> TractResult<TVec<usize>> {
        let given = given.map(|axes| axes.cast_to::<i64>()).transpose()?;
        let axes = match &given {
            Some(axes) => axes.try_as_plain_ram()?.as_slice::<i64>()?,
            None => &self.axes,
        };
        let whole = rank as i64;
        let resolved = axes.iter().map(|axis| match *axis {
            axis if (0..whole).contains(&axis) => Ok(axis as usize),
            axis if (-whole..0).contains(&axis) => Ok((axis + whole) as usize),
            axis => Err(TractError::msg(format!("axis {axis} is asked for of an input of {rank} dimensions"))),
        });
        let mut resolved = resolved.collect::<TractResult<TVec<usize>>>()?;
        if resolved.is_empty() && !self.noop {
            resolved = (0..rank).collect();
        }
        resolved.sort_unstable();
        resolved.dedup();
        Ok(resolved)
    }

    fn shape(&self, input: &[TDim], axes: &[usize]) -> TVec<TDim> {
        let dims = input.iter().enumerate().filter(|(at, _)| self.keep || !axes.contains(at));
        dims.map(|(at, dim)| if axes.contains(&at) { 1.to_dim() } else { dim.clone() }).collect()
    }
}

impl Expansion for LogSumExp {
    fn name(&self) -> StaticName {
        NAME.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        solver.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        match inputs {
            [input] => solver.given(&input.shape, move |solver, shape: TVec<TDim>| {
                let axes = self.resolve(None, shape.len())?;
                solver.equals(&outputs[0].shape, self.shape(&shape, &axes))
            }),
            [input, axes] => solver.given_2(&input.shape, &axes.value, move |solver, shape: TVec<TDim>, axes| {
                let axes = self.resolve(Some(&axes), shape.len())?;
                solver.equals(&outputs[0].shape, self.shape(&shape, &axes))
            }),
            _ => bail!("expected one or two inputs, found {}", inputs.len()),
        }
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let fact = model.outlet_fact(inputs[0])?.clone();
        let given = match inputs.get(1) {
            Some(axes) => Some(model.outlet_fact(*axes)?.konst.clone().context("the axes are not a constant")?),
            None => None,
        };
        let axes = self.resolve(given.as_deref(), fact.rank())?;
        let greatest = model.wire_node(format!("{prefix}.max"), Reduce::new(axes.clone(), Reducer::Max), &inputs[..1])?;
        // An infinite greatest value would make NaN of the difference.
        let least = model.add_const(format!("{prefix}.least"), limit(f64::MIN, &fact)?)?;
        let mut bounded = model.wire_node(format!("{prefix}.above"), math::max(), &[greatest[0], least])?;
        if !self.infinite {
            let most = model.add_const(format!("{prefix}.most"), limit(f64::MAX, &fact)?)?;
            bounded = model.wire_node(format!("{prefix}.below"), math::min(), &[bounded[0], most])?;
        }
        let less = model.wire_node(format!("{prefix}.less"), math::sub(), &[inputs[0], bounded[0]])?;
        let powers = model.wire_node(format!("{prefix}.exp"), math::exp(), &less)?;
        let sum = model.wire_node(format!("{prefix}.sum"), Reduce::new(axes.clone(), Reducer::Sum), &powers)?;
        let log = model.wire_node(format!("{prefix}.ln"), math::ln(), &sum)?;
        let mut answer = model.wire_node(format!("{prefix}.add"), math::add(), &[log[0], bounded[0]])?;
        if !self.keep {
            for axis in axes.iter().rev() {
                answer = model.wire_node(format!("{prefix}.without.{axis}"), AxisOp::Rm(*axis), &answer)?;
            }
        }
        Ok(answer)
    }
}

/// A number of the fact's datatype, the finite one nearest to `value`, in as many dimensions.
fn limit(value: f64, fact: &TypedFact) -> TractResult<Arc<Tensor>> {
    let finite = match fact.datum_type {
        DatumType::F64 => tensor0(value),
        DatumType::F32 => tensor0(value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32),
        DatumType::F16 => tensor0(value.clamp(-65504.0, 65504.0)).cast_to_dt(DatumType::F16)?.into_owned(),
        other => bail!("the input is {other:?}; expected floating point"),
    };
    Ok(finite.broadcast_into_rank(fact.rank())?.into_arc_tensor())
}
