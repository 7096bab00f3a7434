//! What a benchmark counts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::histogram::Histogram;
use crate::client::ClientError;

/// Answers and failures.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Latencies of the answers.
    pub(super) latencies: Histogram,
    /// Failures by class, with the words of the first of each.
    pub(super) failures: BTreeMap<String, (u64, String)>,
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { latencies: Histogram::new(), failures: BTreeMap::new() }
    }

    /// Counts one request.
    pub(super) fn count(&mut self, latency: Duration, outcome: &Result<(), ClientError>) {
        match outcome {
            Ok(()) => self.latencies.record(latency),
            Err(error) => self.failures.entry(error.class()).or_insert_with(|| (0, error.to_string())).0 += 1,
        }
    }

    /// Adds another's counts.
    pub(super) fn merge(&mut self, other: &Self) {
        self.latencies.merge(&other.latencies);
        for (class, (count, words)) in &other.failures {
            self.failures.entry(class.clone()).or_insert_with(|| (0, words.clone())).0 += count;
        }
    }

    /// Failures of all classes.
    pub(super) fn failed(&self) -> u64 {
        self.failures.values().map(|(count, _)| count).sum()
    }
}
