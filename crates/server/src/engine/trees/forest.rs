//! All trees of an ensemble in one flat array, made for walking.

use super::describe::{Aggregate, Ensemble, Fault};
use super::grow::{Grown, grow};
use super::leaves::Leaves;
use super::real::Real;

/// A place as it is held: a comparison and where it leads.
pub(super) trait Record: Copy + Send + Sync {
    type Value: Real;
    fn pack(threshold: Self::Value, feature: u32, below: u32, split: Split) -> Self;
    fn threshold(self) -> Self::Value;
    fn feature(self, split: Split) -> usize;
    /// Within the tree.
    fn below(self, split: Split) -> u32;
}

/// How many bits of a [`Compact`] record's link are the position; those above are the feature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    shift: u32,
    mask: u32,
}

impl Split {
    /// For trees of at most `places` places; `None` where the features do not fit beside them.
    fn of(places: usize, features: usize) -> Option<Self> {
        let shift = usize::BITS - places.leading_zeros();
        let rest = usize::BITS - features.leading_zeros();
        (shift + rest <= u32::BITS).then(|| Self { shift, mask: u32::try_from((1_u64 << shift) - 1).unwrap_or(u32::MAX) })
    }
}

/// Eight bytes.
#[derive(Clone, Copy)]
pub(super) struct Compact {
    threshold: f32,
    link: u32,
}

impl Record for Compact {
    type Value = f32;

    fn pack(threshold: f32, feature: u32, below: u32, split: Split) -> Self {
        Self { threshold, link: feature.checked_shl(split.shift).unwrap_or(0) | below }
    }

    #[inline(always)]
    fn threshold(self) -> f32 {
        self.threshold
    }

    #[inline(always)]
    fn feature(self, split: Split) -> usize {
        (self.link >> (split.shift & 31)) as usize
    }

    #[inline(always)]
    fn below(self, split: Split) -> u32 {
        self.link & split.mask
    }
}

/// For FP64, and for FP32 where trees and features are too many for [`Compact`].
#[derive(Clone, Copy)]
pub(super) struct Wide<T> {
    threshold: T,
    feature: u32,
    below: u32,
}

impl<T: Real> Record for Wide<T> {
    type Value = T;

    fn pack(threshold: T, feature: u32, below: u32, _: Split) -> Self {
        Self { threshold, feature, below }
    }

    #[inline(always)]
    fn threshold(self) -> T {
        self.threshold
    }

    #[inline(always)]
    fn feature(self, _: Split) -> usize {
        self.feature as usize
    }

    #[inline(always)]
    fn below(self, _: Split) -> u32 {
        self.below
    }
}

/// Where a tree is, and how deep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) first: usize,
    pub(super) count: usize,
    /// Comparisons to the nearest leaf.
    pub(super) least: u32,
    /// Comparisons to the farthest leaf.
    pub(super) most: u32,
}

/// The trees, laid out.
pub(super) struct Forest<R: Record> {
    pub(super) records: Vec<R>,
    pub(super) split: Split,
    /// Beside each record: whether a missing value goes below.
    pub(super) missing_below: Vec<bool>,
    /// Whether some record sends missing values above: then rows that have some are walked apart.
    pub(super) sends_above: bool,
    pub(super) trees: Vec<Span>,
    pub(super) leaves: Leaves<R::Value>,
    /// The features that are asked for, in order. Records name positions in it.
    pub(super) used: Vec<usize>,
    pub(super) targets: usize,
    pub(super) aggregate: Aggregate,
    pub(super) base: Vec<R::Value>,
}

/// The trees before they are packed: known are how many places and features there are.
pub(super) struct Draft<'a, T> {
    ensemble: &'a Ensemble,
    trees: Vec<Grown<T>>,
    used: Vec<usize>,
}

impl<'a, T: Real> Draft<'a, T> {
    /// Checks the ensemble, for rows of `columns` values where that is known, and lays it out.
    pub(super) fn of(ensemble: &'a Ensemble, columns: Option<usize>) -> Result<Self, Fault> {
        ensemble.check(columns)?;
        let trees: Vec<Grown<T>> = ensemble.trees.iter().map(grow).collect();
        let places = trees.iter().flat_map(|tree| &tree.places);
        let mut used: Vec<usize> = places.filter(|place| place.leaf.is_none()).map(|place| place.feature as usize).collect();
        used.sort_unstable();
        used.dedup();
        Ok(Self { ensemble, trees, used })
    }

    /// Whether compact records can hold it.
    pub(super) fn split(&self) -> Option<Split> {
        let most = self.trees.iter().map(|tree| tree.places.len()).max().unwrap_or(0);
        Split::of(most, self.used.len())
    }

    /// Packs it.
    pub(super) fn pack<R: Record<Value = T>>(self, split: Split) -> Forest<R> {
        let all: usize = self.trees.iter().map(|tree| tree.places.len()).sum();
        let (mut records, mut missing_below) = (Vec::with_capacity(all), Vec::with_capacity(all));
        let mut trees = Vec::with_capacity(self.trees.len());
        for tree in &self.trees {
            trees.push(Span { first: records.len(), count: tree.places.len(), least: tree.least, most: tree.most });
            for place in &tree.places {
                let feature = match place.leaf {
                    Some(_) => 0,
                    None => self.used.binary_search(&(place.feature as usize)).unwrap_or(0),
                };
                records.push(R::pack(place.threshold, u32::try_from(feature).unwrap_or(0), place.below, split));
                missing_below.push(place.missing_below);
            }
        }
        let leaves = Leaves::of(self.ensemble, &self.trees);
        let base = self.ensemble.base.iter().map(|value| T::of(*value)).collect();
        let sends_above = missing_below.iter().any(|below| !below);
        let Ensemble { targets, aggregate, .. } = *self.ensemble;
        // A forest of leaves alone asks for nothing, and a walk needs something to look at.
        let used = if self.used.is_empty() { vec![0] } else { self.used };
        Forest { records, split, missing_below, sends_above, trees, leaves, used, targets, aggregate, base }
    }
}

impl Split {
    /// For records that need none.
    pub(super) const NONE: Self = Self { shift: 0, mask: 0 };
}
