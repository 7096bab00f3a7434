//! `Imputer`: a value that means "missing" replaced, column by column.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{slice, tensor};
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// What is missing, and what stands for it: one value for each column, or one for all.
#[derive(Debug)]
pub(super) enum Imputer {
    /// NaN as the missing value is every NaN.
    Floats {
        missing: f32,
        instead: Vec<f32>,
    },
    Ints {
        missing: i64,
        instead: Vec<i64>,
    },
}

impl Imputer {
    fn check(&self, columns: usize) -> TractResult<()> {
        let given = match self {
            Self::Floats { instead, .. } => instead.len(),
            Self::Ints { instead, .. } => instead.len(),
        };
        ensure!(given == 1 || given == columns, "the input has {columns} columns; imputed_value_* has {given} values");
        Ok(())
    }
}

impl Kernel for Imputer {
    const NAME: &'static str = "Imputer";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        match attributes.one_of(&["imputed_value_floats", "imputed_value_int64s"])? {
            Some("imputed_value_floats") if !attributes.floats("imputed_value_floats")?.is_empty() => Ok(Self::Floats {
                missing: attributes.float("replaced_value_float", 0.0)?,
                instead: attributes.floats("imputed_value_floats")?.to_vec(),
            }),
            Some("imputed_value_int64s") if !attributes.ints("imputed_value_int64s")?.is_empty() => Ok(Self::Ints {
                missing: attributes.int("replaced_value_int64", 0)?,
                instead: attributes.ints("imputed_value_int64s")?.to_vec(),
            }),
            _ => Err("neither imputed_value_floats nor imputed_value_int64s has a value; expected one of them".to_owned()),
        }
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let fits = match self {
            Self::Floats { .. } => input.kind.is_float(),
            Self::Ints { .. } => input.kind.is_integer(),
        };
        ensure!(fits, "the input is {:?}, which the imputed values are not", input.kind);
        if let Some(columns) = input.shape.last().map_or(Some(1), |dim| dim.to_usize().ok()) {
            self.check(columns)?;
        }
        Ok(tvec!(Fact::new(input.kind, input.shape.iter().cloned())))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let input = inputs[0];
        self.check(input.shape().last().copied().unwrap_or(1))?;
        let filled = match self {
            Self::Floats { missing, instead } if input.datum_type() == f64::datum_type() => {
                let missing = f64::from(*missing);
                let fill = |(x, instead): (&f64, &f32)| match *x == missing || (x.is_nan() && missing.is_nan()) {
                    true => f64::from(*instead),
                    false => *x,
                };
                tensor(input.shape(), slice::<f64>(input)?.iter().zip(instead.iter().cycle()).map(fill).collect())?
            }
            Self::Floats { missing, instead } => {
                let wide = input.cast_to::<f32>()?;
                let is_missing = |x: f32| x == *missing || (x.is_nan() && missing.is_nan());
                let fill = |(x, instead): (&f32, &f32)| if is_missing(*x) { *instead } else { *x };
                tensor(input.shape(), slice::<f32>(&wide)?.iter().zip(instead.iter().cycle()).map(fill).collect())?
            }
            Self::Ints { missing, instead } => {
                let wide = input.cast_to::<i64>()?;
                let fill = |(x, instead): (&i64, &i64)| if x == missing { *instead } else { *x };
                tensor(input.shape(), slice::<i64>(&wide)?.iter().zip(instead.iter().cycle()).map(fill).collect())?
            }
        };
        Ok(tvec!(filled.cast_to_dt(input.datum_type())?.into_owned()))
    }
}
