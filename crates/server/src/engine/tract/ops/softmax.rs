//! `Softmax` that nothing is fused with, and `LogSoftmax` without the softmax.
//!
//! Where a softmax is quantised next, tract makes one operator of both, which answers garbage: in a file with quantised values its
//! operator is an opaque one here. tract takes the logarithm of a softmax, which is minus infinity for whatever is below `e^-87`
//! of the greatest; here the logarithm of the sum is taken off instead.

use std::collections::HashMap;
use std::sync::LazyLock;

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_hir::internal::*;

use super::Build;
use super::kernel::{Fact, Kernel, Own};
use super::log_sum_exp::LogSumExp;
use super::numbers::{slice, tensor};
use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// The names in ONNX.
pub(super) const LOG_NAME: &str = "LogSoftmax";

/// What tract has for an operator that ours stands in for in some of its forms only.
pub(super) fn of_tract(name: &str) -> Option<Build> {
    static TRACTS: LazyLock<HashMap<String, Build>> = LazyLock::new(|| tract_onnx::onnx().op_register.0.into_iter().collect());
    TRACTS.get(name).copied()
}

/// The axis; before version 13 it and all that follow are one.
#[derive(Clone, Copy, Debug)]
struct Over {
    axis: i64,
    rest: bool,
}

impl Over {
    fn read(attributes: &Attributes<'_>, version: i64) -> Result<Self, Wrong> {
        let rest = version < 13;
        Ok(Self { axis: attributes.int("axis", if rest { 1 } else { -1 })?, rest })
    }

    /// The axes of an input of `rank`.
    fn axes(self, rank: usize) -> TractResult<std::ops::Range<usize>> {
        let whole = rank as i64;
        let axis = if self.axis < 0 { self.axis + whole } else { self.axis };
        ensure!((0..whole.max(1)).contains(&axis), "axis {} is asked for of an input of {rank} dimensions", self.axis);
        let axis = axis as usize;
        Ok(axis..if self.rest { rank } else { (axis + 1).min(rank) })
    }
}

/// A softmax that tract knows nothing of.
#[derive(Debug)]
pub(super) struct Softmax(Over);

impl Kernel for Softmax {
    const NAME: &'static str = "Softmax";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        Ok(Self(Over::read(attributes, i64::MAX)?))
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        ensure!(input.kind.is_float(), "the input is {:?}; expected floating point", input.kind);
        self.0.axes(input.shape.len())?;
        Ok(tvec!(Fact::new(input.kind, input.shape.iter().cloned())))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        Known::computed(inputs)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let input = inputs[0];
        let axes = self.0.axes(input.rank())?;
        let (width, step) = (input.shape()[axes.clone()].iter().product(), input.shape()[axes.end..].iter().product());
        let answer = if input.datum_type() == f64::datum_type() {
            let mut values = slice::<f64>(input)?.to_vec();
            spread(&mut values, (width, step), |row| {
                let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                row.iter_mut().for_each(|x| *x = (*x - most).exp());
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|x| *x /= sum);
            });
            tensor(input.shape(), values)?
        } else {
            let mut values = slice::<f32>(&*input.cast_to::<f32>()?)?.to_vec();
            spread(&mut values, (width, step), |row| {
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                row.iter_mut().for_each(|x| *x = (*x - most).exp());
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|x| *x /= sum);
            });
            tensor(input.shape(), values)?.cast_to_dt(input.datum_type())?.into_owned()
        };
        Ok(tvec!(answer))
    }
}

/// Does `work` to each row of `width` values that lie `step` apart.
fn spread<T: Copy + Default>(values: &mut [T], (width, step): (usize, usize), work: impl Fn(&mut [T])) {
    if values.is_empty() {
        return;
    }
    if step == 1 {
        return values.chunks_exact_mut(width).for_each(work);
    }
    let mut row = vec![T::default(); width];
    for block in values.chunks_exact_mut(width * step) {
        for from in 0..step {
            row.iter_mut().zip(block[from..].iter().step_by(step)).for_each(|(to, from)| *to = *from);
            work(&mut row);
            row.iter().zip(block[from..].iter_mut().step_by(step)).for_each(|(from, to)| *to = *from);
        }
    }
}

/// tract's operator for a softmax, or ours in a file with quantised values.
pub(super) fn build(context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let quantised = |node: &NodeProto| matches!(node.op_type.as_str(), "QuantizeLinear" | "DynamicQuantizeLinear");
    if !context.parent_graphs.iter().any(|graph| graph.node.iter().any(quantised))
        && let Some(tracts) = of_tract(Softmax::NAME)
    {
        return tracts(context, node);
    }
    let over = Over::read(&Attributes::of(node), context.onnx_operator_set_version).map_err(TractError::msg)?;
    Ok((expand(Own::plain(Softmax(over))), Vec::new()))
}

/// `x - ln(sum of e^x)`.
#[derive(Clone, Debug)]
struct LogSoftmax(Over);

/// tract's operator for a logarithm of a softmax.
pub(super) fn build_log(context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let over = Over::read(&Attributes::of(node), context.onnx_operator_set_version).map_err(TractError::msg)?;
    Ok((expand(LogSoftmax(over)), Vec::new()))
}

impl Expansion for LogSoftmax {
    fn name(&self) -> StaticName {
        LOG_NAME.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        solver.equals(&outputs[0].shape, &inputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let axes = self.0.axes(model.outlet_fact(inputs[0])?.rank())?;
        let sum = LogSumExp::over(axes).wire(&format!("{prefix}.sum"), model, inputs)?;
        model.wire_node(prefix, math::sub(), &[inputs[0], sum[0]])
    }
}
