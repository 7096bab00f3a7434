//! `Solve` of `com.microsoft`, which skl2onnx writes for Gaussian processes and ONNX Runtime does not have: the `x` of `a x = b`. Computed in
//! 64 bits whatever the numbers are, as LAPACK's `gesv` does it: elimination with the largest pivot of each column. A matrix with nothing
//! above its diagonal, or below, needs no elimination.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{slice, tensor};
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// Whether it is `a` or `a` transposed.
#[derive(Debug)]
pub(super) struct Solve {
    transposed: bool,
}

/// A square matrix, row by row.
struct Matrix {
    size: usize,
    values: Vec<f64>,
}

impl Matrix {
    fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.size..][..self.size]
    }

    fn transposed(&self) -> Self {
        let size = self.size;
        Self { size, values: (0..size * size).map(|at| self.values[at % size * size + at / size]).collect() }
    }

    fn is_lower(&self) -> bool {
        (0..self.size).all(|row| self.row(row)[row + 1..].iter().all(|value| *value == 0.0))
    }

    fn is_upper(&self) -> bool {
        (0..self.size).all(|row| self.row(row)[..row].iter().all(|value| *value == 0.0))
    }

    fn pivot(&self, row: usize) -> TractResult<f64> {
        let pivot = self.row(row)[row];
        ensure!(pivot != 0.0, "the matrix is singular: nothing is left of row {row}");
        Ok(pivot)
    }

    /// Makes it upper triangular, doing the same to the rows of `right`, each of `width`.
    fn eliminate(&mut self, right: &mut [f64], width: usize) -> TractResult<()> {
        for column in 0..self.size {
            let largest = (column..self.size).max_by(|a, b| {
                let at = |row: &usize| self.row(*row)[column].abs();
                at(a).total_cmp(&at(b))
            });
            if let Some(largest) = largest.filter(|row| *row != column) {
                swap(&mut self.values, self.size, (column, largest));
                swap(right, width, (column, largest));
            }
            let pivot = self.pivot(column)?;
            for row in column + 1..self.size {
                let times = self.row(row)[column] / pivot;
                if times != 0.0 {
                    subtract(&mut self.values, self.size, (row, column), times);
                    subtract(right, width, (row, column), times);
                }
            }
        }
        Ok(())
    }
}

fn swap(values: &mut [f64], width: usize, (a, b): (usize, usize)) {
    (0..width).for_each(|at| values.swap(a * width + at, b * width + at));
}

/// Takes row `from` so many times off row `row`; both are of `width`.
fn subtract(values: &mut [f64], width: usize, (row, from): (usize, usize), times: f64) {
    let (low, high) = (row.min(from), row.max(from));
    let (front, back) = values.split_at_mut(high * width);
    let (low, high) = (&mut front[low * width..][..width], &mut back[..width]);
    let (target, source) = if row < from { (low, &*high) } else { (high, &*low) };
    for (value, other) in target.iter_mut().zip(source) {
        *value -= times * other;
    }
}

/// Solves in place, `order` being the rows of a triangular matrix in which each needs only those before it.
fn substitute(matrix: &Matrix, right: &mut [f64], width: usize, order: impl Iterator<Item = usize>) -> TractResult<()> {
    let mut done: Vec<usize> = Vec::with_capacity(matrix.size);
    for row in order {
        for before in &done {
            let times = matrix.row(row)[*before];
            if times != 0.0 {
                subtract(right, width, (row, *before), times);
            }
        }
        let pivot = matrix.pivot(row)?;
        right[row * width..][..width].iter_mut().for_each(|value| *value /= pivot);
        done.push(row);
    }
    Ok(())
}

impl Solve {
    fn solve(&self, matrix: Vec<f64>, size: usize, mut right: Vec<f64>) -> TractResult<Vec<f64>> {
        let matrix = Matrix { size, values: matrix };
        let mut matrix = if self.transposed { matrix.transposed() } else { matrix };
        let width = right.len() / size.max(1);
        if matrix.is_lower() {
            substitute(&matrix, &mut right, width, 0..size)?;
            return Ok(right);
        }
        if !matrix.is_upper() {
            matrix.eliminate(&mut right, width)?;
        }
        substitute(&matrix, &mut right, width, (0..size).rev())?;
        Ok(right)
    }
}

