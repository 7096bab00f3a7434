//! A model's lane: a bounded queue and the threads that take from it. Threads start when work comes and end with the model.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use modelyard_core::server_config::BatchingConfig;
use modelyard_wire::Tensor;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{NotRun, Policy, Rows, Scheduling, batch};
use crate::engine::{Engine, RunError, Stop};

/// A run shorter than this stays on the thread that decoded the request. Handing it to another thread and back costs two
/// wake-ups, 20 to 60 us here, and a few tens of microseconds are what decoding a body costs as well: the reactor is not held up.
const INLINE_BELOW: Duration = Duration::from_micros(100);

/// What a run gave, and what it took.
#[derive(Debug)]
pub struct Ran {
    /// The outputs, in the signature's order.
    pub outputs: Vec<Tensor>,
    /// Time in the queue.
    pub queued: Duration,
    /// Time in the engine.
    pub computed: Duration,
    /// When the engine was done.
    pub done: Instant,
    /// Rows of the run, those of other requests too; 0 where another request of the same run reports it.
    pub run_rows: usize,
}

/// A request, or a part of one, on its way to a thread.
pub(super) struct Job {
    inputs: Vec<Tensor>,
    rows: usize,
    /// Smaller goes first; equals in the order in which they came.
    rank: u64,
    stop: Arc<Stop>,
    queued_at: Instant,
    reply: oneshot::Sender<Result<Ran, RunError>>,
}

/// The waiting side of a request's [`Job`]s. Dropping it (the client has gone) lets all of them be dropped too; so it is one for
/// all parts, and lives until the last has answered.
pub(super) struct Ticket {
    stop: Arc<Stop>,
    /// With the rows of the request that come before each part's.
    replies: Vec<(usize, oneshot::Receiver<Result<Ran, RunError>>)>,
}

