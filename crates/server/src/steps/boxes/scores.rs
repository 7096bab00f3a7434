//! Which boxes of a row have a score that is worth a comparison.

use modelyard_wire::DataType;

use super::super::expect::rounded;
use super::suppress::Candidate;

/// The values of a row's boxes, read in the order in which they lie.
pub(super) struct Grid<'a> {
    numbers: &'a [f64],
    count: usize,
    values: usize,
    boxes_last: bool,
}

impl<'a> Grid<'a> {
    /// A row of a column `[rows, boxes, values]`, or with the boxes last.
    pub(super) fn row(row: usize, numbers: &'a [f64], shape: &[usize], boxes_last: bool) -> Self {
        let (first, second) = (shape[1], shape[2]);
        let size = first * second;
        let numbers = numbers.get(row * size..(row + 1) * size).unwrap_or_default();
        let (count, values) = if boxes_last { (second, first) } else { (first, second) };
        Self { numbers, count, values, boxes_last }
    }

    pub(super) fn at(&self, index: usize, value: usize) -> f64 {
        let at = if self.boxes_last { value * self.count + index } else { index * self.values + value };
        self.numbers.get(at).copied().unwrap_or(f64::NAN)
    }

    /// Visits the values from `first` on: box, value, number. Of one box they come in their order.
    fn each(&self, first: usize, mut visit: impl FnMut(usize, usize, f64)) {
        if self.boxes_last {
            for (value, line) in self.numbers.chunks_exact(self.count.max(1)).enumerate().skip(first) {
                line.iter().enumerate().for_each(|(index, number)| visit(index, value, *number));
            }
        } else {
            for (index, line) in self.numbers.chunks_exact(self.values.max(1)).enumerate() {
                line.iter().enumerate().skip(first).for_each(|(value, number)| visit(index, value, *number));
            }
        }
    }
}

/// How scores are read.
pub(super) struct Scored {
    /// The first value that is a class which may be found, and the one that is class 0.
    pub(super) first: usize,
    pub(super) classes_from: usize,
    /// The value that every score is multiplied with.
    pub(super) objectness: Option<usize>,
    pub(super) above: f64,
    pub(super) multi_label: bool,
    pub(super) datatype: DataType,
}

impl Scored {
    /// The boxes with a score above the threshold, not yet decoded, each with its best class or with each that is; of equal scores
    /// the first class, and NaN is none.
    pub(super) fn above(&self, grid: &Grid<'_>) -> Vec<Candidate> {
        let mut found = Vec::new();
        let one = |index: usize, value: usize, score: f64| Candidate {
            index,
            class: value - self.classes_from,
            score: self.whole(grid, index, score),
            corners: [0.0; 4],
        };
        if self.multi_label {
            grid.each(self.first, |index, value, score| {
                let one = one(index, value, score);
                if one.score > self.above {
                    found.push(one);
                }
            });
            return found;
        }
        let mut best = vec![(f64::NAN, self.first); grid.count];
        grid.each(self.first, |index, value, score| {
            if let Some(best) = best.get_mut(index)
                && (score > best.0 || best.0.is_nan() && !score.is_nan())
            {
                *best = (score, value);
            }
        });
        let all = best.into_iter().enumerate().map(|(index, (score, value))| one(index, value, score));
        all.filter(|one| one.score > self.above).collect()
    }

    /// With the objectness, rounded as the model's own arithmetic would.
    fn whole(&self, grid: &Grid<'_>, index: usize, score: f64) -> f64 {
        self.objectness.map_or(score, |value| rounded(score * grid.at(index, value), self.datatype))
    }
}
