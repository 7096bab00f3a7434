//! From a configured model to one that answers: fetch, load, prove, measure; and back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use modelyard_core::api::Isolation;
use modelyard_core::server_config::ModelConfig;
use tokio::sync::oneshot;

use crate::engine::choice::{self, Wanted};
use crate::engine::sample::{self, SampleError};
use crate::engine::{self, Engine, LoadError};
use crate::fault::{Code, Fault};
use crate::infer::{Model, Scheduling};
use crate::protocol::Service;
use crate::registry::{Entry, Failure, Phases, State};
use crate::steps::{self, Around, StepError};
use crate::store::{self, Progress, Source, Store, StoreError};
use crate::trial::{Trial, TrialError};

/// mimalloc's own delay before freed memory goes back to the system (`purge_delay`, 1 s), and some for the last threads to let go.
const PURGE_DELAY: Duration = Duration::from_millis(1500);

/// How often the allocator is made to look after a load or unload.
const PURGES: usize = 20;

/// What loads models: where they come from, and how they will run.
pub struct Loader {
    store: Store,
    scheduling: Scheduling,
    /// How long preparing a model that is on disk may take.
    patience: Duration,
    /// What tries a model before it is taken in; `None`: nothing does.
    trial: Option<Trial>,
}

/// How long preparing a model that is on disk may take, unless it is said: a large network takes seconds.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// A model, the SHA-256 of its bytes, and what bringing it took.
type Brought = (Arc<Model>, String, Phases);

/// Why a model did not become ready.
#[derive(Debug, thiserror::Error)]
enum NotLoaded {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Engine(#[from] LoadError),
    #[error(transparent)]
    Trial(TrialError),
    #[error(transparent)]
    Sample(#[from] SampleError),
    #[error(transparent)]
    Steps(#[from] StepError),
    #[error("classes: {0}")]
    Classes(String),
    #[error("{0}")]
    Scheduling(String),
    #[error(
        "the engine was not done with the model within {0:?}: expected one that it can prepare in less; try a simpler export, or \
         give it longer with --load-timeout"
    )]
    Slow(Duration),
    #[error("no thread to load on: {0}")]
    Thread(std::io::Error),
    #[error("the loader stopped before it was done")]
    Stopped(#[from] oneshot::error::RecvError),
}

impl NotLoaded {
    /// The public name of the class (api.md's reasons).
    fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Engine(LoadError::Unsupported(_)) | Self::Scheduling(_) | Self::Slow(_) => "ModelUnsupported",
            Self::Trial(TrialError::Memory { .. }) => "OutOfMemory",
            Self::Engine(LoadError::Invalid(_)) | Self::Trial(_) | Self::Sample(_) => "ModelInvalid",
            Self::Engine(LoadError::Read { .. }) => "ModelNotFound",
            Self::Steps(StepError::NoRows) => "ModelUnsupported",
            Self::Steps(_) | Self::Classes(_) => "InvalidSpec",
            Self::Thread(_) | Self::Stopped(_) => "NotResponding",
        }
    }

    /// The error with its causes. The store names the uri itself; the engine knows only the file that it was kept in.
    fn message(&self, uri: &str) -> String {
        match self {
            Self::Store(_) => with_sources(self),
            _ => format!("{}: {}", store::shown(uri), with_sources(self)),
        }
    }
}

impl Loader {
    /// A loader that fetches through `store`, and gives up on a model that the engine is not done with after [`LOAD_TIMEOUT`].
    pub const fn new(store: Store, scheduling: Scheduling) -> Self {
        Self { store, scheduling, patience: LOAD_TIMEOUT, trial: None }
    }

    /// The same, with another patience.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same, with a trial for each model whose configuration does not do without.
    #[must_use]
    pub fn trying_first(self, trial: Trial) -> Self {
        Self { trial: Some(trial), ..self }
    }

