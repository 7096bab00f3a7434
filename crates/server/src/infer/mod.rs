//! One request's way through a model: admit or refuse, wait, run (alone or with others), answer. Protocols call
//! [`Model::infer`] and know nothing of what is behind it.
//!
//! A model has a lane of its own: a bounded queue and threads. So the kernel shares the processor between a slow model and a
//! fast one beside it, and neither waits for the other. A model whose run is shorter than the price of handing it to another
//! thread runs where the request was decoded.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use modelyard_core::server_config::{BatchingConfig, ModelConfig};
use modelyard_core::steps::Step;
use modelyard_wire::Tensor;
use tokio::sync::watch;

pub use crate::engine::Measured;
use crate::engine::{Engine, Facts, RunError, Stop};
use crate::fault::{Code, Fault};
use crate::load::Share;
use crate::metrics::ModelMetrics;
use crate::signature::Signature;

pub mod batch;
mod lane;
mod policy;

use lane::Lane;
pub use lane::Ran;
pub use policy::{Policy, Rows};

/// A model that answers.
pub struct Model {
    /// The name in URLs.
    pub name: String,
    /// The version in URLs and answers.
    pub version: i64,
    /// Class names, by index; may be empty.
    pub classes: Vec<String>,
    /// What it takes and gives.
    pub signature: Signature,
    /// The steps around it.
    pub steps: Option<Steps>,
    /// What its file holds.
    pub facts: Facts,
    /// How its requests are run, and what was measured to decide it.
    pub policy: Policy,
    /// Counters of what it did.
    pub metrics: Arc<ModelMetrics>,
    request_timeout: Duration,
    /// When it came.
    since: Instant,
    lane: Lane,
    /// What it takes of the memory for models, and how many bytes that are: given back with it, after its engine.
    share: OnceLock<(Share, u64)>,
    /// Dropped with the model: those that watch it learn that the last request has let go.
    alive: watch::Sender<()>,
}

/// The steps around a model, and what it takes and gives itself.
pub struct Steps {
    /// Before it.
    pub before: Vec<Step>,
    /// After it.
    pub after: Vec<Step>,
    /// Of the model alone.
    pub inner: Signature,
}

/// Limits that the server's configuration sets for every model.
#[derive(Clone, Debug)]
pub struct Scheduling {
    /// Threads per model at most: the CPU quota.
    pub threads: usize,
    /// Requests of one model that may wait.
    pub queue_length: usize,
    /// Rows of several requests in one run; `None`: off.
    pub batching: Option<BatchingConfig>,
    /// The longest that a request may take; a client's shorter deadline wins.
    pub request_timeout: Duration,
}

/// One request to a model.
pub struct Call {
    /// In the signature's order, as [`Signature::bind`] gives them.
    pub inputs: Vec<Tensor>,
    /// The client's own deadline, if it gave one.
    pub timeout: Option<Duration>,
    /// Who goes first where requests wait: 1 before 2, and 0, the default, after all others. Source: Triton's schedule policy
    /// extension.
    pub priority: u64,
    /// When the request's head arrived: deadlines count from here.
    pub received: Instant,
    /// When its body was there: the time from here to the call went into decoding.
    pub read: Instant,
}

impl Call {
    /// A request without wishes: no deadline of its own, and no place before others.
    pub const fn new(inputs: Vec<Tensor>, received: Instant, read: Instant) -> Self {
        Self { inputs, timeout: None, priority: 0, received, read }
    }
}

/// What a model answered.
#[derive(Debug)]
pub struct Answer {
    /// In the signature's order.
    pub outputs: Vec<Tensor>,
    /// When they were there: the time from here on goes into encoding.
    pub at: Instant,
}

impl Model {
    /// A model that runs on `engine`. `measured` is how long the engine took, where that could be tried.
    ///
    /// # Errors
    /// When batching is asked for and the model's first dimension is no batch.
    pub fn new(
        config: &ModelConfig,
        engine: Box<dyn Engine>,
        scheduling: &Scheduling,
        measured: Measured,
    ) -> Result<Arc<Self>, String> {
        Self::counting(config, engine, scheduling, (measured, Arc::default()))
    }

    /// The same, with the counters of one that was loaded before.
    ///
    /// # Errors
    /// Those of [`Model::new`].
    pub(crate) fn counting(
        config: &ModelConfig,
        engine: Box<dyn Engine>,
        scheduling: &Scheduling,
        (measured, metrics): (Measured, Arc<ModelMetrics>),
    ) -> Result<Arc<Self>, String> {
        let signature = engine.signature().clone();
        let facts = engine.facts().clone();
        let steps = engine.within().map(|inner| Steps {
            before: config.preprocess.clone(),
            after: config.postprocess.clone(),
            inner: inner.clone(),
        });
        let policy = Policy::decide(&signature, &facts, scheduling, measured)?;
        Ok(Arc::new(Self {
            name: config.name.clone(),
            version: config.version,
            classes: if config.classes.is_empty() { facts.classes.clone() } else { config.classes.clone() },
            signature,
            steps,
            facts,
            request_timeout: scheduling.request_timeout,
            lane: Lane::new(engine, &policy, scheduling),
            policy,
            metrics,
            since: Instant::now(),
            share: OnceLock::new(),
            alive: watch::Sender::new(()),
        }))
    }

