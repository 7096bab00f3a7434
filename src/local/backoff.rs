//! How long a process that ended waits for its next start.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// A process that was ready this long did not fail for the same reason as the one before.
const STABLE: Duration = Duration::from_secs(10);

/// Counts ends in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    ends: u32,
}

impl Backoff {
    /// A process ended that had been ready for `ready`: the wait doubles with each end in a row, from the second on.
    pub(super) fn next(&mut self, ready: Duration) -> Duration {
        if ready >= STABLE {
            self.ends = 0;
        }
        let wait = match self.ends {
            // One that had served well is back at once.
            0 if ready >= STABLE => Duration::ZERO,
            ends => FIRST.saturating_mul(1 << ends.min(16)).min(LONGEST),
        };
        self.ends = self.ends.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_a_stable_run_forgives() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9).map(|_| backoff.next(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(backoff.next(STABLE), Duration::ZERO);
        assert_eq!(backoff.next(Duration::from_secs(1)).as_millis(), 500);
    }
}
