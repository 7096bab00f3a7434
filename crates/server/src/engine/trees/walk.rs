//! Walking: several rows through one tree at a time, or one row through several trees, and what their leaves give.
//!
//! Each step of a walk waits for the one before it, which is most of what a tree costs. So walks that do not wait for each other
//! go side by side, and no step branches: a record's comparison is added to the place that it leads to. Trees are taken one
//! after another for a block of rows, so that a tree stays in the fastest cache while the rows go through it. Weights are added
//! in the order of the trees, as ONNX Runtime does on one thread.

use super::describe::Aggregate;
use super::forest::{Forest, Record, Span};
use super::leaves::Leaves;
use super::real::{Element, Real};
use crate::engine::transform::Float;

/// Walks side by side.
const LANES: usize = 8;

/// So many rows left over are walked as a group that is not full; fewer go one by one.
const FULL_ENOUGH: usize = 7;

/// Bytes that the values of a block of rows should take.
const BLOCK_BYTES: usize = 24 << 10;

/// How an aggregate takes a weight in.
trait Fold<T>: Copy {
    fn start(self) -> T;
    fn fold(self, sum: T, weight: T) -> T;
}

#[derive(Clone, Copy)]
struct Plus;

impl<T: Real> Fold<T> for Plus {
    fn start(self) -> T {
        T::default()
    }

    #[inline(always)]
    fn fold(self, sum: T, weight: T) -> T {
        sum + weight
    }
}

/// The least, or the greatest.
#[derive(Clone, Copy)]
struct Extreme {
    greatest: bool,
}

impl<T: Real> Fold<T> for Extreme {
    fn start(self) -> T {
        if self.greatest { -T::INFINITY } else { T::INFINITY }
    }

    #[inline(always)]
    fn fold(self, sum: T, weight: T) -> T {
        if (weight > sum) == self.greatest { weight } else { sum }
    }
}

/// Memory of a run, used again for each block of rows.
#[derive(Default)]
pub(super) struct Work<T> {
    /// Group by group, feature by feature: the values of the group's rows.
    columns: Vec<[T; LANES]>,
    /// Whether a group has a missing value.
    missing: Vec<bool>,
    /// The values of the rows that are in no group.
    rest: Vec<T>,
    sums: Vec<T>,
    /// Beside each sum, whether a leaf gave to it; kept for [`Leaves::Pairs`] alone.
    scored: Vec<bool>,
}

/// Where rows have come to in a tree: the places of the leaves of as many rows, from `row` on.
#[derive(Clone, Copy)]
struct Reached<'a> {
    tree: usize,
    row: usize,
    places: &'a [u32],
}

/// A row's values, by target.
pub(super) struct Sums<'a, T> {
    pub(super) values: &'a mut [T],
    /// Whether a leaf gave to each; empty where all were given to.
    pub(super) scored: &'a [bool],
}

impl<R: Record> Forest<R> {
    /// How many rows a block should have.
    pub(super) fn block(&self) -> usize {
        (BLOCK_BYTES / (self.used.len() * size_of::<R::Value>())).clamp(2 * LANES, 32 * LANES) / LANES * LANES
    }

