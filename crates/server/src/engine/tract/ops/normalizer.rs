//! `Normalizer`: each row divided by its norm.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{floats, number, table, tensor};
use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// The norm. A row whose norm is zero is left as it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Normalizer {
    /// The greatest value, with its sign.
    Max,
    L1,
    L2,
}

impl Normalizer {
    fn norm(self, row: &[f32]) -> f64 {
        let wide = row.iter().map(|value| f64::from(*value));
        match self {
            Self::Max => wide.fold(f64::NEG_INFINITY, f64::max),
            Self::L1 => wide.map(f64::abs).sum(),
            Self::L2 => wide.map(|value| value * value).sum::<f64>().sqrt(),
        }
    }
}

impl Kernel for Normalizer {
    const NAME: &'static str = "Normalizer";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        match attributes.text("norm", "MAX")? {
            "MAX" => Ok(Self::Max),
            "L1" => Ok(Self::L1),
            "L2" => Ok(Self::L2),
            other => Err(format!("attribute norm is '{other}'; expected MAX, L1 or L2")),
        }
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.kind)?;
        input.table()?;
        Ok(tvec!(Fact::new(f32::datum_type(), input.shape.iter().cloned())))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        Known::computed(inputs)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (_, columns) = table(inputs[0])?;
        let mut values = floats(inputs[0])?.into_owned();
        for row in values.chunks_exact_mut(columns.max(1)) {
            let norm = self.norm(row);
            if norm != 0.0 {
                row.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
            }
        }
        Ok(tvec!(tensor(inputs[0].shape(), values)?))
    }
}
