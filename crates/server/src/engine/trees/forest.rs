//! All trees of an ensemble in one flat array, made for walking.

use super::describe::{Aggregate, Ensemble, Fault};
use super::grow::{Grown, grow};
use super::leaves::Leaves;
use super::real::Real;

/// A place as it is held: a comparison and where it leads.
pub(super) trait Record: Copy + Send + Sync {
    type Value: Real;
    /// `None` where the numbers are too large to be held.
    fn pack(threshold: Self::Value, feature: u32, step: i64) -> Option<Self>;
    fn threshold(self) -> Self::Value;
    fn feature(self) -> usize;
    /// How far on the place of the values at most the threshold is, modulo 2^32.
    fn step(self) -> u32;
}

/// Eight bytes: what most trees fit into.
#[derive(Clone, Copy)]
pub(super) struct Compact {
    threshold: f32,
    feature: u16,
    step: u16,
}

impl Record for Compact {
    type Value = f32;

    fn pack(threshold: f32, feature: u32, step: i64) -> Option<Self> {
        Some(Self { threshold, feature: feature.try_into().ok()?, step: step.try_into().ok()? })
    }

    #[inline(always)]
    fn threshold(self) -> f32 {
        self.threshold
    }

    #[inline(always)]
    fn feature(self) -> usize {
        self.feature.into()
    }

    #[inline(always)]
    fn step(self) -> u32 {
        self.step.into()
    }
}

/// For FP64, and for FP32 where trees or features are too many for [`Compact`].
#[derive(Clone, Copy)]
pub(super) struct Wide<T> {
    threshold: T,
    feature: u32,
    step: i32,
}

impl<T: Real> Record for Wide<T> {
    type Value = T;

    fn pack(threshold: T, feature: u32, step: i64) -> Option<Self> {
        Some(Self { threshold, feature, step: step.try_into().ok()? })
    }

    #[inline(always)]
    fn threshold(self) -> T {
        self.threshold
    }

    #[inline(always)]
    fn feature(self) -> usize {
        self.feature as usize
    }

    #[inline(always)]
    fn step(self) -> u32 {
        self.step.cast_unsigned()
    }
}

/// Where a tree is, and how deep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) first: u32,
    /// Comparisons to the nearest leaf.
    pub(super) least: u32,
    /// Comparisons to the farthest leaf.
    pub(super) most: u32,
}

/// The trees, laid out.
pub(super) struct Forest<R: Record> {
    pub(super) records: Vec<R>,
    /// Beside each record: whether a missing value goes below.
    pub(super) missing_below: Vec<bool>,
    pub(super) trees: Vec<Span>,
    pub(super) leaves: Leaves<R::Value>,
    /// The features that are asked for, in order. Records name positions in it.
    pub(super) used: Vec<usize>,
    pub(super) targets: usize,
    pub(super) aggregate: Aggregate,
    pub(super) base: Vec<R::Value>,
    /// Whether sums begin with it.
    pub(super) base_first: bool,
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
        // A forest of leaves alone asks for nothing, and a walk needs something to look at.
        if used.is_empty() {
            used.push(0);
        }
        Ok(Self { ensemble, trees, used })
    }

    /// Packs it; `None` where the records cannot hold it.
    pub(super) fn pack<R: Record<Value = T>>(&self) -> Option<Forest<R>> {
        let all: usize = self.trees.iter().map(|tree| tree.places.len()).sum();
        let (mut records, mut missing_below) = (Vec::with_capacity(all), Vec::with_capacity(all));
        let mut trees = Vec::with_capacity(self.trees.len());
        for tree in &self.trees {
            trees.push(Span { first: u32::try_from(records.len()).ok()?, least: tree.least, most: tree.most });
            for (at, place) in tree.places.iter().enumerate() {
                let feature = match place.leaf {
                    Some(_) => 0,
                    None => self.used.binary_search(&(place.feature as usize)).unwrap_or(0),
                };
                let step = i64::from(place.below) - i64::try_from(at).ok()?;
                records.push(R::pack(place.threshold, u32::try_from(feature).ok()?, step)?);
                missing_below.push(place.missing_below);
            }
        }
        let leaves = Leaves::of(self.ensemble, &self.trees);
        let base = self.ensemble.base.iter().map(|value| T::of(*value)).collect();
        let Ensemble { targets, aggregate, base_first, .. } = *self.ensemble;
        Some(Forest { records, missing_below, trees, leaves, used: self.used.clone(), targets, aggregate, base, base_first })
    }
}