    /// The aggregates of a block of rows of `width` values; `each` is called with every row's.
    pub(super) fn sum<E: Element<R::Value>>(
        &self,
        rows: &[E],
        width: usize,
        work: &mut Work<R::Value>,
        mut each: impl FnMut(Sums<'_, R::Value>),
    ) {
        self.gather(rows, width, work);
        let count = rows.len() / width;
        match self.aggregate {
            Aggregate::Sum | Aggregate::Average => self.fold(count, Plus, work),
            Aggregate::Least => self.fold(count, Extreme { greatest: false }, work),
            Aggregate::Greatest => self.fold(count, Extreme { greatest: true }, work),
        }
        self.settle(work, &mut each);
    }

    /// The aggregates made values, each row's given to `each`.
    fn settle(&self, work: &mut Work<R::Value>, each: &mut impl FnMut(Sums<'_, R::Value>)) {
        let stride = self.leaves.stride(self.targets);
        let count = R::Value::of(self.trees.len() as f64);
        for (at, sums) in work.sums.chunks_exact_mut(stride).enumerate() {
            let scored = match &self.leaves {
                Leaves::Single { given, .. } => &given[..],
                Leaves::Rows { .. } => &[],
                Leaves::Pairs { .. } => &work.scored[at * stride..][..stride],
            };
            let values = &mut sums[..self.targets];
            for (target, value) in values.iter_mut().enumerate() {
                if scored.get(target) == Some(&false) && !self.base_first {
                    *value = R::Value::default();
                } else if self.aggregate == Aggregate::Average {
                    *value = *value / count;
                }
                if let Some(base) = self.base.get(target).filter(|_| !self.base_first) {
                    *value = *value + *base;
                }
            }
            // A base is a score too.
            each(Sums { values, scored: if self.base.is_empty() { scored } else { &[] } });
        }
    }

    /// The values that are asked for: by feature for whole groups of rows, by row for the rest. What a group lacks is filled up with
    /// the last row.
    fn gather<E: Element<R::Value>>(&self, rows: &[E], width: usize, work: &mut Work<R::Value>) {
        work.columns.clear();
        work.missing.clear();
        work.rest.clear();
        let count = rows.len() / width;
        let groups = count / LANES + usize::from(count % LANES >= FULL_ENOUGH);
        for group in 0..groups {
            let begins: [usize; LANES] = std::array::from_fn(|lane| (group * LANES + lane).min(count - 1) * width);
            let mut missing = false;
            for feature in &self.used {
                let column = begins.map(|begin| rows[begin + feature].value());
                missing |= column.iter().fold(false, |any, value| any | value.missing());
                work.columns.push(column);
            }
            work.missing.push(missing);
        }
        for row in rows.chunks_exact(width).skip(groups * LANES) {
            work.rest.extend(self.used.iter().map(|feature| row[*feature].value()));
        }
    }

    fn fold<F: Fold<R::Value>>(&self, count: usize, fold: F, work: &mut Work<R::Value>) {
        let stride = self.leaves.stride(self.targets);
        work.sums.clear();
        work.sums.resize(count * stride, fold.start());
        if self.base_first && !self.base.is_empty() {
            work.sums.chunks_exact_mut(stride).for_each(|sums| sums[..self.targets].copy_from_slice(&self.base));
        }
        if let Leaves::Pairs { .. } = &self.leaves {
            work.scored.clear();
            work.scored.resize(count * stride, false);
        }
        let (features, groups) = (self.used.len(), work.missing.len());
        let whole = if groups > 0 { &self.trees[..] } else { &[] };
        for (tree, span) in whole.iter().enumerate() {
            for group in 0..groups {
                let columns = &work.columns[group * features..][..features];
                let at = if work.missing[group] { self.group_missing(span, columns) } else { self.group::<false>(span, columns) };
                let live = LANES.min(count - group * LANES);
                self.give(Reached { tree, row: group * LANES, places: &at[..live] }, fold, work);
            }
        }
        for at in (groups * LANES).min(count)..count {
            self.single(at, (at - groups * LANES) * features, fold, work);
        }
    }

    /// One group of rows through one tree: the places of their leaves.
    #[inline(always)]
    fn group<const MISSING: bool>(&self, span: &Span, columns: &[[R::Value; LANES]]) -> [u32; LANES] {
        OneTree::<R, MISSING> { forest: self, columns }.walk(span.least, span.most, [span.first; LANES])
    }

    /// As [`Forest::group`], with missing values among the rows'. Rare enough to stand in the program once.
    #[inline(never)]
    fn group_missing(&self, span: &Span, columns: &[[R::Value; LANES]]) -> [u32; LANES] {
        self.group::<true>(span, columns)
    }

    /// One row, whose values begin at `begin` of the rest, through all trees, several at a time.
    fn single<F: Fold<R::Value>>(&self, at: usize, begin: usize, fold: F, work: &mut Work<R::Value>) {
        let features = self.used.len();
        let missing = work.rest[begin..][..features].iter().fold(false, |any, value| any | value.missing());
        let alone = if let (Leaves::Single { values, .. }, 1) = (&self.leaves, self.targets) { Some(values) } else { None };
        let mut sum = work.sums[at * self.leaves.stride(self.targets)];
        for (chunk, spans) in self.trees.chunks(LANES).enumerate() {
            let row = &work.rest[begin..][..features];
            let places = if missing { self.several_missing(spans, row) } else { self.several::<false>(spans, row) };
            let places = &places[..spans.len()];
            if let Some(values) = alone {
                // A sum in memory would make each addition wait for the one before to be written.
                sum = places.iter().fold(sum, |sum, place| fold.fold(sum, values[*place as usize]));
                continue;
            }
            for (lane, place) in places.iter().enumerate() {
                let places = std::slice::from_ref(place);
                self.give(Reached { tree: chunk * LANES + lane, row: at, places }, fold, work);
            }
        }
        if alone.is_some() {
            work.sums[at] = sum;
        }
    }

    /// One row through several trees: the places of its leaves.
    #[inline(always)]
    fn several<const MISSING: bool>(&self, spans: &[Span], row: &[R::Value]) -> [u32; LANES] {
        let first = std::array::from_fn(|lane| spans.get(lane).map_or(0, |span| span.first));
        let most = spans.iter().map(|span| span.most).max().unwrap_or(0);
        let least = spans.iter().map(|span| span.least).max().unwrap_or(0);
        OneRow::<R, MISSING> { forest: self, row }.walk(least, most, first)
    }

    /// As [`Forest::several`], with missing values in the row.
    #[inline(never)]
    fn several_missing(&self, spans: &[Span], row: &[R::Value]) -> [u32; LANES] {
        self.several::<true>(spans, row)
    }

    /// Takes in what the leaves give.
    #[inline(always)]
    fn give<F: Fold<R::Value>>(&self, reached: Reached<'_>, fold: F, work: &mut Work<R::Value>) {
        let Reached { tree, row, places } = reached;
        let places = places.iter().map(|place| *place as usize);
        match &self.leaves {
            Leaves::Single { values, targets, .. } => {
                let first = row * self.targets + targets[tree];
                for (lane, place) in places.enumerate() {
                    let sum = &mut work.sums[first + lane * self.targets];
                    *sum = fold.fold(*sum, values[place]);
                }
            }
            Leaves::Rows { begins, rows, stride } => {
                for (lane, place) in places.enumerate() {
                    let sums = &mut work.sums[(row + lane) * stride..][..*stride];
                    add_row(sums, &rows[begins[place] as usize..][..*stride], fold);
                }
            }
            Leaves::Pairs { ranges, pairs } => {
                for (at, place) in places.enumerate() {
                    let begin = (row + at) * self.targets;
                    let (from, to) = ranges[place];
                    for (target, weight) in &pairs[from as usize..to as usize] {
                        let sum = &mut work.sums[begin + target];
                        *sum = fold.fold(*sum, *weight);
                        work.scored[begin + target] = true;
                    }
                }
            }
        }
    }
}

/// Walks side by side, a step of all at a time.
trait Steps {
    fn step(&self, at: [u32; LANES]) -> [u32; LANES];

    /// Takes `least` steps from `at`, then on until nobody moves, but no more than `most` and one.
    #[inline(always)]
    fn walk(&self, least: u32, most: u32, mut at: [u32; LANES]) -> [u32; LANES] {
        for _ in 0..least {
            at = self.step(at);
        }
        let mut left = most - least;
        while left > 0 {
            // A look around costs as much as a step.
            let before = self.step(at);
            at = self.step(before);
            if at == before {
                break;
            }
            left = left.saturating_sub(2);
        }
        at
    }
}

/// Each lane a row, all in one tree.
struct OneTree<'a, R: Record, const MISSING: bool> {
    forest: &'a Forest<R>,
    columns: &'a [[R::Value; LANES]],
}

impl<R: Record, const MISSING: bool> Steps for OneTree<'_, R, MISSING> {
    #[inline(always)]
    fn step(&self, mut at: [u32; LANES]) -> [u32; LANES] {
        for (lane, place) in at.iter_mut().enumerate() {
            *place = self.forest.next::<MISSING>(*place, |feature| self.columns[feature][lane]);
        }
        at
    }
}

