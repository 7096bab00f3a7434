//! From a configured model to one that answers: fetch, try, make room, load, prove, measure; and back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use modelyard_core::api::{Isolation, SelfCheck};
use modelyard_core::pins::Pin;
use modelyard_core::server_config::ModelConfig;
use tokio::sync::Semaphore;

use crate::engine::choice::{self, Wanted};
use crate::fault::{Code, Fault};
use crate::infer::{Model, Scheduling};
use crate::protocol::Service;
use crate::registry::{Entry, Failure, Loaded, Phases, Rest, State};
use crate::trial::{Trial, TrialError, Tried};
use modelyard_store::{self as store, Artifact, Progress, Source, Store};

pub(crate) mod change;
mod demand;
mod failure;
mod held;
pub(crate) mod memory;
mod prepare;
mod room;
mod thread;

use failure::NotLoaded;
pub(crate) use held::Held;
use prepare::{into_model, tell};
pub(crate) use room::Room;
pub use room::Share;
pub(crate) use thread::NICENESS;
use thread::blocking;

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
    /// Loads at once: as many as there are threads, so that those that serve get their turn.
    places: Semaphore,
    /// Memory for the loaded models.
    room: Room,
    /// What models are held to.
    held: Held,
    /// How often the allocator is still made to look for what it can give back.
    purges: Arc<AtomicUsize>,
}

/// How long preparing a model that is on disk may take, unless it is said: a large network takes seconds.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// What a model is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// The server starts: where there is no room any more, it goes on standby.
    Start,
    /// Somebody wants it loaded: others make room.
    Asked,
    /// A client wants what there is now: others make room.
    Anew,
    /// A request waits for it, which was loaded or tried before: others make room.
    Demand,
}

/// What bringing a model gave.
enum Brought {
    /// It can answer.
    Model(Arc<Model>, Loaded),
    /// It is good, and there is no room for it now.
    Tried(Loaded),
}

impl Loader {
    /// A loader that fetches through `store`, and gives up on a model that the engine is not done with after [`LOAD_TIMEOUT`].
    pub fn new(store: Store, scheduling: Scheduling) -> Self {
        let places = Semaphore::new(scheduling.threads.max(1));
        Self {
            store,
            scheduling,
            patience: LOAD_TIMEOUT,
            trial: None,
            places,
            room: Room::default(),
            held: Held::default(),
            purges: Arc::default(),
        }
    }

    /// The same, with a bound in bytes on what the loaded models take together.
    #[must_use]
    pub fn with_budget(self, budget: Option<u64>) -> Self {
        Self { room: Room::new(budget), ..self }
    }

    /// Memory for the loaded models.
    pub(crate) const fn room(&self) -> &Room {
        &self.room
    }

    /// Requests of one model that may wait.
    pub(crate) const fn queue_length(&self) -> usize {
        self.scheduling.queue_length
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
        self.load_for(service, entry, Occasion::Asked).await
    }

    /// The same for one on standby: until it is ready it stays that, and if it does not become ready.
    pub(crate) async fn load_on_demand(&self, service: &Arc<Service>, entry: &Arc<Entry>) -> Result<(), Failure> {
        self.load_for(service, entry, Occasion::Demand).await
    }

