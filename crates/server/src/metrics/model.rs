//! What one model did.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::histogram::{Histogram, NANOSECONDS, ROWS};
use crate::fault::Code;
use crate::infer::Ran;
use crate::protocol::Protocol;

const PROTOCOLS: usize = Protocol::ALL.len();
const CODES: usize = Code::ALL.len();

/// Counters of one model.
#[derive(Debug)]
pub struct ModelMetrics {
    /// Requests by protocol and code.
    requests: [[AtomicU64; CODES]; PROTOCOLS],
    /// From a request's head to its answer, by protocol, nanoseconds.
    durations: [Histogram; PROTOCOLS],
    /// Time in the queue, nanoseconds.
    pub queue: Histogram,
    /// Time in the engine, nanoseconds.
    pub compute: Histogram,
    /// Rows per run.
    pub batch: Histogram,
    in_flight: AtomicI64,
    /// Requests that were answered, and the time from admission to the answer.
    pub success: Count,
    /// Requests that were refused or failed after they had been decoded.
    pub failure: Count,
    /// Requests whose body was turned into tensors.
    pub decoding: Count,
    /// Requests whose tensors were turned into an answer's body.
    pub encoding: Count,
    /// Runs by their number of rows.
    runs: Mutex<Vec<Runs>>,
    /// Rows answered.
    pub rows: AtomicU64,
    /// When the model came.
    started: Instant,
    /// When the last request was answered, nanoseconds since then; 0 before the first.
    last_inference: AtomicU64,
}

/// Runs of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// Rows of each.
    pub rows: u64,
    /// How many.
    pub count: u64,
    /// Nanoseconds in the engine, in all.
    pub nanoseconds: u64,
}

/// Sizes of runs that are counted apart; those of further sizes are in the totals alone.
const MAX_SIZES: usize = 256;

/// How often, and how long in all.
#[derive(Debug, Default)]
pub struct Count {
    /// How often.
    pub count: AtomicU64,
    /// Nanoseconds in all.
    pub nanoseconds: AtomicU64,
}

impl Count {
    fn add(&self, duration: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds(duration), Ordering::Relaxed);
    }

    /// `(count, nanoseconds)`.
    pub fn read(&self) -> (u64, u64) {
        (self.count.load(Ordering::Relaxed), self.nanoseconds.load(Ordering::Relaxed))
    }
}

impl Default for ModelMetrics {
    fn default() -> Self {
        Self {
            requests: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            durations: std::array::from_fn(|_| Histogram::new(NANOSECONDS)),
            queue: Histogram::new(NANOSECONDS),
            compute: Histogram::new(NANOSECONDS),
            batch: Histogram::new(ROWS),
            in_flight: AtomicI64::new(0),
            success: Count::default(),
            failure: Count::default(),
            decoding: Count::default(),
            encoding: Count::default(),
            runs: Mutex::default(),
            rows: AtomicU64::new(0),
            started: Instant::now(),
            last_inference: AtomicU64::new(0),
        }
    }
}

/// A request that is being worked on, for as long as this lives.
pub struct InFlight<'a>(&'a AtomicI64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ModelMetrics {
    /// A request came in.
    pub fn enter(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.in_flight)
    }

    /// Requests that are being worked on.
    pub fn in_flight(&self) -> i64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A request was decoded in `decoding`, and computed.
    pub fn succeeded(&self, rows: usize, decoding: Duration, ran: &Ran) {
        self.decoding.add(decoding);
        self.success.add(ran.queued + ran.computed);
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.queue.record(nanoseconds(ran.queued));
        if ran.run_rows > 0 {
            self.compute.record(nanoseconds(ran.computed));
            self.batch.record(ran.run_rows as u64);
            self.ran(ran.run_rows as u64, nanoseconds(ran.computed));
        }
        // Two clocks read for one moment would be one too many.
        let since_start = nanoseconds(ran.done.saturating_duration_since(self.started));
        self.last_inference.store(since_start.max(1), Ordering::Relaxed);
    }

    fn ran(&self, rows: u64, nanoseconds: u64) {
        let mut runs = self.runs.lock();
        if let Some(same) = runs.iter_mut().find(|runs| runs.rows == rows) {
            same.count += 1;
            same.nanoseconds = same.nanoseconds.saturating_add(nanoseconds);
        } else if runs.len() < MAX_SIZES {
            runs.push(Runs { rows, count: 1, nanoseconds });
        }
    }

    /// Runs by their number of rows, ascending.
    pub fn runs(&self) -> Vec<Runs> {
        let mut runs = self.runs.lock().clone();
        runs.sort_unstable_by_key(|runs| runs.rows);
        runs
    }

    /// An answer was encoded in `encoding`.
    pub fn encoded(&self, encoding: Duration) {
        self.encoding.add(encoding);
    }

    /// When the last request was answered.
    pub fn last_answered(&self) -> Option<Instant> {
        let at = self.last_inference.load(Ordering::Relaxed);
        (at > 0).then(|| self.started + Duration::from_nanos(at))
    }

    /// When the last request was answered, milliseconds since 1970; 0 before the first.
    pub fn last_inference(&self) -> u64 {
        let at = self.last_inference.load(Ordering::Relaxed);
        if at == 0 {
            return 0;
        }
        let ago = self.started.elapsed().saturating_sub(Duration::from_nanos(at));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.saturating_sub(ago).as_millis()).unwrap_or(u64::MAX)
    }

    /// A request was refused or failed, after `duration`.
    pub fn failed(&self, duration: Duration) {
        self.failure.add(duration);
    }

    /// A request was answered to the client.
    pub fn answered(&self, protocol: Protocol, code: Code, duration: Duration) {
        self.requests[protocol as usize][code as usize].fetch_add(1, Ordering::Relaxed);
        self.durations[protocol as usize].record(nanoseconds(duration));
    }

    /// Requests by protocol and code, those that occurred.
    pub fn requests(&self) -> impl Iterator<Item = (Protocol, Code, u64)> + '_ {
        Protocol::ALL.into_iter().flat_map(move |protocol| {
            Code::ALL.into_iter().filter_map(move |code| {
                let count = self.requests[protocol as usize][code as usize].load(Ordering::Relaxed);
                (count > 0).then_some((protocol, code, count))
            })
        })
    }

    /// The duration histogram of a protocol, nanoseconds.
    pub fn duration(&self, protocol: Protocol) -> &Histogram {
        &self.durations[protocol as usize]
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
