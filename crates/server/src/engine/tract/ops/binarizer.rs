//! `Binarizer`: 1 above a threshold, else 0.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{number, slice, tensor};
use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// The threshold.
#[derive(Debug)]
pub(super) struct Binarizer {
    threshold: f64,
}

impl Kernel for Binarizer {
    const NAME: &'static str = "Binarizer";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        Ok(Self { threshold: f64::from(attributes.float("threshold", 0.0)?) })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.kind)?;
        Ok(tvec!(Fact::new(input.kind, input.shape.iter().cloned())))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        Known::computed(inputs)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let wide = inputs[0].cast_to::<f64>()?;
        let values = slice::<f64>(&wide)?;
        if let Some(at) = values.iter().position(|value| value.is_nan()) {
            bail!("element {at} is NaN, which is neither above the threshold nor below");
        }
        let ones: Vec<i8> = values.iter().map(|value| i8::from(*value > self.threshold)).collect();
        Ok(tvec!(tensor(inputs[0].shape(), ones)?.cast_to_dt(inputs[0].datum_type())?.into_owned()))
    }
}
