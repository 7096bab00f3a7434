//! The models of this server by name, and the state of each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use modelyard_core::server_config::ModelConfig;

use crate::fault::{Code, Fault};
use crate::infer::Model;

pub(crate) mod demand;
mod entry;
mod state;

pub use entry::{Change, Entry, Loaded, Phases};
pub use state::{Failure, Rest, State};

/// The models of this server, in the order of the configuration. They come and go while it serves.
pub struct Registry {
    models: ArcSwap<Models>,
}

/// The models at one moment.
struct Models {
    entries: Vec<Arc<Entry>>,
    /// Where each name is; empty where looking at each is quicker.
    places: HashMap<String, usize>,
}

/// Up to so many names are looked at one by one.
const FEW: usize = 8;

impl Models {
    fn new(entries: Vec<Arc<Entry>>) -> Self {
        let many = entries.len() > FEW;
        let places = entries.iter().enumerate().filter(|_| many).map(|(at, entry)| (entry.config.name.clone(), at));
        Self { places: places.collect(), entries }
    }

    fn get(&self, name: &str) -> Option<&Arc<Entry>> {
        if self.places.is_empty() {
            return self.entries.iter().find(|entry| entry.config.name == name);
        }
        self.entries.get(*self.places.get(name)?)
    }
}

impl Registry {
    /// The models of a configuration, none of them loaded.
    pub fn new(models: &[ModelConfig]) -> Self {
        let entries = models.iter().map(|config| Arc::new(Entry::new(config.clone(), false))).collect();
        Self { models: ArcSwap::from_pointee(Models::new(entries)) }
    }

    /// Every model, whatever its state, in the order of the configuration.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.models.load().entries.clone()
    }

    /// The models are these from now on.
    pub fn replace(&self, entries: Vec<Arc<Entry>>) {
        self.models.store(Arc::new(Models::new(entries)));
    }

    /// The configured model of that name, whatever its state.
    ///
    /// # Errors
    /// `NOT_FOUND` that lists the models there are.
    pub fn entry(&self, name: &str) -> Result<Arc<Entry>, Fault> {
        let models = self.models.load();
        models.get(name).map(Arc::clone).ok_or_else(|| {
            let shown: String = name.chars().take(80).collect();
            let known: Vec<_> = models.entries.iter().take(10).map(|entry| entry.config.name.as_str()).collect();
            Fault::not_found(format!("unknown model '{shown}'; this server has {}", known.join(", ")))
        })
    }

    /// The configured model of that name and version, whatever its state; an empty version is any.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown name or version.
    pub fn versioned(&self, name: &str, version: Option<&str>) -> Result<Arc<Entry>, Fault> {
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
    /// `NOT_FOUND` for an unknown name or version, `UNAVAILABLE` while the model loads, after it failed and on standby.
    pub fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Model>, Fault> {
        self.versioned(name, version)?.ready()
    }

    /// Whether requests can be sent here: no model is on its way that was to be there from the start, and one that is wanted is
    /// available (or none is wanted).
    ///
    /// A model that failed beside others that answer does not make the server unready: that would take them down too.
    pub fn is_ready(&self) -> bool {
        let states: Vec<_> = self.models.load().entries.iter().map(|entry| (entry.state(), entry.late)).collect();
        let answers = states.iter().any(|(state, _)| state.is_available());
        let unwanted = states.iter().all(|(state, _)| matches!(**state, State::Unloading | State::Unloaded));
        let coming = states.iter().any(|(state, late)| state.is_coming() && !late);
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
