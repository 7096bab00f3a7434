//! When to ask a store again, and when to give up.

use std::time::Duration;

use crate::limits::Limits;

/// Counts failures in a row, and forgets them once enough new bytes have come.
pub(super) struct Backoff {
    attempts: u32,
    failures: u32,
    best: u64,
    first: Duration,
    max: Duration,
    retry_after_max: Duration,
}

/// New bytes after which a download counts as getting on, however often it is cut.
const HEADWAY: u64 = 1 << 20;

impl Backoff {
    /// For at most `attempts` requests in a row without headway, beyond the `bytes` that are here.
    pub(super) fn new(limits: &Limits, attempts: u32, bytes: u64) -> Self {
        let (first, max, retry_after_max) = (limits.backoff_first, limits.backoff_max, limits.retry_after_max);
        Self { attempts, failures: 0, best: bytes, first, max, retry_after_max }
    }

    /// A request failed with `bytes` of the artefact here: how long to wait, or `None` to give up. The wait doubles with each
    /// failure and lies by `random` between half and all of that, so that many clients do not come back at once.
    pub(super) fn next(&mut self, bytes: u64, retry_after: Option<Duration>, random: u64) -> Option<Duration> {
        if bytes >= self.best + HEADWAY {
            (self.failures, self.best) = (0, bytes);
        }
        self.failures += 1;
        if self.failures >= self.attempts {
            return None;
        }
        let full = self.first.saturating_mul(1 << (self.failures - 1).min(20)).min(self.max);
        let share = f64::from(u32::try_from(random & 0xffff).unwrap_or(0)) / f64::from(0xffff_u32);
        let wait = full.mul_f64(0.5 + share / 2.0);
        Some(wait.max(retry_after.unwrap_or_default().min(self.retry_after_max)))
    }

    /// Requests that failed in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(backoff: &mut Backoff, bytes: u64, after: Option<u64>, random: u64) -> Option<f64> {
        backoff.next(bytes, after.map(Duration::from_secs), random).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn waits_double_to_a_bound_and_end() {
        let limits = Limits { backoff_max: Duration::from_secs(3), ..Limits::default() };
        let mut backoff = Backoff::new(&limits, 6, 0);
        let waits: Vec<_> = std::iter::from_fn(|| seconds(&mut backoff, 0, None, 0xffff)).collect();
        assert_eq!(waits, [0.5, 1.0, 2.0, 3.0, 3.0]);
        let mut backoff = Backoff::new(&limits, 3, 0);
        assert_eq!(seconds(&mut backoff, 0, None, 0), Some(0.25));
        assert_eq!(seconds(&mut backoff, 0, None, 0), Some(0.5));
    }

    #[test]
    fn retry_after_is_honoured_within_its_bound() {
        let mut backoff = Backoff::new(&Limits::default(), 6, 0);
        assert_eq!(seconds(&mut backoff, 0, Some(7), 0), Some(7.0));
        assert_eq!(seconds(&mut backoff, 0, Some(3600), 0), Some(60.0));
        assert_eq!(seconds(&mut backoff, 0, Some(0), 0xffff), Some(2.0));
    }

    #[test]
    fn headway_forgives_cuts_but_a_store_that_starts_over_is_not_headway() {
        let mut backoff = Backoff::new(&Limits::default(), 3, 0);
        for cut in 1..50 {
            assert!(backoff.next(cut * HEADWAY, None, 0).is_some());
        }
        assert!(backoff.next(10, None, 0).is_some());
        assert!(backoff.next(20 * HEADWAY, None, 0).is_none());
    }
}
