//! Squared Euclidean distances from rows to fixed points, and the nearest of these: what `fuse` makes of `Scan`s and of chains of broadcasts.
//!
//! The differences are squared and added up as they are, as in the nodes that it stands for: by dot products distances between near points
//! would lose their digits.

use pulp::Arch;
use tract_onnx::tract_hir::internal::*;

mod nearest;
mod packed;

pub(super) use nearest::Nearest;
use packed::{Packed, Real};

use super::kernel::{Fact, Kernel};
use super::numbers::{elements, slice, tensor};
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::values::Values;

/// The points, of either type.
#[derive(Debug)]
enum Points {
    Single(Packed<f32>),
    Double(Packed<f64>),
}

impl Points {
    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let tensor = attributes.tensor("points")?.ok_or("attribute points is missing")?;
        let &[count, columns] = &tensor.dims[..] else {
            return Err(format!("attribute points has the shape {:?}; expected points and columns", tensor.dims));
        };
        let columns = usize::try_from(columns).ok().filter(|columns| *columns > 0 && count > 0);
        let columns = columns.ok_or_else(|| format!("attribute points has the shape {:?}; expected some", tensor.dims))?;
        let values = |tensor| Values::of(tensor).map_err(|wrong| format!("a tensor of points or variances: {wrong}"));
        let variances = attributes.tensor("variances")?.map(values).transpose()?;
        match (values(tensor)?, variances) {
            (Values::Floats(points), None) => Ok(Self::Single(Packed::pack(Arch::new(), (&points, &[]), columns))),
            (Values::Doubles(points), None) => Ok(Self::Double(Packed::pack(Arch::new(), (&points, &[]), columns))),
            (Values::Floats(points), Some(Values::Floats(variances))) => {
                Ok(Self::Single(Packed::pack(Arch::new(), (&points, &inverses(&variances, points.len())?), columns)))
            }
            (Values::Doubles(points), Some(Values::Doubles(variances))) => {
                Ok(Self::Double(Packed::pack(Arch::new(), (&points, &inverses(&variances, points.len())?), columns)))
            }
            _ => Err("attributes points and variances are not both FP32 or both FP64".to_owned()),
        }
    }

    fn kind(&self) -> DatumType {
        match self {
            Self::Single(_) => f32::datum_type(),
            Self::Double(_) => f64::datum_type(),
        }
    }

    const fn columns(&self) -> usize {
        match self {
            Self::Single(packed) => packed.columns,
            Self::Double(packed) => packed.columns,
        }
    }

    const fn count(&self) -> usize {
        match self {
            Self::Single(packed) => packed.count,
            Self::Double(packed) => packed.count,
        }
    }

    /// Checks that the input is a table of the points' type and width; its rows.
    fn rows(&self, inputs: &[Fact]) -> TractResult<TDim> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        ensure!(input.kind == self.kind(), "the input is {:?}; the points are {:?}", input.kind, self.kind());
        let [rows, columns] = &*input.shape else {
            bail!("the input has {} dimensions; expected [rows, columns]", input.shape.len());
        };
        if let Ok(found) = columns.to_usize() {
            ensure!(found == self.columns(), "the input has {found} columns; the points have {}", self.columns());
        }
        Ok(rows.clone())
    }

    fn check(&self, input: &Tensor) -> TractResult<usize> {
        match *input.shape() {
            [rows, columns] if columns == self.columns() => Ok(rows),
            ref shape => bail!("the input has the shape {shape:?}; expected rows of {} columns", self.columns()),
        }
    }
}

/// A product takes a small part of a division's time; what has no inverse stays with the division.
fn inverses<T: Real>(variances: &[T], expected: usize) -> Result<Vec<T>, Wrong> {
    let all: Vec<T> = variances.iter().map(|variance| variance.inverse()).collect();
    if all.len() != expected || !all.iter().all(|inverse| inverse.is_finite()) {
        return Err("attribute variances is not as large as points, or holds what has no inverse".to_owned());
    }
    Ok(all)
}

/// All squared distances: [rows, points].
#[derive(Debug)]
pub(super) struct SquaredDistances(Points);

impl SquaredDistances {
    fn all<T: Real>(packed: &Packed<T>, input: &Tensor, rows: usize) -> TractResult<Tensor> {
        let (stride, count) = (packed.padded(), packed.count);
        let mut distances = vec![T::default(); elements(&[rows, stride], size_of::<T>())?];
        packed.measure(slice::<T>(input)?, false, &mut distances);
        if stride > count {
            for row in 1..rows {
                distances.copy_within(row * stride..row * stride + count, row * count);
            }
            distances.truncate(rows * count);
        }
        tensor(&[rows, count], distances)
    }
}

impl Kernel for SquaredDistances {
    const NAME: &'static str = super::SQUARED_DISTANCES;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        Points::read(attributes).map(Self)
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        Ok(tvec!(Fact::new(self.0.kind(), [self.0.rows(inputs)?, self.0.count().to_dim()])))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let rows = self.0.check(inputs[0])?;
        Ok(tvec!(match &self.0 {
            Points::Single(packed) => Self::all(packed, inputs[0], rows)?,
            Points::Double(packed) => Self::all(packed, inputs[0], rows)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::dense::processors;

    /// Numbers that differ, with few digits, so that sums are exact whatever their order.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7919 + seed * 104_729) % 64) as f32 / 8.0 - 4.0).collect()
    }

    #[test]
    fn distances_of_any_number_of_rows_and_points() {
        for (rows, points, columns) in [(1, 1, 1), (3, 5, 2), (4, 16, 64), (9, 33, 70)] {
            let (input, all) = (numbers(rows * columns, 1), numbers(points * columns, 2));
            let weights = vec![0.5; all.len()];
            for (arch, weights) in processors().into_iter().flat_map(|arch| [(arch, &[][..]), (arch, &weights)]) {
                let packed = Packed::pack(arch, (&all, weights), columns);
                let found = SquaredDistances::all(&packed, &tensor(&[rows, columns], input.clone()).unwrap(), rows).unwrap();
                let weight = if weights.is_empty() { 1.0 } else { 0.5 };
                let square = |(a, b): (&f32, &f32)| (a - b) * (a - b) * weight;
                let expected = input
                    .chunks(columns)
                    .flat_map(|row| all.chunks(columns).map(move |point| row.iter().zip(point).map(square).sum::<f32>()));
                assert_eq!(slice::<f32>(&found).unwrap(), expected.collect::<Vec<_>>(), "{arch:?}");
            }
        }
    }
}
