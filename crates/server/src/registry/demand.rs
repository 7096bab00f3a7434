//! Requests for a model on standby: the first has it loaded, and all of them wait for that one load, as many as may wait for the
//! model's threads too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::state::Failure;

/// A load that failed is not tried again for so long: a model that cannot come back must not keep the machine busy.
const RETRY: Duration = Duration::from_secs(5);

/// Who waits for a model, and for what.
#[derive(Default)]
pub(crate) struct Demand {
    waiting: Arc<AtomicUsize>,
    attempt: Mutex<Option<Attempt>>,
}

/// How a load came out: nothing yet, or when it ended and how.
pub(crate) type Outcome = Option<(Instant, Result<(), Failure>)>;

type Attempt = watch::Receiver<Outcome>;

/// A request that waits, for as long as this lives.
pub(crate) struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Demand {
    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place among at most `limit` that wait; `None` where all are taken.
    pub(crate) fn wait(&self, limit: usize) -> Option<Waiting> {
        let place = Waiting(Arc::clone(&self.waiting));
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        (before < limit).then_some(place)
    }

    /// The load that goes on, or failed just now; else a new one, which `start` begins and reports to.
    pub(crate) fn attempt(&self, start: impl FnOnce(watch::Sender<Outcome>)) -> Attempt {
        let mut attempt = self.attempt.lock();
        if let Some(current) = attempt.as_ref().filter(|current| is_current(current)) {
            return current.clone();
        }
        let (report, outcome) = watch::channel(None);
        *attempt = Some(outcome.clone());
        start(report);
        outcome
    }
}

fn is_current(attempt: &Attempt) -> bool {
    match &*attempt.borrow() {
        // One whose sender is gone without a word was broken off.
        None => attempt.has_changed().is_ok(),
        Some((_, Ok(()))) => false,
        Some((ended, Err(_))) => ended.elapsed() < RETRY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_load_for_all_that_wait_and_another_once_it_is_over() {
        let demand = Demand::default();
        let mut reports = Vec::new();
        let first = demand.attempt(|report| reports.push(report));
        assert!(demand.attempt(|_| panic!("it is being loaded")).same_channel(&first));
        reports[0].send_replace(Some((Instant::now(), Ok(()))));
        let second = demand.attempt(|report| reports.push(report));
        assert!(!second.same_channel(&first));
        let failure = Failure { reason: "StoreUnavailable", message: "gone".to_owned() };
        reports[1].send_replace(Some((Instant::now(), Err(failure.clone()))));
        assert!(demand.attempt(|_| panic!("it failed just now")).same_channel(&second));
        let long_ago = Instant::now().checked_sub(RETRY * 2).unwrap();
        reports[1].send_replace(Some((long_ago, Err(failure))));
        let third = demand.attempt(|report| reports.push(report));
        drop(reports);
        assert!(!demand.attempt(drop).same_channel(&third), "whoever loaded is gone");
    }

    #[test]
    fn as_many_wait_as_may() {
        let demand = Demand::default();
        let places: Vec<_> = (0..2).map(|_| demand.wait(2).unwrap()).collect();
        assert!(demand.wait(2).is_none() && demand.waiting() == 2);
        drop(places);
        assert!(demand.waiting() == 0 && demand.wait(1).is_some());
    }
}
