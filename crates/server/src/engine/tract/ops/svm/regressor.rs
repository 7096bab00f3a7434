//! `SVMRegressor`: `sum of coefficient * K(x, vector) + rho`, and its sign for one-class machines.

use tract_onnx::tract_hir::internal::*;

use super::function::Function;
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::tract::ops::kernel::{Fact, Kernel};
use crate::engine::tract::ops::numbers::{floats, number, table, tensor};
use crate::engine::tract::ops::outcome::transform;

/// A machine of one output. Without support vectors (liblinear) the coefficients are the only one.
#[derive(Debug)]
pub(crate) struct SvmRegressor {
    vectors: Vec<f32>,
    coefficients: Vec<f32>,
    features: usize,
    rho: f32,
    function: Function,
    one_class: bool,
}

impl SvmRegressor {
    fn check_columns(&self, columns: usize) -> TractResult<()> {
        ensure!(columns == self.features, "the input has {columns} columns; the model has {} features", self.features);
        Ok(())
    }
}

impl Kernel for SvmRegressor {
    const NAME: &'static str = "SVMRegressor";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let (vectors, coefficients) = (attributes.floats("support_vectors")?, attributes.floats("coefficients")?);
        let &[rho] = attributes.floats("rho")? else {
            return Err(format!("attribute rho has {} values; expected one", attributes.floats("rho")?.len()));
        };
        let count =
            usize::try_from(attributes.int("n_supports", 0)?).map_err(|_| "attribute n_supports is negative".to_owned())?;
        // ONNX Runtime reads it and does nothing: there is one score.
        transform(attributes)?;
        let (one_class, function) = (attributes.flag("one_class", false)?, Function::read(attributes)?);
        if coefficients.is_empty() || (count > 0 && coefficients.len() != count) {
            let found = coefficients.len();
            return Err(format!("attribute coefficients has {found} values; expected n_supports, which is {count}"));
        }
        if count == 0 {
            let (vectors, features) = (coefficients.to_vec(), coefficients.len());
            return Ok(Self { vectors, coefficients: vec![1.0], features, rho, function: Function::LINEAR, one_class });
        }
        if vectors.is_empty() || vectors.len() % count != 0 {
            let found = vectors.len();
            return Err(format!("attribute support_vectors has {found} values; expected a multiple of n_supports, {count}"));
        }
        let features = vectors.len() / count;
        Ok(Self { vectors: vectors.to_vec(), coefficients: coefficients.to_vec(), features, rho, function, one_class })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.kind)?;
        if let Some(columns) = input.columns()? {
            self.check_columns(columns)?;
        }
        Ok(tvec!(Fact::new(f32::datum_type(), [input.table()?.0, 1.to_dim()])))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (rows, columns) = table(inputs[0])?;
        self.check_columns(columns)?;
        let input = floats(inputs[0])?;
        let score = |row: &[f32]| {
            let vectors = self.vectors.chunks_exact(self.features).zip(&self.coefficients);
            let sum: f64 = vectors.map(|(vector, weight)| self.function.of(row, vector) * f64::from(*weight)).sum();
            let score = (sum + f64::from(self.rho)) as f32;
            match self.one_class {
                true if score > 0.0 => 1.0,
                true => -1.0,
                false => score,
            }
        };
        let scores: Vec<f32> = input.chunks_exact(columns).map(score).collect();
        Ok(tvec!(tensor(&[rows, 1], scores)?))
    }
}