/// Each lane a tree, all with one row.
struct OneRow<'a, R: Record, const MISSING: bool> {
    forest: &'a Forest<R>,
    row: &'a [R::Value],
}

impl<R: Record, const MISSING: bool> Steps for OneRow<'_, R, MISSING> {
    #[inline(always)]
    fn step(&self, mut at: [u32; LANES]) -> [u32; LANES] {
        for place in &mut at {
            *place = self.forest.next::<MISSING>(*place, |feature| self.row[feature]);
        }
        at
    }
}

impl<R: Record> Forest<R> {
    /// Where a place leads.
    #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "the comparison whose outcome the processor adds without looking at it")]
    #[inline(always)]
    fn next<const MISSING: bool>(&self, place: u32, value: impl Fn(usize) -> R::Value) -> u32 {
        let record = self.records[place as usize];
        let value = value(record.feature());
        let above = if MISSING {
            (value > record.threshold()) | (value.missing() & !self.missing_below[place as usize])
        } else {
            !(value <= record.threshold())
        };
        place.wrapping_add(record.step()).wrapping_add(u32::from(above))
    }
}

/// Takes one row of weights into one of sums. Both are whole vectors long, which spares a loop for what is left over.
#[inline(always)]
fn add_row<T: Real, F: Fold<T>>(sums: &mut [T], weights: &[T], fold: F) {
    let (sums, sums_left) = sums.as_chunks_mut::<8>();
    let (weights, weights_left) = weights.as_chunks::<8>();
    for (sums, weights) in sums.iter_mut().zip(weights) {
        for lane in 0..8 {
            sums[lane] = fold.fold(sums[lane], weights[lane]);
        }
    }
    for (sum, weight) in sums_left.iter_mut().zip(weights_left) {
        *sum = fold.fold(*sum, *weight);
    }
}
