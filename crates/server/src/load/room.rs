//! Room in memory: what the loaded models take together stays within `serving.memoryBudget`. Each holds its share for as long as
//! anybody holds the model; who wants in when there is no room sends those on standby that were unused for longest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::NotLoaded;
use crate::infer::Model;
use crate::registry::{Entry, Registry, State};

/// How long to wait between two looks for a model that is not in use: requests do not say when they are over, which would cost each
/// of them.
const LOOK: Duration = Duration::from_millis(5);

/// The budget, and what is taken of it.
#[derive(Clone, Default)]
pub(crate) struct Room {
    shares: Arc<Shares>,
}

#[derive(Default)]
struct Shares {
    /// Bytes that all may take; `None`: no bound.
    budget: Option<u64>,
    taken: Mutex<u64>,
    /// A share was given back.
    returned: Notify,
    /// Held by whoever makes room: the next one finds what this one left.
    turn: tokio::sync::Mutex<()>,
}

/// What one loaded model takes, until it is dropped.
pub struct Share {
    bytes: u64,
    of: Arc<Shares>,
}

impl Drop for Share {
    fn drop(&mut self) {
        *self.of.taken.lock() -= self.bytes;
        self.of.returned.notify_waiters();
    }
}

impl Room {
    pub(crate) fn new(budget: Option<u64>) -> Self {
        Self { shares: Arc::new(Shares { budget, ..Shares::default() }) }
    }

    /// Bytes that all may take.
    pub(crate) fn budget(&self) -> Option<u64> {
        self.shares.budget
    }

    /// Bytes that are taken.
    pub(crate) fn taken(&self) -> u64 {
        *self.shares.taken.lock()
    }

    /// A share of `bytes`, if it is free.
    pub(super) fn take(&self, bytes: u64) -> Option<Share> {
        let mut taken = self.shares.taken.lock();
        let after = taken.saturating_add(bytes);
        if self.shares.budget.is_some_and(|budget| after > budget) {
            return None;
        }
        *taken = after;
        Some(Share { bytes, of: Arc::clone(&self.shares) })
    }

    /// A share of `bytes`; `None` where others have them.
    ///
    /// # Errors
    /// It is more than the whole budget.
    pub(super) fn take_if_free(&self, bytes: u64) -> Result<Option<Share>, NotLoaded> {
        match self.shares.budget {
            Some(budget) if bytes > budget => Err(NotLoaded::Large { bytes, budget }),
            _ => Ok(self.take(bytes)),
        }
    }

    /// A share of `bytes`, for which models of `registry` that are not in use are put on standby, those unused for longest first;
    /// `own` is never one of them.
    ///
    /// # Errors
    /// It is more than the whole budget; or all the others were in use for `patience`.
    pub(super) async fn make(
        &self,
        bytes: u64,
        (registry, own): (&Registry, &Arc<Entry>),
        patience: Duration,
    ) -> Result<Share, NotLoaded> {
        let whole = self.shares.budget.unwrap_or(u64::MAX);
        let end = Instant::now() + patience;
        let _turn = self.shares.turn.lock().await;
        loop {
            let returned = self.shares.returned.notified();
            if let Some(share) = self.take_if_free(bytes)? {
                return Ok(share);
            }
            if Instant::now() >= end {
                return Err(NotLoaded::Crowded { bytes, budget: whole, patience });
            }
            if let Some(coldest) = coldest(registry, own) {
                tracing::info!(
                    model = coldest.config.name,
                    "on standby: it was unused for longest, and another needs its memory"
                );
                coldest.stand_by();
            }
            // What it took comes back once the last request lets go, at once as a rule.
            let _ = tokio::time::timeout(LOOK, returned).await;
        }
    }
}

/// The model that was unused for longest, of those that nobody uses or waits for.
fn coldest(registry: &Registry, own: &Arc<Entry>) -> Option<Arc<Entry>> {
    let idle = |entry: &Arc<Entry>| match &*entry.state() {
        State::Ready(model) if !Arc::ptr_eq(entry, own) && !in_use(model) && entry.demand.waiting() == 0 => {
            Some(model.last_used())
        }
        _ => None,
    };
    let candidates = registry.entries().into_iter().filter_map(|entry| Some((idle(&entry)?, entry)));
    candidates.min_by_key(|(used, _)| *used).map(|(_, entry)| entry)
}

fn in_use(model: &Model) -> bool {
    model.metrics.in_flight() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_and_come_back() {
        let room = Room::new(Some(10));
        let six = room.take(6).unwrap();
        assert!(room.take(5).is_none());
        let four = room.take(4).unwrap();
        assert_eq!((room.taken(), room.budget()), (10, Some(10)));
        drop(six);
        assert!(room.take(7).is_none() && room.take(6).is_some());
        drop(four);
        assert_eq!(room.taken(), 0);
        assert!(Room::new(None).take(u64::MAX).is_some());
    }

    #[tokio::test]
    async fn more_than_there_is_in_all_is_refused_at_once() {
        let room = Room::new(Some(10));
        let registry = Registry::new(&[]);
        let own =
            Arc::new(Entry::new(modelyard_core::server_config::ModelConfig::of("a".to_owned(), "file:a".to_owned()), false));
        let refused = room.make(11, (&registry, &own), Duration::from_secs(600)).await.err().unwrap();
        assert_eq!(refused.reason(), "OutOfMemory");
        assert!(refused.to_string().contains("serving.memoryBudget"), "{refused}");
        let held = room.take(10).unwrap();
        let refused = room.make(1, (&registry, &own), Duration::from_millis(1)).await.err().unwrap();
        assert!(refused.to_string().contains("in use"), "{refused}");
        drop(held);
        assert!(room.make(1, (&registry, &own), Duration::from_millis(1)).await.is_ok());
    }
}
