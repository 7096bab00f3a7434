//! What leaves give, held as the ensemble allows: one number, a row of numbers, or pairs of target and number.

use std::collections::HashMap;

use super::describe::{Ensemble, Weight};
use super::grow::Grown;
use super::real::Real;

/// What stands beside each place of the trees, by position in the whole forest.
pub(super) enum Leaves<T> {
    /// Every leaf has one weight, and all those of a tree are for the same target.
    Single {
        values: Vec<T>,
        /// By tree.
        targets: Vec<usize>,
        /// By target: whether some tree gives to it.
        given: Vec<bool>,
    },
    /// Every leaf has a weight for every target. Equal leaves share their row: pure ones are many and alike.
    Rows {
        /// Where the place's row begins.
        begins: Vec<u32>,
        rows: Vec<T>,
        /// Elements from row to row: the targets, and zeros up to whole vectors.
        stride: usize,
    },
    /// Anything else.
    Pairs { ranges: Vec<(u32, u32)>, pairs: Vec<(usize, T)> },
}

impl<T: Real> Leaves<T> {
    pub(super) fn of(ensemble: &Ensemble, trees: &[Grown<T>]) -> Self {
        if let Some(targets) = single_targets(ensemble, trees) {
            let places = trees.iter().flat_map(|tree| &tree.places);
            let value = |weights: &[Weight]| weights.first().map_or(T::default(), |weight| T::of(weight.value));
            let values = places.map(|place| place.leaf.clone().map_or(T::default(), |range| value(&ensemble.weights[range])));
            let given = (0..ensemble.targets).map(|target| targets.contains(&target)).collect();
            return Self::Single { values: values.collect(), targets, given };
        }
        if is_complete(ensemble, trees) { Self::rows(ensemble, trees) } else { Self::pairs(ensemble, trees) }
    }

    /// Elements of a row of sums.
    pub(super) fn stride(&self, targets: usize) -> usize {
        if let Self::Rows { stride, .. } = self { *stride } else { targets }
    }

    fn rows(ensemble: &Ensemble, trees: &[Grown<T>]) -> Self {
        let stride = match ensemble.targets {
            targets @ 0..=2 => targets,
            3..=4 => 4,
            targets => targets.next_multiple_of(8),
        };
        let mut known: HashMap<Vec<u64>, u32> = HashMap::new();
        let (mut begins, mut rows) = (Vec::new(), Vec::new());
        for place in trees.iter().flat_map(|tree| &tree.places) {
            let Some(range) = place.leaf.clone() else {
                begins.push(0);
                continue;
            };
            let mut row = vec![T::default(); stride];
            ensemble.weights[range].iter().for_each(|weight| row[weight.target] = T::of(weight.value));
            let begin = *known.entry(row.iter().map(|value| value.bits()).collect()).or_insert_with(|| {
                let begin = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                rows.extend_from_slice(&row);
                begin
            });
            begins.push(begin);
        }
        Self::Rows { begins, rows, stride }
    }

    fn pairs(ensemble: &Ensemble, trees: &[Grown<T>]) -> Self {
        let pairs = ensemble.weights.iter().map(|weight| (weight.target, T::of(weight.value))).collect();
        let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let places = trees.iter().flat_map(|tree| &tree.places);
        let ranges = places.map(|place| place.leaf.as_ref().map_or((0, 0), |range| (short(range.start), short(range.end))));
        Self::Pairs { ranges: ranges.collect(), pairs }
    }
}

/// Each tree's one target, if every leaf has just one weight and they agree.
fn single_targets<T>(ensemble: &Ensemble, trees: &[Grown<T>]) -> Option<Vec<usize>> {
    let target = |tree: &Grown<T>| {
        let mut leaves = tree.places.iter().filter_map(|place| place.leaf.clone()).map(|range| match &ensemble.weights[range] {
            [weight] => Some(weight.target),
            _ => None,
        });
        let first = leaves.next()??;
        leaves.all(|target| target == Some(first)).then_some(first)
    };
    trees.iter().map(target).collect()
}

/// Whether every leaf has exactly one weight for each target.
fn is_complete<T>(ensemble: &Ensemble, trees: &[Grown<T>]) -> bool {
    let mut seen = vec![usize::MAX; ensemble.targets];
    let leaves = trees.iter().flat_map(|tree| &tree.places).filter_map(|place| place.leaf.clone());
    leaves.enumerate().all(|(at, range)| {
        let weights = &ensemble.weights[range];
        weights.len() == ensemble.targets && weights.iter().all(|weight| std::mem::replace(&mut seen[weight.target], at) != at)
    })
}
