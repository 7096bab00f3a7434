//! The load itself: workers with a connection each, in a closed loop (the next request follows the answer) or an open one (requests
//! come at a rate, whatever the answers do).
//!
//! In an open loop the latency counts from the moment a request was due, not from the moment a worker was free to send it: a
//! server that stalls is charged for every request that had to wait (no coordinated omission).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::probe::Probe;
use super::tally::Tally;
use crate::client::{ClientError, Connection, Protocol, Target, Template};

/// A load.
pub(super) struct Load {
    /// The server.
    pub(super) target: Target,
    /// The protocol, which judges answers.
    pub(super) protocol: Protocol,
    /// Limit of an answer.
    pub(super) timeout: Duration,
    /// The request, encoded once.
    pub(super) template: Template,
    /// Requests in flight at most, each on a connection of its own.
    pub(super) concurrency: usize,
    /// Requests a second; none in a closed loop.
    pub(super) rate: Option<f64>,
    /// Seconds not counted, at the start.
    pub(super) warm_up: Duration,
    /// Counted seconds.
    pub(super) duration: Option<Duration>,
    /// Counted requests.
    pub(super) requests: Option<u64>,
    /// Prints failures as they happen.
    pub(super) probe: Option<Probe>,
}

/// What a load came to.
pub(super) struct Outcome {
    /// The counts.
    pub(super) tally: Tally,
    /// Counted seconds.
    pub(super) seconds: f64,
    /// Requests that were due and never sent, in an open loop.
    pub(super) unsent: u64,
    /// Share of the counted seconds that this client's thread worked.
    pub(super) busy: Option<f64>,
}

/// What the workers share.
pub(super) struct Shared {
    load: Load,
    /// Set when time is up, or by a signal.
    pub(super) stop: AtomicBool,
    /// When counting begins; until then answers warm up.
    counting_from: Instant,
    /// Counted requests begun, where their number is limited.
    begun: AtomicU64,
    /// Answers so far, for the progress line.
    pub(super) answered: AtomicU64,
    /// When the last counted answer came.
    last: Mutex<Option<Instant>>,
}

/// A pause after a connection was refused, so that a server that is down is not flooded.
const REFUSED: Duration = Duration::from_millis(50);

impl Shared {
    /// A load about to begin.
    pub(super) fn new(load: Load) -> Arc<Self> {
        let counting_from = Instant::now() + load.warm_up;
        let (stop, begun, answered) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { load, stop, counting_from, begun, answered, last: Mutex::new(None) })
    }

    /// Counted seconds so far.
    pub(super) fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.counting_from)
    }

    /// Whether another request may begin.
    fn go_on(&self) -> bool {
        if self.stop.load(Ordering::Relaxed) || self.load.duration.is_some_and(|duration| self.elapsed() >= duration) {
            return false;
        }
        let Some(requests) = self.load.requests else { return true };
        Instant::now() < self.counting_from || self.begun.fetch_add(1, Ordering::Relaxed) < requests
    }
}

/// Runs the load to its end.
pub(super) async fn run(shared: &Arc<Shared>) -> Outcome {
    let mut tasks = tokio::task::JoinSet::new();
    let mut pacer = None;
    if let Some(rate) = shared.load.rate {
        let (give, take) = unbounded_channel();
        let take = Arc::new(tokio::sync::Mutex::new(take));
        let paced = Arc::clone(shared);
        pacer = Some((std::thread::spawn(move || pace(&paced, rate, &give)), Arc::clone(&take)));
        for _ in 0..shared.load.concurrency {
            tasks.spawn(open_loop(Arc::clone(shared), Arc::clone(&take)));
        }
    } else {
        for _ in 0..shared.load.concurrency {
            tasks.spawn(closed_loop(Arc::clone(shared)));
        }
    }
    tokio::time::sleep_until(shared.counting_from.into()).await;
    let worked = processor_time();
    let mut tally = Tally::new();
    while let Some(joined) = tasks.join_next().await {
        // A worker has nothing that panics; were it to, its counts are lost and the rest stand.
        if let Ok(own) = joined {
            tally.merge(&own);
        }
    }
    let seconds = shared.last.lock().map_or(0.0, |last| last.saturating_duration_since(shared.counting_from).as_secs_f64());
    let busy = worked.zip(processor_time()).map(|(before, after)| (after - before) / shared.elapsed().as_secs_f64().max(1e-9));
    let mut unsent = 0;
    if let Some((pacer, take)) = pacer {
        pacer.join().ok();
        let mut take = take.lock().await;
        while take.try_recv().is_ok() {
            unsent += 1;
        }
    }
    Outcome { tally, seconds, unsent, busy }
}

async fn closed_loop(shared: Arc<Shared>) -> Tally {
    let mut worker = Worker::new(shared);
    while worker.shared.go_on() {
        worker.ask(Instant::now()).await;
    }
    worker.tally
}

async fn open_loop(shared: Arc<Shared>, take: Arc<tokio::sync::Mutex<UnboundedReceiver<Instant>>>) -> Tally {
    let mut worker = Worker::new(shared);
    loop {
        // A backlog is worked off for as long as one answer may take, then given up and reported.
        let late = worker.shared.load.duration.is_some_and(|end| worker.shared.elapsed() > end + worker.shared.load.timeout);
        if late || worker.shared.stop.load(Ordering::Relaxed) {
            return worker.tally;
        }
        let Some(due) = take.lock().await.recv().await else { return worker.tally };
        worker.ask(due).await;
    }
}

/// Hands out the moments at which requests are due. A thread of its own: the runtime's timer has steps of a millisecond, the
/// system's of some fifty microseconds.
fn pace(shared: &Shared, rate: f64, give: &UnboundedSender<Instant>) {
    let started = Instant::now();
    for index in 0_u64.. {
        let due = started + Duration::from_secs_f64(index as f64 / rate);
        let counted = due >= shared.counting_from;
        if shared.load.duration.is_some_and(|duration| due >= shared.counting_from + duration) {
            return;
        }
        if counted && shared.load.requests.is_some_and(|requests| shared.begun.fetch_add(1, Ordering::Relaxed) >= requests) {
            return;
        }
        loop {
            if shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let now = Instant::now();
            if now >= due {
                break;
            }
            std::thread::park_timeout((due - now).min(Duration::from_millis(100)));
        }
        if give.send(due).is_err() {
            return;
        }
    }
}

/// One connection and its counts.
struct Worker {
    shared: Arc<Shared>,
    connection: Connection,
    tally: Tally,
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Self {
        let load = &shared.load;
        let connection = Connection::new(load.target.clone(), load.protocol.version(), load.timeout);
        Self { shared, connection, tally: Tally::new() }
    }

    async fn ask(&mut self, due: Instant) {
        let load = &self.shared.load;
        let outcome = match self.connection.send_template(&load.template).await {
            Ok(reply) => load.protocol.verdict(&reply),
            Err(error) => Err(error),
        };
        let now = Instant::now();
        if due >= self.shared.counting_from {
            self.tally.count(now - due, &outcome);
            self.shared.answered.fetch_add(1, Ordering::Relaxed);
            *self.shared.last.lock() = Some(now);
        }
        if let Err(error) = outcome {
            if let Some(probe) = &load.probe {
                probe.say(&error, now - due);
            }
            if matches!(error, ClientError::Unreachable { .. }) {
                tokio::time::sleep(REFUSED).await;
            }
        }
    }
}

/// Seconds that this thread has worked, as Linux counts them.
fn processor_time() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}
