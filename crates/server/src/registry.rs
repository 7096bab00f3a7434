//! The models of this server by name, and the state of each.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use modelyard_core::server_config::ModelConfig;
use parking_lot::Mutex;

use crate::fault::{Code, Fault};
use crate::infer::Model;
use crate::store::Progress;

/// The models of this server, in the order of the configuration.
pub struct Registry {
    entries: Vec<Arc<Entry>>,
}

/// One configured model: what it is to be, and what it is now.
pub struct Entry {
    /// What was asked for.
    pub config: ModelConfig,
    state: ArcSwap<State>,
    /// What is served: the SHA-256 of its bytes, and what its load took.
    loaded: Mutex<Option<(String, Phases)>>,
    /// Held by whoever loads or unloads: one at a time.
    pub(crate) control: tokio::sync::Mutex<()>,
}

/// What loading took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Until its bytes had come.
    pub downloading: Duration,
    /// Until the engine had read them.
    pub loading: Duration,
    /// Until it had proved itself.
    pub warming: Duration,
}

impl Phases {
    /// All together.
    pub fn sum(&self) -> Duration {
        self.downloading + self.loading + self.warming
    }
}

/// Where a model stands.
#[derive(Clone)]
pub enum State {
    /// Its bytes are coming.
    Downloading(Arc<Progress>),
    /// Its bytes are here; the engine reads them.
    Loading,
    /// Loaded; it proves itself on its sample.
    Warming,
    /// It answers.
    Ready(Arc<Model>),
    /// It was asked to leave; requests in flight finish.
    Unloading,
    /// It was asked to leave, and left.
    Unloaded,
    /// It did not become ready.
    Failed(Failure),
}

/// Why a model did not become ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The public name of the class, such as `ChecksumMismatch`.
    pub reason: &'static str,
    /// What happened, and what to do.
    pub message: String,
}

impl State {
    /// The state's name in readiness, logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Downloading(_) => "Downloading",
            Self::Loading => "Loading",
            Self::Warming => "Warming",
            Self::Ready(_) => "Ready",
            Self::Unloading => "Unloading",
            Self::Unloaded => "Unloaded",
            Self::Failed(_) => "Failed",
        }
    }

    /// The state's name in the Open Inference Protocol's repository index.
    pub const fn index_state(&self) -> &'static str {
        match self {
            Self::Downloading(_) | Self::Loading | Self::Warming => "LOADING",
            Self::Ready(_) => "READY",
            Self::Unloading => "UNLOADING",
            Self::Unloaded | Self::Failed(_) => "UNAVAILABLE",
        }
    }
}

impl Entry {
    /// A model that is still to be fetched.
    pub fn new(config: ModelConfig) -> Self {
        let state = ArcSwap::from_pointee(State::Downloading(Arc::default()));
        Self { config, state, loaded: Mutex::default(), control: tokio::sync::Mutex::default() }
    }

    /// Where the model stands.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// The model has come to another state.
    pub fn enter(&self, state: State) {
        self.state.store(Arc::new(state));
    }

    /// The model answers. `digest` is the SHA-256 of its bytes, `phases` what its load took.
    pub fn enter_ready(&self, model: Arc<Model>, digest: String, phases: Phases) {
        *self.loaded.lock() = Some((digest, phases));
        self.enter(State::Ready(model));
    }

    /// What is served: the SHA-256 of its bytes, and what its load took.
    pub fn loaded(&self) -> Option<(String, Phases)> {
        self.loaded.lock().clone()
    }

    /// How long the last load took, from its start to ready.
    pub fn load_duration(&self) -> Option<Duration> {
        self.loaded.lock().as_ref().map(|(_, phases)| phases.sum())
    }

    /// Whether `version`, as a URL or message spells it, is this model's.
    pub fn has_version(&self, version: &str) -> bool {
        version.parse::<i64>() == Ok(self.config.version)
    }

    /// The model, if it answers.
    ///
    /// # Errors
    /// `UNAVAILABLE` while it loads or after it failed, `NOT_FOUND` when it was unloaded.
    pub fn ready(&self) -> Result<Arc<Model>, Fault> {
        let name = &self.config.name;
        match &**self.state.load() {
            State::Ready(model) => Ok(Arc::clone(model)),
            State::Downloading(_) | State::Loading | State::Warming => {
                Err(Fault::unavailable(format!("model '{name}' is loading")))
            }
            State::Unloading | State::Unloaded => Err(Fault::not_found(format!("model '{name}' is unloaded"))),
            State::Failed(failure) => Err(Fault::unavailable(format!("model '{name}' did not load: {}", failure.message))),
        }
    }
}

impl Registry {
    /// The models of a configuration, none of them loaded.
    pub fn new(models: &[ModelConfig]) -> Self {
        Self { entries: models.iter().map(|config| Arc::new(Entry::new(config.clone()))).collect() }
    }

    /// Every model, whatever its state, in the order of the configuration.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// The configured model of that name, whatever its state.
    ///
    /// # Errors
    /// `NOT_FOUND` that lists the models there are.
    pub fn entry(&self, name: &str) -> Result<&Arc<Entry>, Fault> {
        self.entries.iter().find(|entry| entry.config.name == name).ok_or_else(|| {
            let shown: String = name.chars().take(80).collect();
            let known: Vec<_> = self.entries.iter().take(10).map(|entry| entry.config.name.as_str()).collect();
            Fault::not_found(format!("unknown model '{shown}'; this server has {}", known.join(", ")))
        })
    }

    /// The configured model of that name and version, whatever its state; an empty version is any.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown name or version.
    pub fn versioned(&self, name: &str, version: Option<&str>) -> Result<&Arc<Entry>, Fault> {
        let entry = self.entry(name)?;
        match version {
            Some(version) if !version.is_empty() && !entry.has_version(version) => {
                let (shown, have): (String, _) = (version.chars().take(40).collect(), entry.config.version);
                Err(Fault::not_found(format!("model '{name}' has no version '{shown}'; it has {have}")))
            }
            _ => Ok(entry),
        }
    }

    /// The model that answers for `name`, and for `version` if one is asked for.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown name or version, `UNAVAILABLE` while the model loads or after it failed.
    pub fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Model>, Fault> {
        self.versioned(name, version)?.ready()
    }

    /// Whether requests can be sent here: no model is on its way, and one that is wanted answers (or none is wanted).
    ///
    /// A model that failed beside others that answer does not make the server unready: that would take them down too.
    pub fn is_ready(&self) -> bool {
        let states: Vec<_> = self.entries.iter().map(|entry| entry.state()).collect();
        let answers = states.iter().any(|state| matches!(**state, State::Ready(_)));
        let unwanted = states.iter().all(|state| matches!(**state, State::Unloading | State::Unloaded));
        let coming = states.iter().any(|state| matches!(**state, State::Downloading(_) | State::Loading | State::Warming));
        (answers || unwanted) && !coming
    }
}

/// A client that should come back is told after how many seconds.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Fault {
    /// Seconds for HTTP's `Retry-After`, for the codes that carry it.
    pub fn retry_after(&self) -> Option<u64> {
        (self.code == Code::Unavailable).then_some(RETRY_AFTER.as_secs())
    }
}
