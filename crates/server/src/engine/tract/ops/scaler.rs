//! `Scaler`: `(x - offset) * scale`, column by column.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{number, slice, table, tensor};
use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// One offset and one scale for each column, or one of each for all.
#[derive(Debug)]
pub(super) struct Scaler {
    offset: Vec<f64>,
    scale: Vec<f64>,
}

impl Scaler {
    fn check_columns(&self, columns: usize) -> TractResult<()> {
        let given = self.offset.len();
        ensure!(given == 1 || given == columns, "the input has {columns} columns; offset and scale have {given} values");
        Ok(())
    }
}

impl Kernel for Scaler {
    const NAME: &'static str = "Scaler";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
        let (mut offset, mut scale) = (wide(attributes.floats("offset")?), wide(attributes.floats("scale")?));
        // Absent means "leave as it is".
        if offset.is_empty() {
            offset = vec![0.0; scale.len()];
        }
        if scale.is_empty() {
            scale = vec![1.0; offset.len()];
        }
        if offset.len() != scale.len() || offset.is_empty() {
            let (offset, scale) = (offset.len(), scale.len());
            return Err(format!("attributes offset and scale have {offset} and {scale} values; expected as many, at least one"));
        }
        Ok(Self { offset, scale })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.kind)?;
        if let Some(columns) = input.columns()? {
            self.check_columns(columns)?;
        }
        Ok(tvec!(Fact::new(f32::datum_type(), input.shape.iter().cloned())))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        let finite = self.offset.iter().chain(&self.scale).all(|value| value.is_finite());
        if finite { Known::computed(inputs) } else { Known::ANYTHING }
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let input = inputs[0];
        let (_, columns) = table(input)?;
        self.check_columns(columns)?;
        let scaled = if input.datum_type() == f32::datum_type() {
            let narrow = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<_>>();
            let (offset, scale) = (narrow(&self.offset), narrow(&self.scale));
            scaled(slice::<f32>(input)?, (&offset, &scale), |x, offset, scale| (x - offset) * scale)
        } else {
            let wide = input.cast_to::<f64>()?;
            scaled(slice::<f64>(&wide)?, (&self.offset, &self.scale), |x, offset, scale| ((x - offset) * scale) as f32)
        };
        Ok(tvec!(tensor(input.shape(), scaled)?))
    }
}

/// Each value with its column's offset and scale, or with the one of each that there is.
fn scaled<T: Copy>(values: &[T], (offset, scale): (&[T], &[T]), of: impl Fn(T, T, T) -> f32) -> Vec<f32> {
    let mut scaled = Vec::with_capacity(values.len());
    if let ([offset], [scale]) = (offset, scale) {
        scaled.extend(values.iter().map(|x| of(*x, *offset, *scale)));
        return scaled;
    }
    for row in values.chunks_exact(offset.len()) {
        scaled.extend(row.iter().zip(offset).zip(scale).map(|((x, offset), scale)| of(*x, *offset, *scale)));
    }
    scaled
}
