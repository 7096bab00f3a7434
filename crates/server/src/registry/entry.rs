//! One configured model: what it is to be, and what it is now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use modelyard_core::pins::Pin;
use modelyard_core::server_config::ModelConfig;
use parking_lot::Mutex;

use super::demand::Demand;
use super::state::{Failure, Rest, State};
use crate::engine::choice::Choice;
use crate::fault::Fault;
use crate::infer::Model;
use crate::metrics::ModelMetrics;

/// One configured model: what it is to be, and what it is now.
pub struct Entry {
    /// What was asked for.
    pub config: ModelConfig,
    /// Whether it came while the server was serving others, which do not wait for it.
    pub late: bool,
    state: ArcSwap<State>,
    loaded: Mutex<Option<Loaded>>,
    /// What its name led to when it was first loaded, here or under another configuration that asks for the same.
    pin: Mutex<Option<Pin>>,
    /// What becomes of what is to take its place.
    change: Mutex<Option<Change>>,
    /// Requests that wait for it to be loaded, and the load.
    pub(crate) demand: Demand,
    /// Loads that ended well, and those times that it went on standby.
    pub loads: AtomicU64,
    /// How often it left memory to others.
    pub evictions: AtomicU64,
    /// Held by whoever loads or unloads: one at a time.
    pub(crate) control: tokio::sync::Mutex<()>,
}

/// What becomes of the one that is to take a model's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is being loaded.
    Coming,
    /// It did not become ready.
    Refused(Failure),
}

/// What was loaded last, or tried and not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The SHA-256 of its bytes.
    pub digest: String,
    /// What its name led to.
    pub pin: Pin,
    /// What its load took.
    pub phases: Phases,
    /// Bytes of memory that it takes while it is loaded.
    pub memory: u64,
    /// Which engine it has, so that it is not measured again when it comes back.
    pub choice: Option<Choice>,
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

impl Entry {
    /// A model that is still to be fetched; a `late` one beside others that answer.
    pub fn new(config: ModelConfig, late: bool) -> Self {
        Self {
            config,
            late,
            state: ArcSwap::from_pointee(State::Downloading(Arc::default())),
            loaded: Mutex::default(),
            pin: Mutex::default(),
            change: Mutex::default(),
            demand: Demand::default(),
            loads: AtomicU64::default(),
            evictions: AtomicU64::default(),
            control: tokio::sync::Mutex::default(),
        }
    }

    /// The same for what takes the place of another: where both ask for the same bytes, it gets the same.
    pub(crate) fn after(config: ModelConfig, earlier: &Self) -> Self {
        let pin = earlier.pin().filter(|pin| pin.of == config.named());
        Self { pin: Mutex::new(pin), ..Self::new(config, true) }
    }

    /// What its name led to.
    pub(crate) fn pin(&self) -> Option<Pin> {
        self.pin.lock().clone()
    }

    /// Where the model stands.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// The model has come to another state.
    pub fn enter(&self, state: State) {
        self.state.store(Arc::new(state));
    }

    /// The model answers.
    pub(crate) fn enter_ready(&self, model: Arc<Model>, loaded: Loaded) {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.remember(loaded);
        self.enter(State::Ready(model));
    }

    /// What was loaded last, or tried and not loaded.
    pub fn loaded(&self) -> Option<Loaded> {
        self.loaded.lock().clone()
    }

    pub(crate) fn remember(&self, loaded: Loaded) {
        *self.pin.lock() = Some(loaded.pin.clone());
        *self.loaded.lock() = Some(loaded);
    }

    /// What becomes of what is to take this model's place.
    pub fn change(&self) -> Option<Change> {
        self.change.lock().clone()
    }

    pub(crate) fn enter_change(&self, change: Option<Change>) {
        *self.change.lock() = change;
    }

    /// Leaves memory, unless somebody was faster: no new request gets it, and those that have it keep it until they are done.
    pub(crate) fn stand_by(&self) {
        let state = self.state();
        let State::Ready(model) = &*state else { return };
        let standby = Arc::new(State::Standby(Arc::new(Rest { metrics: Arc::clone(&model.metrics) })));
        let before = self.state.compare_and_swap(&state, standby);
        if Arc::ptr_eq(&before, &state) {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What the model did, where it is available.
    pub fn metrics(&self) -> Option<Arc<ModelMetrics>> {
        match &**self.state.load() {
            State::Ready(model) => Some(Arc::clone(&model.metrics)),
            State::Standby(rest) => Some(Arc::clone(&rest.metrics)),
            _ => None,
        }
    }

    /// How long the last load took, from its start to ready.
    pub fn load_duration(&self) -> Option<Duration> {
        self.loaded.lock().as_ref().map(|loaded| loaded.phases.sum())
    }

    /// Whether `version`, as a URL or message spells it, is this model's.
    pub fn has_version(&self, version: &str) -> bool {
        version.parse::<i64>() == Ok(self.config.version)
    }

    /// Whether a request for the model is answered: at once, or once it is loaded.
    pub fn is_available(&self) -> bool {
        self.state.load().is_available()
    }

    /// Whether it is on standby.
    pub fn is_on_standby(&self) -> bool {
        matches!(**self.state.load(), State::Standby(_))
    }

    /// The model, if it answers.
    ///
    /// # Errors
    /// `UNAVAILABLE` while it loads, after it failed and on standby, `NOT_FOUND` when it was unloaded.
    pub fn ready(&self) -> Result<Arc<Model>, Fault> {
        let name = &self.config.name;
        match &**self.state.load() {
            State::Ready(model) => Ok(Arc::clone(model)),
            State::Downloading(_) | State::Loading | State::Warming => {
                Err(Fault::unavailable(format!("model '{name}' is loading")))
            }
            State::Standby(_) => Err(Fault::unavailable(format!("model '{name}' is on standby"))),
            State::Unloading | State::Unloaded => Err(Fault::not_found(format!("model '{name}' is unloaded"))),
            State::Failed(failure) => Err(Fault::unavailable(format!("model '{name}' did not load: {}", failure.message))),
        }
    }
}
