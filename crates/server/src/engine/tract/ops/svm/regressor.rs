//! `SVMRegressor`: `sum of coefficient * K(x, vector) + rho`, and its sign for one-class machines.

use pulp::Arch;
use tract_onnx::tract_hir::internal::*;

use super::function::Function;
use super::vectors::Vectors;
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::tract::ops::kernel::{Fact, Kernel};
use crate::engine::tract::ops::numbers::{floats, number, table, tensor, weighted};
use crate::engine::tract::ops::outcome::transform;

/// Rows whose likeness to all support vectors is kept at a time.
const BLOCK: usize = 16;

/// A machine of one output. Without support vectors (liblinear) the coefficients are the only one.
#[derive(Debug)]
pub(crate) struct SvmRegressor {
    vectors: Vectors,
    coefficients: Vec<f32>,
    rho: f32,
    function: Function,
    one_class: bool,
}

impl SvmRegressor {
    fn check_columns(&self, columns: usize) -> TractResult<()> {
        ensure!(
            columns == self.vectors.features(),
            "the input has {columns} columns; the model has {} features",
            self.vectors.features()
        );
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
            let vectors = Vectors::pack(Arch::new(), coefficients, coefficients.len());
            return Ok(Self { vectors, coefficients: vec![1.0], rho, function: Function::LINEAR, one_class });
        }
        if vectors.is_empty() || vectors.len() % count != 0 {
            let found = vectors.len();
            return Err(format!("attribute support_vectors has {found} values; expected a multiple of n_supports, {count}"));
        }
        let vectors = Vectors::pack(Arch::new(), vectors, vectors.len() / count);
        Ok(Self { vectors, coefficients: coefficients.to_vec(), rho, function, one_class })
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
        let score = |likeness: &[f64]| {
            let score = (weighted(&self.coefficients, likeness) + f64::from(self.rho)) as f32;
            match self.one_class {
                true if score > 0.0 => 1.0,
                true => -1.0,
                false => score,
            }
        };
        let (mut scores, mut likeness) = (Vec::with_capacity(rows), Vec::new());
        for rows in input.chunks(BLOCK * columns) {
            self.vectors.alike(self.function, rows, &mut likeness);
            scores.extend(likeness.chunks_exact(self.vectors.padded()).map(|row| score(&row[..self.coefficients.len()])));
        }
        Ok(tvec!(tensor(&[rows, 1], scores)?))
    }
}
