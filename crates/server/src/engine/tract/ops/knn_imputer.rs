//! What scikit-learn's `KNNImputer` does: a missing number is the mean of its column in those rows of the training data that are nearest.
//!
//! The distance is Euclidean over the columns that both rows have, as if the others were as far apart on average. In 64 bits, as in
//! scikit-learn; of rows equally far the first is taken.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{floats, table, tensor};
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::knn_imputer::NAME;
use crate::engine::onnx::values::Values;

/// The training data and which of its values may be given away.
#[derive(Debug)]
pub(super) struct KnnImputer {
    /// Column by column.
    columns: Vec<Column>,
    /// The columns that are answered.
    valid: Vec<usize>,
    rows: usize,
    neighbours: usize,
}

/// One column of the training data.
#[derive(Debug)]
struct Column {
    /// 0 where a row has no value.
    values: Vec<f64>,
    /// 1 where a row has a value, 0 elsewhere.
    present: Vec<f64>,
    /// The rows that give their value away.
    donors: Vec<usize>,
    /// What is filled in where no distance is known; 0 without donors.
    mean: f64,
}

impl Column {
    fn of(values: impl Iterator<Item = f32>, missing: impl Iterator<Item = bool>) -> Self {
        let values: Vec<f64> = values.map(f64::from).collect();
        let donors: Vec<usize> = missing.enumerate().filter(|(_, missing)| !missing).map(|(row, _)| row).collect();
        let mean = donors.iter().map(|row| values[*row]).sum::<f64>() / donors.len().max(1) as f64;
        let present = values.iter().map(|value| if value.is_nan() { 0.0 } else { 1.0 }).collect();
        Self { values: values.into_iter().map(|value| if value.is_nan() { 0.0 } else { value }).collect(), present, donors, mean }
    }
}

/// For one row, how far each row of the training data is: the sum of squares over shared columns, and how many these are.
#[derive(Default)]
struct Distances {
    squares: Vec<f64>,
    shared: Vec<f64>,
    /// The donors at hand, nearest first as far as they are needed.
    nearest: Vec<(f64, usize)>,
}

impl KnnImputer {
    fn measure(&self, row: &[f32], distances: &mut Distances) {
        let Distances { squares, shared, .. } = distances;
        for sums in [&mut *squares, &mut *shared] {
            sums.clear();
            sums.resize(self.rows, 0.0);
        }
        for (value, column) in row.iter().zip(&self.columns).filter(|(value, _)| !value.is_nan()) {
            let value = f64::from(*value);
            let sums = squares.iter_mut().zip(shared.iter_mut());
            for ((square, shared), (other, present)) in sums.zip(column.values.iter().zip(&column.present)) {
                let apart = value - other;
                *square += apart * apart * present;
                *shared += present;
            }
        }
    }

    /// What stands in for a missing value of `column`.
    fn imputed(&self, column: &Column, distances: &mut Distances) -> f64 {
        let Distances { squares, shared, nearest } = distances;
        nearest.clear();
        // As far on average in the other columns: all distances grow by the same number of columns.
        let known = column.donors.iter().filter(|row| shared[**row] > 0.0);
        nearest.extend(known.map(|row| (squares[*row] / shared[*row], *row)));
        if nearest.is_empty() {
            return column.mean;
        }
        let wanted = self.neighbours.clamp(1, nearest.len());
        if wanted < nearest.len() {
            nearest.select_nth_unstable_by(wanted - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        }
        nearest[..wanted].iter().map(|(_, row)| column.values[*row]).sum::<f64>() / wanted as f64
    }

    fn check_columns(&self, columns: usize) -> TractResult<()> {
        ensure!(columns == self.columns.len(), "the input has {columns} columns; the model has {}", self.columns.len());
        Ok(())
    }
}

impl Kernel for KnnImputer {
    const NAME: &'static str = NAME;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let tensor = |name| {
            let tensor = attributes.tensor(name)?.ok_or_else(|| format!("attribute {name} is missing"))?;
            let values = Values::of(tensor).map_err(|wrong| format!("attribute {name}: {wrong}"))?;
            Ok::<_, Wrong>((values, tensor.dims.iter().filter_map(|dim| usize::try_from(*dim).ok()).collect::<Vec<_>>()))
        };
        let (fit, missing, valid) = (tensor("fit")?, tensor("missing")?, tensor("valid")?);
        let ((Values::Floats(fit), shape), (Values::Int32s(missing), masked), (Values::Int32s(valid), _)) = (fit, missing, valid)
        else {
            return Err("attributes fit, missing and valid are of other types than FP32, UINT8 and UINT8".to_owned());
        };
        let &[rows, columns] = &shape[..] else {
            return Err(format!("attribute fit has the shape {shape:?}; expected rows and columns"));
        };
        if masked != shape || valid.len() != columns || columns == 0 {
            let found = valid.len();
            return Err(format!("attributes missing, of shape {masked:?}, and valid, of {found}, do not fit fit, of {shape:?}"));
        }
        if let Some(at) = (0..fit.len()).find(|at| fit[*at].is_nan() && missing[*at] == 0) {
            return Err(format!("attribute fit has NaN at {at}, which attribute missing does not say"));
        }
        let neighbours = attributes.size("neighbours", 0, (1, usize::MAX >> 1))?;
        let column = |at: usize| {
            let values = fit.iter().skip(at).step_by(columns).copied();
            Column::of(values, missing.iter().skip(at).step_by(columns).map(|missing| *missing != 0))
        };
        let valid = valid.iter().enumerate().filter(|(_, valid)| **valid != 0).map(|(at, _)| at).collect();
        Ok(Self { columns: (0..columns).map(column).collect(), valid, rows, neighbours })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        ensure!(input.kind == f32::datum_type(), "the input is {:?}; expected FP32", input.kind);
        if let Some(columns) = input.columns()? {
            self.check_columns(columns)?;
        }
        Ok(tvec!(Fact::new(f32::datum_type(), [input.table()?.0, self.valid.len().to_dim()])))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (rows, columns) = table(inputs[0])?;
        self.check_columns(columns)?;
        let input = floats(inputs[0])?;
        let (mut filled, mut distances) = (Vec::with_capacity(rows * self.valid.len()), Distances::default());
        for row in input.chunks_exact(columns) {
            if self.valid.iter().any(|at| row[*at].is_nan()) {
                self.measure(row, &mut distances);
            }
            filled.extend(self.valid.iter().map(|at| match row[*at] {
                value if value.is_nan() => self.imputed(&self.columns[*at], &mut distances) as f32,
                value => value,
            }));
        }
        Ok(tvec!(tensor(&[rows, self.valid.len()], filled)?))
    }
}