    /// Runs one request.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the queue is full, `DEADLINE_EXCEEDED` when late, `INVALID_ARGUMENT` for data that cannot be computed with.
    pub async fn infer(self: &Arc<Self>, call: Call) -> Result<Answer, Fault> {
        let _in_flight = self.metrics.enter();
        let limit = call.timeout.map_or(self.request_timeout, |own| own.min(self.request_timeout));
        let deadline = call.received + limit;
        let rows = self.rows(&call.inputs);
        let started = Instant::now();
        if started >= deadline {
            return Err(self.late(limit));
        }
        let outcome = if self.lane.runs_inline(rows) {
            self.lane.run_inline(&call.inputs, rows, started, &Stop::at(deadline))
        } else {
            self.run_in_lane(call.inputs, rows, (deadline, call.priority)).await
        };
        match outcome {
            Ok(ran) => {
                let decoding = started.saturating_duration_since(call.read);
                self.metrics.succeeded(rows, decoding, &ran);
                Ok(Answer { outputs: ran.outputs, at: ran.done })
            }
            Err(fault) => {
                self.metrics.failed(started.elapsed());
                Err(match fault {
                    NotRun::Late => self.late(limit),
                    NotRun::Full(length) => Fault::unavailable(format!(
                        "model '{}': the queue is full ({length} requests wait); try again later",
                        self.name
                    )),
                    NotRun::Closed => Fault::unavailable(format!("model '{}' is being unloaded", self.name)),
                    NotRun::Failed(error) => self.fault_of(error, limit),
                })
            }
        }
    }

    /// Ends when the last that holds this model has let it go.
    pub fn gone(&self) -> impl Future<Output = ()> + use<> {
        let mut alive = self.alive.subscribe();
        async move { while alive.changed().await.is_ok() {} }
    }

    /// It takes this share of the memory for models, `bytes` of it, for as long as anybody holds it.
    pub(crate) fn takes(&self, share: Share, bytes: u64) {
        if self.share.set((share, bytes)).is_err() {
            tracing::debug!(model = self.name, "it has its share already");
        }
    }

    /// Bytes of memory that it takes, as measured when it was loaded; `None` where nobody did.
    pub fn memory(&self) -> Option<u64> {
        self.share.get().map(|(_, bytes)| *bytes)
    }

    /// When it was used last, or came.
    pub(crate) fn last_used(&self) -> Instant {
        self.metrics.last_answered().map_or(self.since, |at| at.max(self.since))
    }

    /// Requests that wait for a thread.
    pub fn queue_length(&self) -> usize {
        self.lane.queue_length()
    }

    /// Rows of a request: its batch, or 1 for a model without one.
    fn rows(&self, inputs: &[Tensor]) -> usize {
        if self.signature.batched { inputs.first().and_then(|tensor| tensor.shape().first()).copied().unwrap_or(1) } else { 1 }
    }

    async fn run_in_lane(&self, inputs: Vec<Tensor>, rows: usize, (deadline, priority): (Instant, u64)) -> Result<Ran, NotRun> {
        let parts = match self.policy.rows {
            Rows::FanOut if rows > 1 => batch::split_rows(&inputs, rows, self.lane.threads()),
            _ => vec![(rows, inputs)],
        };
        let ran = self.lane.submit(parts, deadline, priority)?.outcomes(deadline).await?;
        lane::join(ran).map_err(NotRun::Failed)
    }

    fn late(&self, limit: Duration) -> Fault {
        Fault::new(Code::DeadlineExceeded, format!("model '{}': no answer within the deadline of {limit:?}", self.name))
    }

    fn fault_of(&self, error: RunError, limit: Duration) -> Fault {
        match error {
            RunError::InvalidData(_) | RunError::InvalidRow { .. } => Fault::invalid(format!("model '{}': {error}", self.name)),
            RunError::DeadlineExceeded => self.late(limit),
            RunError::Gone => Fault::new(Code::Cancelled, "the client has gone"),
            RunError::Internal(message) => Fault::internal(format!("model '{}': {message}", self.name)),
        }
    }
}

/// Why a request was not run to its end.
#[derive(Debug)]
pub(crate) enum NotRun {
    /// Its deadline passed.
    Late,
    /// The queue is full; its length.
    Full(usize),
    /// The model is leaving.
    Closed,
    /// The engine said no.
    Failed(RunError),
}
