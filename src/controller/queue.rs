//! Who waits for a reconcile, and since when.

use std::collections::HashMap;
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::kept::Kept;

/// Those whose change was seen, and who have not been looked at since. (What is looked at again after a while, without a change, does
/// not wait.)
#[derive(Default)]
pub(super) struct Queue {
    since: Mutex<HashMap<ObjectRef<Kept>, Instant>>,
}

impl Queue {
    /// Something of it changed.
    pub(super) fn enter(&self, object: &ObjectRef<Kept>) {
        let mut since = self.since.lock();
        if !since.contains_key(object) {
            since.insert(object.clone(), Instant::now());
        }
    }

    /// It is looked at, or gone; how long it waited.
    pub(super) fn leave(&self, object: &ObjectRef<Kept>) -> Option<Duration> {
        self.since.lock().remove(object).map(|since| since.elapsed())
    }

    /// How many wait, and how long the first of them has.
    pub(super) fn state(&self) -> (usize, Duration) {
        let since = self.since.lock();
        (since.len(), since.values().min().map(Instant::elapsed).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_longest_counts() {
        let queue = Queue::default();
        let object = |name: &str| ObjectRef::new(name).within("n");
        queue.enter(&object("a"));
        tokio::time::advance(Duration::from_secs(2)).await;
        queue.enter(&object("b"));
        queue.enter(&object("a"));
        assert_eq!(queue.state(), (2, Duration::from_secs(2)));
        assert_eq!(queue.leave(&object("a")), Some(Duration::from_secs(2)));
        assert_eq!((queue.leave(&object("a")), queue.state()), (None, (1, Duration::ZERO)));
    }
}