    async fn load_for(&self, service: &Arc<Service>, entry: &Arc<Entry>, occasion: Occasion) -> Result<(), Failure> {
        let _one_at_a_time = entry.control.lock().await;
        if occasion == Occasion::Demand && !entry.is_on_standby() {
            // Somebody else has seen to it, in one way or the other.
            return Ok(());
        }
        let (name, uri) = (&entry.config.name, &entry.config.uri);
        let available = entry.is_available();
        let step = |state: State| {
            if !available {
                entry.enter(state);
                service.refresh();
            }
        };
        let outcome = match self.bring(service, entry, (occasion, &step)).await {
            Ok(Brought::Model(model, loaded)) => {
                let (seconds, policy) = (loaded.phases.sum().as_secs_f64(), &model.policy);
                tracing::info!(
                    model = name, uri, digest = loaded.digest, seconds, memory = loaded.memory, engine = model.facts.engine,
                    engine_reason = model.facts.engine_reason, rows = ?policy.rows, reason = policy.reason, "model is ready"
                );
                entry.enter_ready(model, loaded);
                Ok(())
            }
            Ok(Brought::Tried(loaded)) => {
                tracing::info!(model = name, uri, memory = loaded.memory, "model is on standby: the memory budget is spent");
                entry.remember(loaded);
                entry.enter(State::Standby(Arc::new(Rest::default())));
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
        self.return_memory();
        outcome
    }

    async fn bring(
        &self,
        service: &Arc<Service>,
        entry: &Arc<Entry>,
        (occasion, step): (Occasion, &(impl Fn(State) + Sync)),
    ) -> Result<Brought, NotLoaded> {
        let mut since = Instant::now();
        let mut took = || std::mem::replace(&mut since, Instant::now()).elapsed();
        let progress = Arc::new(Progress::default());
        step(State::Downloading(Arc::clone(&progress)));
        let pin = self.pin_of(entry, occasion)?;
        let artifact = store::fetch(&source(&entry.config, pin), &self.store, &progress).await?;
        let pin = artifact.pin(entry.config.named());
        let mut phases = Phases { downloading: took(), ..Phases::default() };
        step(State::Loading);
        let config = &entry.config;
        let mut wanted = Wanted {
            name: config.engine.name,
            format: config.format,
            threads: self.scheduling.threads,
            self_check: config.engine.self_check == SelfCheck::Enabled,
            choice: None,
        };
        let tried = self.tried(entry, (&artifact, &wanted), occasion).await?.and_then(|Tried { choice, checked, memory }| {
            tell(&config.name, &checked);
            wanted.self_check = false;
            wanted.choice = Some(choice);
            memory
        });
        phases.loading = took();
        let share = match (tried, occasion) {
            (Some(bytes), Occasion::Start) => match self.room.take_if_free(bytes)? {
                Some(share) => Some(share),
                None => {
                    let loaded = Loaded { digest: artifact.digest, pin, phases, memory: bytes, choice: wanted.choice };
                    return Ok(Brought::Tried(loaded));
                }
            },
            (Some(bytes), _) => Some(self.room.make(bytes, (&service.registry, entry), service.request_timeout).await?),
            (None, _) => None,
        };
        let Ok(_place) = self.places.acquire().await else { return Err(NotLoaded::Slow(self.patience)) };
        let began = Instant::now();
        let (before, path) = (memory::private(), artifact.model);
        let whole = |error| if let NotLoaded::Slow(_) = error { NotLoaded::Slow(self.patience) } else { error };
        let load = move || -> Result<_, NotLoaded> { Ok((choice::load(&path, &wanted)?, path)) };
        let (choice::Loaded { engine, choice, checked }, path) = blocking(self.patience, load).await.map_err(whole)?;
        tell(&config.name, &checked);
        phases.loading += took();
        step(State::Warming);
        let metrics = if let State::Standby(rest) = &*entry.state() { Arc::clone(&rest.metrics) } else { Arc::default() };
        let (config, scheduling) = (entry.config.clone(), self.scheduling.clone());
        let left = self.patience.saturating_sub(began.elapsed());
        let model = blocking(left, move || into_model(&config, (engine, path), (&scheduling, metrics))).await.map_err(whole)?;
        phases.warming = took();
        // What others took meanwhile is in it too; a trial, which is alone in its process, says it better.
        let memory = tried.unwrap_or_else(|| memory::since(before).unwrap_or(0).max(model.facts.bytes));
        let loaded = Loaded { digest: artifact.digest, pin, phases, memory, choice: Some(choice) };
        let share = match share {
            Some(share) => share,
            None if occasion == Occasion::Start => match self.room.take_if_free(memory)? {
                Some(share) => share,
                None => return Ok(Brought::Tried(loaded)),
            },
            None => self.room.make(memory, (&service.registry, entry), service.request_timeout).await?,
        };
        model.takes(share, memory);
        Ok(Brought::Model(model, loaded))
    }

    /// Tries the model in a process of its own, and says what was found there; `None` where it is not tried. What was loaded before is
    /// not tried again when a request waits for it.
    async fn tried(
        &self,
        entry: &Entry,
        (artifact, wanted): (&Artifact, &Wanted),
        occasion: Occasion,
    ) -> Result<Option<Tried>, NotLoaded> {
        if occasion == Occasion::Demand
            && let Some(known) = entry.loaded().filter(|known| known.digest == artifact.digest)
            && let Some(choice) = known.choice
        {
            return Ok(Some(Tried { choice, checked: Vec::new(), memory: Some(known.memory) }));
        }
        match self.trial.as_ref().filter(|_| entry.config.engine.isolation == Isolation::Process) {
            Some(trial) => self.try_first(trial, (&entry.config, wanted), &artifact.model).await,
            None => Ok(None),
        }
    }

    /// Where no process can be started to try the model in (a sandbox that forbids it, no more processes), it is loaded as it is: it
    /// would have no chance otherwise.
    async fn try_first(
        &self,
        trial: &Trial,
        (config, wanted): (&ModelConfig, &Wanted),
        path: &Path,
    ) -> Result<Option<Tried>, NotLoaded> {
        let (began, name) = (Instant::now(), &config.name);
        match trial.of((path, wanted), self.patience).await {
            Ok(tried) => {
                let (seconds, memory) = (began.elapsed().as_secs_f64(), tried.as_ref().and_then(|tried| tried.memory));
                tracing::debug!(model = name, seconds, memory, "the model runs in a process of its own");
                Ok(tried)
            }
            Err(TrialError::NoProcess(error)) => {
                tracing::warn!(model = name, %error, "no process can be started to try the model in first: loading it without");
                Ok(None)
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
            State::Unloaded | State::Failed(_) | State::Standby(_) => {
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
        self.return_memory();
        Ok(())
    }
}

impl Loader {
    /// Has the allocator give freed memory back to the system. It does so by itself, [`PURGE_DELAY`] after, but only when something
    /// makes it look, which on an idle server may take long; a thread that ends does. What was freed late has a later delay of its
    /// own, so it is made to look several times; for many loads in a row not more often than for one.
    fn return_memory(&self) {
        if self.purges.swap(PURGES, Ordering::Relaxed) > 0 {
            return;
        }
        let left = Arc::clone(&self.purges);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PURGE_DELAY).await;
                if let Err(error) = std::thread::Builder::new().name("purge".to_owned()).spawn(|| drop(Box::new([0_u8; 64]))) {
                    tracing::debug!(%error, "freed memory goes back to the system later");
                }
                if left.fetch_sub(1, Ordering::Relaxed) <= 1 {
                    return;
                }
            }
        });
    }
}

fn source(config: &ModelConfig, pin: Option<Pin>) -> Source {
    Source {
        uri: config.uri.clone(),
        sha256: config.sha256.clone(),
        authorization_env: config.authorization_env.clone(),
        credentials_env: config.credentials_env.clone(),
        pin,
    }
}

/// Loads every model of the service side by side, and waits for all.
pub async fn load_all(service: &Arc<Service>) -> Vec<Failure> {
    let loads: Vec<_> = service
        .registry
        .entries()
        .iter()
        .map(|entry| {
            let (service, entry) = (Arc::clone(service), Arc::clone(entry));
            tokio::spawn(async move { service.loader.load_for(&service, &entry, Occasion::Start).await.err() })
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
