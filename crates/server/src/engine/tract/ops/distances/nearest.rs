//! The nearest of fixed points: their distances need not all be kept.

use tract_onnx::tract_hir::internal::*;

use super::Points;
use super::packed::{Packed, Real, TILE};
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::tract::ops::NEAREST;
use crate::engine::tract::ops::kernel::{Fact, Kernel};
use crate::engine::tract::ops::numbers::{elements, slice, tensor};

/// Rows whose distances are kept at a time, where not all are answered.
const BLOCK: usize = 2 * TILE;

/// The least distances of each row, the least first, and which points they are of: of equal ones the first, as `TopK` has it.
#[derive(Debug)]
pub(in crate::engine::tract::ops) struct Nearest {
    points: Points,
    count: usize,
    /// Whether the roots are wanted, not the squares.
    root: bool,
}

/// Whether `a` comes before `b`; what is not a number comes last.
fn before<T: PartialOrd>(a: T, b: T) -> bool {
    #[expect(clippy::eq_op, reason = "only what is not a number differs from itself")]
    match a.partial_cmp(&b) {
        Some(order) => order.is_lt(),
        None => a == a,
    }
}

impl Nearest {
    fn find<T: Real>(&self, packed: &Packed<T>, input: &Tensor, rows: usize) -> TractResult<TVec<Tensor>> {
        let (stride, shape) = (packed.padded(), [rows, self.count]);
        let room = elements(&shape, size_of::<T>() + size_of::<i64>())?;
        let (mut values, mut places) = (Vec::with_capacity(room), Vec::with_capacity(room));
        let mut distances = vec![T::default(); stride * rows.min(BLOCK)];
        let mut best: Vec<(T, usize)> = Vec::with_capacity(self.count + 1);
        for block in slice::<T>(input)?.chunks(BLOCK * packed.columns) {
            let count = block.len() / packed.columns;
            packed.measure(block, self.root, &mut distances[..count * stride]);
            for row in distances.chunks_exact(stride).take(count) {
                self.least(&row[..packed.count], &mut best);
                values.extend(best.iter().map(|(value, _)| *value));
                places.extend(best.iter().map(|(_, place)| *place as i64));
            }
        }
        Ok(tvec!(tensor(&shape, values)?, tensor(&shape, places)?))
    }

    fn least<T: Real>(&self, row: &[T], best: &mut Vec<(T, usize)>) {
        best.clear();
        for (place, value) in row.iter().enumerate() {
            if best.len() == self.count && !before(*value, best[self.count - 1].0) {
                continue;
            }
            best.truncate(self.count - 1);
            let at = best.iter().rposition(|(other, _)| !before(*value, *other)).map_or(0, |at| at + 1);
            best.insert(at, (*value, place));
        }
    }
}

impl Kernel for Nearest {
    const NAME: &'static str = NEAREST;
    const OUTPUTS: usize = 2;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let points = Points::read(attributes)?;
        let count = attributes.size("count", 0, (1, points.count()))?;
        Ok(Self { points, count, root: attributes.flag("root", false)? })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let shape = [self.points.rows(inputs)?, self.count.to_dim()];
        Ok(tvec!(Fact::new(self.points.kind(), shape.clone()), Fact::new(i64::datum_type(), shape)))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let rows = self.points.check(inputs[0])?;
        match &self.points {
            Points::Single(packed) => self.find(packed, inputs[0], rows),
            Points::Double(packed) => self.find(packed, inputs[0], rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::Arch;

    use super::*;

    #[test]
    fn the_first_of_equal_ones_and_what_is_no_number_last() {
        let nearest =
            |count| Nearest { points: Points::Single(Packed::pack(Arch::new(), (&[0.0_f32; 6], &[]), 1)), count, root: false };
        let least = |count: usize, row: &[f32]| {
            let mut best = Vec::new();
            nearest(count).least(row, &mut best);
            best.iter().map(|(_, place)| *place).collect::<Vec<_>>()
        };
        assert_eq!(least(3, &[2.0, 1.0, 3.0, 1.0, 0.5, 1.0]), [4, 1, 3]);
        assert_eq!(least(4, &[f32::NAN, 2.0, f32::NAN, 1.0, f32::INFINITY, 2.0]), [3, 1, 5, 4]);
        assert_eq!(least(6, &[f32::NAN, 2.0, f32::NAN, 1.0, f32::INFINITY, 2.0]), [3, 1, 5, 4, 0, 2]);
    }
}
