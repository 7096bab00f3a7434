//! How long to wait after a failure: per object, twice as long each time, forgotten when it goes well.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// Failures in a row, by object.
#[derive(Default)]
pub(super) struct Backoff {
    failures: Mutex<HashMap<String, (u32, Instant)>>,
}

impl Backoff {
    /// One more failure; how long to wait now.
    pub(super) fn failed(&self, object: &str) -> Duration {
        let (mut failures, now) = (self.failures.lock(), Instant::now());
        // What fails is tried again within the longest delay; what was not tried for twice that is gone.
        failures.retain(|_, (_, last)| now.duration_since(*last) < 2 * LONGEST);
        let (count, last) = failures.entry(object.to_owned()).or_insert((0, now));
        *last = now;
        *count = count.saturating_add(1);
        FIRST.saturating_mul(1 << (*count - 1).min(16)).min(LONGEST)
    }

    /// It went well, or the object is gone.
    pub(super) fn forget(&self, object: &str) {
        self.failures.lock().remove(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_has_its_own_patience() {
        let backoff = Backoff::default();
        let seconds: Vec<u64> = (0..11).map(|_| backoff.failed("a").as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff.failed("b").as_secs(), 1);
        backoff.forget("a");
        assert_eq!(backoff.failed("a").as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_is_forgotten() {
        let backoff = Backoff::default();
        backoff.failed("gone");
        tokio::time::advance(2 * LONGEST).await;
        backoff.failed("here");
        assert_eq!(backoff.failures.lock().keys().collect::<Vec<_>>(), ["here"]);
    }
}
