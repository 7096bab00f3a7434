//! From a configured model to one that answers: fetch, load, prove, measure; and back.

use std::sync::Arc;

use crate::engine::{self, LoadError};
use crate::fault::{Code, Fault};
use crate::infer::{Measured, Model, Scheduling};
use crate::protocol::Service;
use crate::registry::{Entry, Failure, State};
use crate::store::{self, Artifact, Progress, Source, Store, StoreError};

/// What loads models: where they come from, and how they will run.
pub struct Loader {
    store: Store,
    scheduling: Scheduling,
}

/// Why a model did not become ready.
#[derive(Debug, thiserror::Error)]
enum NotLoaded {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Engine(#[from] LoadError),
    #[error("{0}")]
    Scheduling(String),
    #[error("the loader stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

impl NotLoaded {
    /// The public name of the class (api.md's reasons).
    fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Engine(LoadError::Unsupported(_)) | Self::Scheduling(_) => "ModelUnsupported",
            Self::Engine(LoadError::Invalid(_)) => "ModelInvalid",
            Self::Engine(LoadError::Read { .. }) => "ModelNotFound",
            Self::Stopped(_) => "NotResponding",
        }
    }
}

impl Loader {
    /// A loader that fetches through `store`.
    pub const fn new(store: Store, scheduling: Scheduling) -> Self {
        Self { store, scheduling }
    }

    /// Brings one model to ready, or to failed. A failure is the model's alone.
    ///
    /// # Errors
    /// What [`State::Failed`] holds then.
    pub async fn load(&self, service: &Arc<Service>, entry: &Arc<Entry>) -> Result<(), Failure> {
        let (name, uri) = (&entry.config.name, &entry.config.uri);
        let progress = Arc::new(Progress::default());
        entry.enter(State::Downloading(Arc::clone(&progress)));
        service.refresh();
        let outcome = self.bring(entry, &progress).await;
        let outcome = match outcome {
            Ok(model) => {
                entry.enter(State::Ready(Arc::clone(&model)));
                let seconds = entry.load_duration().unwrap_or_default().as_secs_f64();
                tracing::info!(model = name, uri, seconds, rows = ?model.policy.rows, reason = model.policy.reason, "model is ready");
                Ok(())
            }
            Err(error) => {
                let failure = Failure { reason: error.reason(), message: with_sources(&error) };
                tracing::error!(model = name, uri, reason = failure.reason, message = failure.message, "model did not load");
                entry.enter(State::Failed(failure.clone()));
                Err(failure)
            }
        };
        service.refresh();
        outcome
    }

    async fn bring(&self, entry: &Arc<Entry>, progress: &Progress) -> Result<Arc<Model>, NotLoaded> {
        let source = Source { uri: entry.config.uri.clone(), sha256: entry.config.sha256.clone() };
        let artifact = store::fetch(&source, &self.store, progress).await?;
        entry.enter(State::Loading);
        let (entry, scheduling) = (Arc::clone(entry), self.scheduling.clone());
        tokio::task::spawn_blocking(move || into_model(&entry, &artifact, &scheduling)).await?
    }

    /// Takes a model out: new requests are refused, those in flight finish, its memory is returned.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` when it is not loaded, `DEADLINE_EXCEEDED` when its requests do not finish in time.
    pub async fn unload(&self, service: &Arc<Service>, entry: &Arc<Entry>) -> Result<(), Fault> {
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
        Ok(())
    }
}

/// Loads, proves and measures on a thread that may block.
fn into_model(entry: &Entry, artifact: &Artifact, scheduling: &Scheduling) -> Result<Arc<Model>, NotLoaded> {
    let engine = engine::load(&artifact.model)?;
    entry.enter(State::Warming);
    let measured = Measured::default();
    Model::new(&entry.config, engine, scheduling, measured).map_err(NotLoaded::Scheduling)
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
