//! Latencies by the million in a few kilobytes: a histogram whose buckets widen with the value.
//!
//! The idea is HdrHistogram's (G. Tene): each power of two is cut into [`PARTS`] buckets, so a value is known to within
//! 1/256 of itself; the middle of its bucket, which is reported, is off by 0.2 % at most. The greatest value is kept exactly.

use std::time::Duration;

/// Bits of a value that are kept after its leading one.
const BITS: u32 = 8;

/// Buckets of each power of two.
const PARTS: usize = 1 << BITS;

/// Counts of nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    total: u128,
    greatest: u64,
}

impl Histogram {
    /// An empty one.
    pub(super) fn new() -> Self {
        // Up to 2^40 ns, which is 18 minutes; anything longer counts there.
        Self { counts: vec![0; bucket(1 << 40) + 1], count: 0, total: 0, greatest: 0 }
    }

    /// Counts one latency.
    pub(super) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let last = self.counts.len() - 1;
        self.counts[bucket(nanoseconds).min(last)] += 1;
        self.count += 1;
        self.total += u128::from(nanoseconds);
        self.greatest = self.greatest.max(nanoseconds);
    }

    /// Adds another's counts.
    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, more)| *own += more);
        self.count += other.count;
        self.total += other.total;
        self.greatest = self.greatest.max(other.greatest);
    }

    /// How many were counted.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Milliseconds that `share` (0 to 1) of the latencies do not exceed; 0 where there are none.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle(index).min(self.greatest as f64) / 1e6;
            }
        }
        self.greatest as f64 / 1e6
    }

    /// The mean in milliseconds, exact; 0 where there are none.
    pub(super) fn mean(&self) -> f64 {
        self.total as f64 / self.count.max(1) as f64 / 1e6
    }

    /// The greatest in milliseconds, exact.
    pub(super) fn greatest(&self) -> f64 {
        self.greatest as f64 / 1e6
    }
}

/// The bucket of a value: itself below [`PARTS`], then [`PARTS`] for each further power of two.
fn bucket(value: u64) -> usize {
    let exponent = 63 - (value | 1).leading_zeros();
    let Some(shift) = exponent.checked_sub(BITS) else { return value as usize };
    ((shift as usize) << BITS) + (value >> shift) as usize
}

/// The middle of a bucket.
fn middle(index: usize) -> f64 {
    if index < PARTS {
        return index as f64;
    }
    let shift = (index >> BITS) - 1;
    let least = ((index - (shift << BITS)) as u64) << shift;
    least as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_one_another() {
        let mut last = 0;
        for value in 0..100_000 {
            let found = bucket(value);
            assert!(found == last || found == last + 1, "{value}");
            last = found;
        }
    }

    proptest! {
        /// The documented bound, against sorting.
        #[test]
        fn quantiles_are_within_their_bound(values in prop::collection::vec(1_u64..(1 << 40), 1..200), share in 0.0_f64..=1.0) {
            let mut halves = [Histogram::new(), Histogram::new()];
            for (index, value) in values.iter().enumerate() {
                halves[index % 2].record(Duration::from_nanos(*value));
            }
            let [mut all, more] = halves;
            all.merge(&more);
            let mut sorted = values;
            sorted.sort_unstable();
            let exact = sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1] as f64 / 1e6;
            prop_assert!((all.quantile(share) - exact).abs() <= exact * 0.002 + 1e-9);
            prop_assert_eq!(all.greatest(), sorted[sorted.len() - 1] as f64 / 1e6);
        }
    }
}
