//! Places for children, and those that wait in them for the next model.

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::process::Process;

/// So many children at once. One that is done is kept for as long as somebody waits for a place, and no longer.
pub(super) struct Places {
    free: Semaphore,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Models that wait for a place.
    waiting: usize,
    /// Children for them, no more than there are models.
    idle: Vec<Process>,
}

/// A place that is taken, until it is dropped.
pub(super) struct Place<'a> {
    places: &'a Places,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Semaphore::new(count.max(1)), queue: Mutex::default() }
    }

    /// Waits for a place; a child is in it where an earlier model has left one.
    pub(super) async fn take(&self) -> (Place<'_>, Option<Process>) {
        let waiting = Waiting::of(self);
        // Nobody closes it; without a permit there would be too many at once, and no harm else.
        let permit = self.free.acquire().await.ok();
        let child = self.queue.lock().idle.pop();
        drop(waiting);
        (Place { places: self, _permit: permit }, child)
    }
}

impl Place<'_> {
    /// Leaves the place, and the child to a model that waits; both come back where none does.
    pub(super) fn leave(self, child: Process) -> Option<(Self, Process)> {
        let mut queue = self.places.queue.lock();
        if queue.idle.len() >= queue.waiting {
            drop(queue);
            return Some((self, child));
        }
        queue.idle.push(child);
        None
    }
}

/// A model that waits, or has given up where it is dropped.
struct Waiting<'a>(&'a Places);

impl<'a> Waiting<'a> {
    fn of(places: &'a Places) -> Self {
        places.queue.lock().waiting += 1;
        Self(places)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.waiting -= 1;
        // Children that nobody waits for any more are killed as they are dropped.
        let most = queue.waiting;
        queue.idle.truncate(most);
    }
}
