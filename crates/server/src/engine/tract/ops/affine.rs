//! Several steps of arithmetic with one number for each column, in one pass over a table: what `fuse` makes of scalers behind one another. The
//! steps are taken one by one, each rounded as the node's that it stands for.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{slice, tensor};
use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// What is done to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::tract) enum Step {
    Multiply,
    Add,
    Subtract,
    Divide,
}

impl Step {
    const ALL: [Self; 4] = [Self::Multiply, Self::Add, Self::Subtract, Self::Divide];

    fn take(self, row: &mut [f32], values: &[f32]) {
        let both = row.iter_mut().zip(values);
        match self {
            Self::Multiply => both.for_each(|(x, value)| *x *= value),
            Self::Add => both.for_each(|(x, value)| *x += value),
            Self::Subtract => both.for_each(|(x, value)| *x -= value),
            Self::Divide => both.for_each(|(x, value)| *x /= value),
        }
    }
}

/// The steps, each with a value for every column.
#[derive(Debug)]
pub(super) struct Affine {
    steps: Vec<(Step, Vec<f32>)>,
    columns: usize,
}

impl Kernel for Affine {
    const NAME: &'static str = super::AFFINE;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let (steps, values) = (attributes.ints("steps")?, attributes.floats("values")?);
        if steps.is_empty() || values.is_empty() || values.len() % steps.len() != 0 {
            let (steps, values) = (steps.len(), values.len());
            return Err(format!("attributes steps and values have {steps} and {values}; expected as many values for each step"));
        }
        let columns = values.len() / steps.len();
        let step = |(step, values): (&i64, &[f32])| {
            let known = Step::ALL.into_iter().find(|known| *known as i64 == *step);
            known.map(|known| (known, values.to_vec())).ok_or_else(|| format!("attribute steps holds {step}; expected 0 to 3"))
        };
        Ok(Self { steps: steps.iter().zip(values.chunks_exact(columns)).map(step).collect::<Result<_, _>>()?, columns })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        ensure!(input.kind == f32::datum_type(), "the input is {:?}; expected FP32", input.kind);
        if let Some(found) = input.shape.last().and_then(|columns| columns.to_usize().ok()) {
            ensure!(found == self.columns, "the input has {found} columns; the model has {}", self.columns);
        }
        Ok(tvec!(input.clone()))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        let safe = |step: Step, value: &f32| value.is_finite() && (step != Step::Divide || *value != 0.0);
        let all = self.steps.iter().all(|(step, values)| values.iter().all(|value| safe(*step, value)));
        if all { Known::computed(inputs) } else { Known::ANYTHING }
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let found = inputs[0].shape().last();
        ensure!(found == Some(&self.columns), "the input has {found:?} columns; the model has {}", self.columns);
        let mut values = slice::<f32>(inputs[0])?.to_vec();
        for row in values.chunks_exact_mut(self.columns) {
            self.steps.iter().for_each(|(step, values)| step.take(row, values));
        }
        Ok(tvec!(tensor(inputs[0].shape(), values)?))
    }
}
