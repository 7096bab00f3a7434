//! A histogram with fixed bounds, its counters spread over shards so that threads do not fight over a cache line.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Shards of each histogram. More threads than that share.
const SHARDS: usize = 4;

/// Values in a unit of the caller's choice, counted by upper bound.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    shards: [Shard; SHARDS],
}

#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    /// One per bound, and one above the last.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram held when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `(upper bound, values at or below it)`, cumulative; the last bound (infinity) is [`Snapshot::count`].
    pub buckets: Vec<(u64, u64)>,
    /// All values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}

/// Bounds for durations in nanoseconds: 25 us to 60 s, two or three per decade.
pub(super) const NANOSECONDS: &[u64] = &[
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
    60_000_000_000,
];

/// Bounds for rows in a run.
pub(super) const ROWS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

impl Histogram {
    /// An empty histogram; `bounds` ascend.
    pub fn new(bounds: &'static [u64]) -> Self {
        let shard = || Shard { buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) };
        Self { bounds, shards: std::array::from_fn(|_| shard()) }
    }

    /// Counts one value.
    pub fn record(&self, value: u64) {
        let shard = &self.shards[shard_of_thread()];
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        shard.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        shard.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> Snapshot {
        let of = |bucket: usize| self.shards.iter().map(|shard| shard.buckets[bucket].load(Ordering::Relaxed)).sum::<u64>();
        let mut count = 0;
        let buckets = self.bounds.iter().enumerate().map(|(bucket, bound)| {
            count += of(bucket);
            (*bound, count)
        });
        let buckets: Vec<_> = buckets.collect();
        count += of(self.bounds.len());
        let sum = self.shards.iter().map(|shard| shard.sum.load(Ordering::Relaxed)).sum();
        Snapshot { buckets, count, sum }
    }
}

/// The shard of the calling thread: handed out in turn.
fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = const { Cell::new(usize::MAX) });
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        mine.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_land_at_or_below_their_bound() {
        let histogram = Histogram::new(&[10, 100]);
        for value in [0, 10, 11, 100, 101, 5000] {
            histogram.record(value);
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot, Snapshot { buckets: vec![(10, 2), (100, 4)], count: 6, sum: 5222 });
    }

    #[test]
    fn threads_are_summed() {
        let histogram = Histogram::new(ROWS);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| histogram.record(2)));
            }
        });
        assert_eq!((histogram.snapshot().count, histogram.snapshot().sum), (8000, 16_000));
    }
}
