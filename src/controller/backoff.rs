//! How long to wait after a failure: per object, twice as long each time, forgotten when it goes well; and after a lost connection.

use std::collections::HashMap;
use std::time::Duration;

use kube::runtime::utils::Backoff as Delays;
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

/// How long to wait before a connection to the API server that broke is tried again. kube's own delays grow to 30 s, which is added to
/// every outage of half a minute; an operator has a handful of connections, so it can ask oftener.
#[derive(Default)]
pub(super) struct Reconnect {
    failures: u32,
    last: Option<Instant>,
}

impl Reconnect {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(4);
    /// A connection that stood for so long was good. What breaks sooner counts on: a list may work again and again, and its watch never.
    const GOOD: Duration = Duration::from_secs(60);

    /// One more failure; how long to wait now.
    pub(super) fn failed(&mut self) -> Duration {
        let now = Instant::now();
        if self.last.replace(now).is_some_and(|last| now.duration_since(last) > Self::GOOD) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        Self::FIRST.saturating_mul(1 << (self.failures - 1).min(16)).min(Self::LONGEST)
    }
}

impl Iterator for Reconnect {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.failed())
    }
}

impl Delays for Reconnect {
    // Time alone tells that it goes well.
    fn reset(&mut self) {}
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
    async fn a_connection_is_tried_again_soon_but_not_at_once() {
        let mut reconnect = Reconnect::default();
        let millis: Vec<u128> = (0..5).map(|_| reconnect.failed().as_millis()).collect();
        assert_eq!(millis, [500, 1000, 2000, 4000, 4000]);
        tokio::time::advance(Reconnect::GOOD).await;
        assert_eq!(reconnect.failed().as_millis(), 4000);
        tokio::time::advance(Reconnect::GOOD * 2).await;
        assert_eq!(reconnect.failed().as_millis(), 500);
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