    /// Brings one model to ready, or to failed. A failure is the model's alone; a model that answers goes on until its successor
    /// is ready, and if that fails, goes on for good.
    ///
    /// # Errors
    /// What [`State::Failed`] holds then.
    pub async fn load(&self, service: &Arc<Service>, entry: &Arc<Entry>) -> Result<(), Failure> {
        let _one_at_a_time = entry.control.lock().await;
        let (name, uri) = (&entry.config.name, &entry.config.uri);
        let answers = entry.ready().is_ok();
        let step = |state: State| {
            if !answers {
                entry.enter(state);
                service.refresh();
            }
        };
        let outcome = match self.bring(entry, &step).await {
            Ok((model, digest, phases)) => {
                let (seconds, policy) = (phases.sum().as_secs_f64(), &model.policy);
                tracing::info!(
                    model = name, uri, digest, seconds, engine = model.facts.engine, engine_reason = model.facts.engine_reason,
                    rows = ?policy.rows, reason = policy.reason, "model is ready"
                );
                entry.enter_ready(model, digest, phases);
                Ok(())
            }
            Err(error) => {
                let failure = Failure { reason: error.reason(), message: error.message(uri) };
                tracing::error!(model = name, uri, reason = failure.reason, message = failure.message, "model did not load");
                step(State::Failed(failure.clone()));
                Err(failure)
            }
        };
        service.refresh();
        // Of what loading needed, and of the model that this one replaced.
        tokio::spawn(return_memory());
        outcome
    }

    async fn bring(&self, entry: &Arc<Entry>, step: &(impl Fn(State) + Sync)) -> Result<Brought, NotLoaded> {
        let mut since = Instant::now();
        let mut took = || std::mem::replace(&mut since, Instant::now()).elapsed();
        let progress = Arc::new(Progress::default());
        step(State::Downloading(Arc::clone(&progress)));
        let config = &entry.config;
        let (uri, sha256) = (config.uri.clone(), config.sha256.clone());
        let source = Source {
            uri,
            sha256,
            authorization_env: config.authorization_env.clone(),
            credentials_env: config.credentials_env.clone(),
        };
        let artifact = store::fetch(&source, &self.store, &progress).await?;
        let downloading = took();
        step(State::Loading);
        let path = artifact.model;
        let began = Instant::now();
        if let Some(trial) = self.trial.as_ref().filter(|_| config.engine.isolation == Isolation::Process) {
            self.try_first(trial, config, &path).await?;
        }
        let left = self.patience.saturating_sub(began.elapsed());
        let wanted = Wanted { name: config.engine.name, threads: self.scheduling.threads };
        let whole = |error| if let NotLoaded::Slow(_) = error { NotLoaded::Slow(self.patience) } else { error };
        let engine =
            blocking(left, move || Ok(choice::load(&path, wanted).map(|engine| (engine, path))?)).await.map_err(whole)?;
        let loading = took();
        step(State::Warming);
        let (config, scheduling) = (entry.config.clone(), self.scheduling.clone());
        let left = self.patience.saturating_sub(began.elapsed());
        let model = blocking(left, move || into_model(&config, engine, &scheduling)).await.map_err(whole)?;
        Ok((model, artifact.digest, Phases { downloading, loading, warming: took() }))
    }

    /// Where no process can be started to try the model in (a sandbox that forbids it, no more processes), it is loaded as it is: it
    /// would have no chance otherwise.
    async fn try_first(&self, trial: &Trial, config: &ModelConfig, path: &Path) -> Result<(), NotLoaded> {
        let (began, name) = (Instant::now(), &config.name);
        match trial.of((path, config.engine.name), self.patience).await {
            Ok(()) => {
                tracing::debug!(model = name, seconds = began.elapsed().as_secs_f64(), "the model runs in a process of its own");
                Ok(())
            }
            Err(TrialError::NoProcess(error)) => {
                tracing::warn!(model = name, %error, "no process can be started to try the model in first: loading it without");
                Ok(())
            }
            Err(TrialError::Slow) => Err(NotLoaded::Slow(self.patience)),
            Err(TrialError::Refused(error)) => Err(error.into()),
            Err(error) => Err(NotLoaded::Trial(error)),
        }
    }