fn check(matrix: &[impl PartialEq + std::fmt::Debug], right: &[impl PartialEq + std::fmt::Debug]) -> TractResult<()> {
    ensure!(matrix.len() == 2, "the matrix has {} dimensions; expected two", matrix.len());
    ensure!(right.len() == 1 || right.len() == 2, "the right side has {} dimensions; expected one or two", right.len());
    Ok(())
}

impl Kernel for Solve {
    const NAME: &'static str = "Solve";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        // It says which half of a symmetric matrix is to be read; this one is never taken to be symmetric.
        attributes.flag("lower", false)?;
        match attributes.inputs() {
            2 => Ok(Self { transposed: attributes.flag("transposed", false)? }),
            found => Err(format!("it has {found} inputs; expected two, the matrix and the right side")),
        }
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [matrix, right] = inputs else { bail!("expected two inputs, found {}", inputs.len()) };
        check(&matrix.shape, &right.shape)?;
        for input in inputs {
            ensure!(input.kind.is_float(), "an input is {:?}; expected floats", input.kind);
        }
        ensure!(matrix.kind == right.kind, "the matrix is {:?}, the right side {:?}; expected one type", matrix.kind, right.kind);
        Ok(tvec!(right.clone()))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let [matrix, right] = inputs else { bail!("expected two inputs, found {}", inputs.len()) };
        check(matrix.shape(), right.shape())?;
        let (size, rows) = (matrix.shape()[0], right.shape()[0]);
        let square = matrix.shape()[1] == size && rows == size;
        ensure!(square, "a matrix of shape {:?} and a right side of {:?} do not fit", matrix.shape(), right.shape());
        let wide = |tensor: &Tensor| Ok::<_, TractError>(slice::<f64>(&*tensor.cast_to::<f64>()?)?.to_vec());
        let solved = self.solve(wide(matrix)?, size, wide(right)?)?;
        Ok(tvec!(tensor(right.shape(), solved)?.cast_to_dt(right.datum_type())?.into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPPER: [f64; 9] = [2.0, 1.0, -1.0, 0.0, 4.0, 2.0, 0.0, 0.0, 0.5];
    /// The first pivot is 0, so rows must be exchanged.
    const FULL: [f64; 9] = [0.0, 2.0, 1.0, 4.0, 1.0, -2.0, 1.0, 3.0, 5.0];

    fn product(matrix: &[f64], x: &[f64], transposed: bool) -> Vec<f64> {
        let at = |row: usize, column: usize| if transposed { matrix[column * 3 + row] } else { matrix[row * 3 + column] };
        let element = |at_x: usize| (0..3).map(|k| at(at_x / 2, k) * x[k * 2 + at_x % 2]).sum();
        (0..6).map(element).collect()
    }

    #[test]
    fn what_is_solved_multiplies_back() {
        let x = [1.0, -2.0, 3.0, 0.5, -1.0, 4.0];
        for matrix in [UPPER, FULL] {
            for transposed in [false, true] {
                let found = Solve { transposed }.solve(matrix.to_vec(), 3, product(&matrix, &x, transposed)).unwrap();
                let near = found.iter().zip(x).all(|(a, b)| (a - b).abs() < 1e-12);
                assert!(near, "{matrix:?} {transposed}: {found:?}, expected {x:?}");
            }
        }
    }

    #[test]
    fn a_singular_matrix_is_an_error() {
        for matrix in [[1.0, 2.0, 2.0, 4.0], [1.0, 0.0, 5.0, 0.0]] {
            let error = Solve { transposed: false }.solve(matrix.to_vec(), 2, vec![1.0, 1.0]).unwrap_err();
            assert_eq!(error.to_string(), "the matrix is singular: nothing is left of row 1");
        }
    }
}
