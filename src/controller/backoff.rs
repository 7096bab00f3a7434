//! How long to wait after a failure: per object, twice as long each time, forgotten when it goes well or further; and after a lost
//! connection. These are the only ones: the client itself tries nothing again.

use std::collections::HashMap;
use std::time::Duration;

use kube::runtime::utils::Backoff as Delays;
use parking_lot::Mutex;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// The same where the API server is at fault: it is busy or away for all objects, and comes back for all.
const LONGEST_PASSING: Duration = Duration::from_secs(30);

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The object's, or what it names.
    Object,
    /// The API server's, which is busy or away.
    Server,
    /// Nobody's: somebody else wrote meanwhile. What there is now is known in a moment.
    Race,
}

impl Blame {
    /// Whose fault an error of a call is.
    pub(super) fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 409 => Self::Race,
            error if may_pass(error) => Self::Server,
            _ => Self::Object,
        }
    }
}

/// Failures in a row, by object.
#[derive(Default)]
pub(super) struct Backoff {
    failures: Mutex<HashMap<String, Failures>>,
}

struct Failures {
    /// At what it failed last.
    at: String,
    count: u32,
    last: Instant,
}

/// Whether an error may go by itself: there was no answer, or one that says "not now".
pub(super) fn may_pass(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 409 | 429 | 500..),
        _ => true,
    }
}

impl Backoff {
    /// One more failure, `at` some step; how long to wait now. Who fails at another step than before has come further.
    pub(super) fn failed(&self, object: &str, at: &str, blame: Blame) -> Duration {
        let (mut failures, now) = (self.failures.lock(), Instant::now());
        // What fails is tried again within the longest delay; what was not tried for twice that is gone.
        failures.retain(|_, known| now.duration_since(known.last) < 2 * LONGEST);
        let known = failures.entry(object.to_owned()).or_insert_with(|| Failures { at: at.to_owned(), count: 0, last: now });
        if known.at != at {
            *known = Failures { at: at.to_owned(), count: 0, last: now };
        }
        known.last = now;
        if blame == Blame::Race {
            return FIRST;
        }
        known.count = known.count.saturating_add(1);
        FIRST.saturating_mul(1 << (known.count - 1).min(16)).min(if blame == Blame::Server { LONGEST_PASSING } else { LONGEST })
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
        let failed = |object: &str, at: &str| backoff.failed(object, at, Blame::Object).as_secs();
        let seconds: Vec<u64> = (0..11).map(|_| failed("a", "Service a")).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff.failed("a", "Service a", Blame::Server).as_secs(), 30);
        assert_eq!(backoff.failed("a", "Service a", Blame::Race).as_secs(), 1);
        assert_eq!(failed("b", "Service b"), 1);
        assert_eq!(failed("a", "Deployment a"), 1, "it has come further");
        assert_eq!(backoff.failed("a", "Deployment a", Blame::Race).as_secs(), 1);
        assert_eq!(failed("a", "Deployment a"), 2, "a race counts for nothing");
        backoff.forget("a");
        assert_eq!(failed("a", "Deployment a"), 1);
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
        backoff.failed("gone", "", Blame::Object);
        tokio::time::advance(2 * LONGEST).await;
        backoff.failed("here", "", Blame::Object);
        assert_eq!(backoff.failures.lock().keys().collect::<Vec<_>>(), ["here"]);
    }
}