    /// Takes a model out: new requests are refused, those in flight finish, its memory is returned.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` when it is not loaded, `DEADLINE_EXCEEDED` when its requests do not finish in time.
    pub async fn unload(&self, service: &Arc<Service>, entry: &Arc<Entry>) -> Result<(), Fault> {
        let _one_at_a_time = entry.control.lock().await;
        let gone = match &*entry.state() {
            State::Ready(model) => model.gone(),
            State::Unloaded | State::Failed(_) => {
                entry.enter(State::Unloaded);
                service.refresh();
                return Ok(());
            }
            other => {
                let message = format!("model '{}' is {}; only a ready model can be unloaded", entry.config.name, other.as_str());
                return Err(Fault::new(Code::FailedPrecondition, message));
            }
        };
        entry.enter(State::Unloading);
        service.refresh();
        if tokio::time::timeout(service.request_timeout, gone).await.is_err() {
            tracing::warn!(model = entry.config.name, "requests in flight hold the model past the request timeout");
        }
        entry.enter(State::Unloaded);
        service.refresh();
        tracing::info!(model = entry.config.name, "model is unloaded");
        tokio::spawn(return_memory());
        Ok(())
    }
}

/// Runs what may block on a thread of its own, which ends with it: the allocator gives back more of what an ended thread
/// has left behind than of what a pooled one may want again (measured: 68 MB instead of 95 after 100 MB were unloaded).
///
/// An engine cannot be stopped while it plans. One that is not done in time goes on in its thread, and what comes of it is dropped.
async fn blocking<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> Result<T, NotLoaded> + Send + 'static,
) -> Result<T, NotLoaded> {
    let (sender, outcome) = oneshot::channel();
    // The outcome of a load that nobody waits for any more has no use.
    let run = move || drop(sender.send(work()));
    std::thread::Builder::new().name("loader".to_owned()).spawn(run).map_err(NotLoaded::Thread)?;
    tokio::time::timeout(patience, outcome).await.map_err(|_| NotLoaded::Slow(patience))??
}

/// Has the allocator give freed memory back to the system. It does so by itself, [`PURGE_DELAY`] after, but only when something
/// makes it look, which on an idle server may take long; a thread that ends does. What was freed late has a later delay of its
/// own, so it is made to look several times.
async fn return_memory() {
    for _ in 0..PURGES {
        tokio::time::sleep(PURGE_DELAY).await;
        if let Err(error) = std::thread::Builder::new().name("purge".to_owned()).spawn(|| drop(Box::new([0_u8; 64]))) {
            tracing::debug!(%error, "freed memory goes back to the system later");
        }
    }
}

/// Proves the model on its sample and measures it, by itself; then puts its steps around it.
fn into_model(
    config: &ModelConfig,
    (engine, path): (Box<dyn Engine>, PathBuf),
    scheduling: &Scheduling,
) -> Result<Arc<Model>, NotLoaded> {
    engine.signature().check_classes(config.classes.len()).map_err(NotLoaded::Classes)?;
    if let Some(folder) = path.parent()
        && let Some(proof) = sample::prove(&*engine, folder)?
    {
        tracing::info!(
            model = config.name,
            outputs = proof.outputs,
            nanoseconds = proof.nanos,
            "the model answers its sample as expected"
        );
    }
    let measured = engine::measure(&*engine);
    let classes = if config.classes.is_empty() { engine.facts().classes.clone() } else { config.classes.clone() };
    let around = Around { before: &config.preprocess, after: &config.postprocess, classes: &classes };
    let engine = if around.is_empty() { engine } else { steps::wrap(engine, &around)? };
    Model::new(config, engine, scheduling, measured).map_err(NotLoaded::Scheduling)
}

/// Loads every model of the service side by side, and waits for all.
pub async fn load_all(service: &Arc<Service>) -> Vec<Failure> {
    let loads: Vec<_> = service
        .registry
        .entries()
        .iter()
        .map(|entry| {
            let (service, entry) = (Arc::clone(service), Arc::clone(entry));
            tokio::spawn(async move { service.loader.load(&service, &entry).await.err() })
        })
        .collect();
    let mut failures = Vec::new();
    for load in loads {
        match load.await {
            Ok(failure) => failures.extend(failure),
            Err(error) => failures.push(Failure { reason: "NotResponding", message: error.to_string() }),
        }
    }
    failures
}

/// An error and its causes on one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_model_that_the_engine_is_never_done_with_fails_in_time() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let never = move || Ok(held.recv().is_ok());
        let error = blocking(Duration::from_millis(5), never).await.unwrap_err();
        assert_eq!((error.reason(), error.to_string().contains("--load-timeout")), ("ModelUnsupported", true));
        drop(hold);
        assert!(blocking(LOAD_TIMEOUT, || Ok(true)).await.unwrap());
    }
}