pub(super) struct Lane {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Box<dyn Engine>,
    rows: Rows,
    batching: Option<BatchingConfig>,
    threads: usize,
    queue_length: usize,
    /// Nanoseconds that a row lately took; 0 while unknown.
    row_nanoseconds: AtomicU64,
    /// Cleared when an output of a stacked run turned out not to have a row for each that went in.
    stackable: AtomicBool,
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Lane {
    pub(super) fn new(engine: Box<dyn Engine>, policy: &Policy, scheduling: &Scheduling) -> Self {
        let known = policy.measured.one.map_or(0, |one| u64::try_from(one.as_nanos()).unwrap_or(u64::MAX));
        Self {
            shared: Arc::new(Shared {
                engine,
                rows: policy.rows,
                batching: policy.batching.clone(),
                threads: scheduling.threads.max(1),
                queue_length: scheduling.queue_length,
                row_nanoseconds: AtomicU64::new(known),
                stackable: AtomicBool::new(true),
                queue: Mutex::default(),
                work: Condvar::new(),
            }),
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.shared.threads
    }

    pub(super) fn queue_length(&self) -> usize {
        self.shared.queue.lock().jobs.len()
    }

    /// Whether a run of `rows` rows is expected to be shorter than the price of a hop.
    pub(super) fn runs_inline(&self, rows: usize) -> bool {
        let row = self.shared.row_nanoseconds.load(Ordering::Relaxed);
        row > 0 && self.shared.batching.is_none() && row.saturating_mul(rows as u64) < INLINE_BELOW.as_nanos() as u64
    }

    /// Runs a request where it was decoded; `started` is now. Reading the clock costs some percent of the smallest run.
    pub(super) fn run_inline(&self, inputs: &[Tensor], rows: usize, started: Instant, stop: &Stop) -> Result<Ran, NotRun> {
        let outputs = self.shared.compute(inputs, rows, stop).map_err(NotRun::Failed)?;
        let done = Instant::now();
        let computed = done.saturating_duration_since(started);
        self.shared.learn(rows, computed);
        Ok(Ran { outputs, queued: Duration::ZERO, computed, done, run_rows: rows })
    }

    /// Queues the parts of one request: all of them, or none. Of `priority`, 1 goes first and 0, the default, last.
    pub(super) fn submit(&self, parts: Vec<(usize, Vec<Tensor>)>, deadline: Instant, priority: u64) -> Result<Ticket, NotRun> {
        let stop = Arc::new(Stop::at(deadline));
        let mut queue = self.shared.queue.lock();
        if queue.closed {
            return Err(NotRun::Closed);
        }
        if queue.jobs.len() >= self.shared.queue_length {
            return Err(NotRun::Full(queue.jobs.len()));
        }
        let queued_at = Instant::now();
        let rank = priority.checked_sub(1).unwrap_or(u64::MAX);
        let mut replies = Vec::with_capacity(parts.len());
        let mut before = 0;
        for (rows, inputs) in parts {
            let (reply, outcome) = oneshot::channel();
            insert(&mut queue.jobs, Job { inputs, rows, rank, stop: Arc::clone(&stop), queued_at, reply });
            replies.push((before, outcome));
            before += rows;
            if queue.idle > 0 {
                self.shared.work.notify_one();
            } else if queue.threads < self.shared.threads {
                self.start_thread(&mut queue);
            }
        }
        Ok(Ticket { stop, replies })
    }

    fn start_thread(&self, queue: &mut Queue) {
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new().name("engine".to_owned()).spawn(move || shared.work_until_closed());
        match spawned {
            Ok(_) => queue.threads += 1,
            // Those that run already take the job; without any, its deadline answers it.
            Err(error) => tracing::error!(%error, "cannot start an engine thread"),
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Ticket {
    /// Waits for the outcome of every part, in order, until the deadline.
    pub(super) async fn outcomes(mut self, deadline: Instant) -> Result<Vec<Ran>, NotRun> {
        let mut ran = Vec::with_capacity(self.replies.len());
        for (before, reply) in &mut self.replies {
            match tokio::time::timeout_at(deadline.into(), reply).await {
                Ok(Ok(outcome)) => ran.push(outcome.map_err(|error| NotRun::Failed(error.after(*before)))?),
                Ok(Err(_)) => return Err(NotRun::Closed),
                Err(_) => return Err(NotRun::Late),
            }
        }
        Ok(ran)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.stop.gone.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn work_until_closed(&self) {
        while let Some(jobs) = self.next() {
            self.run(jobs);
        }
    }

    /// The next run's jobs: the first, and with batching those that can join it; `None` when the model leaves.
    fn next(&self) -> Option<Vec<Job>> {
        let mut queue = self.queue.lock();
        loop {
            drop_dead(&mut queue.jobs);
            if queue.jobs.is_empty() {
                if queue.closed {
                    return None;
                }
                queue.idle += 1;
                self.work.wait(&mut queue);
                queue.idle -= 1;
                continue;
            }
            let Some(batching) = self.batching.as_ref().filter(|_| self.stackable.load(Ordering::Relaxed)) else {
                return queue.jobs.pop_front().map(|job| vec![job]);
            };
            // The oldest need not be the first; what nobody waits for any more hurries nobody.
            let living = queue.jobs.iter().filter(|job| job.stop.reason().is_none());
            let due = living.map(|job| job.queued_at).min().map_or_else(Instant::now, |oldest| oldest + batching.max_delay);
            let full = packable_rows(&queue.jobs) >= batching.max_size as usize;
            if full || queue.closed || Instant::now() >= due {
                return Some(pack(&mut queue.jobs, batching.max_size as usize));
            }
            queue.idle += 1;
            self.work.wait_until(&mut queue, due);
            queue.idle -= 1;
        }
    }

    fn run(&self, jobs: Vec<Job>) {
        if jobs.len() > 1
            && let Some(ran) = self.run_together(&jobs)
        {
            for (job, ran) in jobs.into_iter().zip(ran) {
                job.answer(Ok(ran));
            }
            return;
        }
        for job in jobs {
            self.run_alone(job);
        }
    }

    /// Stacks the jobs into one run. `None` where that gives no answer for each: they are then run apart, so that an error in
    /// one request's data fails that request alone.
    fn run_together(&self, jobs: &[Job]) -> Option<Vec<Ran>> {
        let views: Vec<&[Tensor]> = jobs.iter().map(|job| job.inputs.as_slice()).collect();
        let counts: Vec<usize> = jobs.iter().map(|job| job.rows).collect();
        let inputs = batch::stack(&views).ok()?;
        let started = Instant::now();
        let stop = Stop::at(jobs.iter().map(|job| job.stop.deadline).max()?);
        let outputs = self.engine.run(&inputs, &stop).ok()?;
        let done = Instant::now();
        let computed = done.saturating_duration_since(started);
        let rows: usize = counts.iter().sum();
        let Some(apart) = batch::unstack(&outputs, &counts) else {
            tracing::warn!("an output has not one row for each that went in: this model's requests are run apart from now on");
            self.stackable.store(false, Ordering::Relaxed);
            return None;
        };
        self.learn(rows, computed);
        let ran = jobs.iter().zip(apart).enumerate().map(|(index, (job, outputs))| {
            let run_rows = if index == 0 { rows } else { 0 };
            Ran { outputs, queued: started.saturating_duration_since(job.queued_at), computed, done, run_rows }
        });
        Some(ran.collect())
    }

    fn run_alone(&self, job: Job) {
        if let Some(reason) = job.stop.reason() {
            return job.answer(Err(reason));
        }
        let started = Instant::now();
        let queued = started.saturating_duration_since(job.queued_at);
        let outcome = self.compute(&job.inputs, job.rows, &job.stop).map(|outputs| {
            let done = Instant::now();
            let computed = done.saturating_duration_since(started);
            self.learn(job.rows, computed);
            Ran { outputs, queued, computed, done, run_rows: job.rows }
        });
        job.answer(outcome);
    }

    /// One request's rows, stacked or one by one.
    fn compute(&self, inputs: &[Tensor], rows: usize, stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        if self.rows == Rows::Stack || rows < 2 {
            return self.engine.run(inputs, stop);
        }
        let apart = batch::single_rows(inputs, rows);
        let each = apart.iter().enumerate().map(|(before, row)| self.engine.run(row, stop).map_err(|error| error.after(before)));
        let answers: Result<Vec<_>, _> = each.collect();
        batch::join(answers?).map_err(|error| RunError::Internal(error.to_string()))
    }

    /// Remembers what a row lately took: an average that forgets, an eighth at a time.
    fn learn(&self, rows: usize, computed: Duration) {
        let row = u64::try_from(computed.as_nanos() / rows.max(1) as u128).unwrap_or(u64::MAX);
        let before = self.row_nanoseconds.load(Ordering::Relaxed);
        let after = if before == 0 { row } else { before - before / 8 + row / 8 };
        self.row_nanoseconds.store(after.max(1), Ordering::Relaxed);
    }
}

impl Job {
    fn answer(self, outcome: Result<Ran, RunError>) {
        // It cannot be sent where the client has gone meanwhile: nobody is left to tell.
        let _ = self.reply.send(outcome);
    }
}

/// Puts a job behind those that go before it, or came before it with the same rank.
fn insert(jobs: &mut VecDeque<Job>, job: Job) {
    let after = jobs.iter().rev().take_while(|other| other.rank > job.rank).count();
    jobs.insert(jobs.len() - after, job);
}

/// Takes out what nobody waits for any more, and answers what is late: neither is ever run.
fn drop_dead(jobs: &mut VecDeque<Job>) {
    while let Some(front) = jobs.front() {
        let Some(reason) = front.stop.reason() else { return };
        if let Some(job) = jobs.pop_front() {
            job.answer(Err(reason));
        }
    }
}

/// Rows that can run with the first job, its own included.
fn packable_rows(jobs: &VecDeque<Job>) -> usize {
    let Some(first) = jobs.front() else { return 0 };
    jobs.iter().filter(|job| batch::compatible(&first.inputs, &job.inputs)).map(|job| job.rows).sum()
}

/// Takes the first job and those after it that can run with it, up to `limit` rows; the others keep their places.
fn pack(jobs: &mut VecDeque<Job>, limit: usize) -> Vec<Job> {
    let Some(first) = jobs.pop_front() else { return Vec::new() };
    let mut rows = first.rows;
    let mut packed = vec![first];
    let mut index = 0;
    while index < jobs.len() && rows < limit {
        let job = &jobs[index];
        let joins = rows + job.rows <= limit && job.stop.reason().is_none() && batch::compatible(&packed[0].inputs, &job.inputs);
        match joins.then(|| jobs.remove(index)).flatten() {
            Some(job) => {
                rows += job.rows;
                packed.push(job);
            }
            None => index += 1,
        }
    }
    packed
}

/// The answer of a request from the answers of its parts, in order.
pub(super) fn join(mut parts: Vec<Ran>) -> Result<Ran, RunError> {
    if parts.len() == 1 {
        return parts.pop().ok_or_else(|| RunError::Internal("no part of the request was run".to_owned()));
    }
    let queued = parts.iter().map(|part| part.queued).min().unwrap_or_default();
    let computed = parts.iter().map(|part| part.computed).max().unwrap_or_default();
    let run_rows = parts.iter().map(|part| part.run_rows).sum();
    let done = parts.iter().map(|part| part.done).max().unwrap_or_else(Instant::now);
    let outputs = batch::join(parts.into_iter().map(|part| part.outputs).collect());
    Ok(Ran { outputs: outputs.map_err(|error| RunError::Internal(error.to_string()))?, queued, computed, done, run_rows })
}
