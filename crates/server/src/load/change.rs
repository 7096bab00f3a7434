//! From the models that there are to those that are wanted, one by one: what stays is not touched.

use std::collections::HashMap;
use std::sync::Arc;

use modelyard_core::server_config::ModelConfig;
use tokio::task::JoinHandle;

use crate::protocol::Service;
use crate::registry::{Change, Entry, Failure, State};

/// Changes the models of a service.
pub(crate) struct Changes {
    service: Arc<Service>,
    /// Loads that go on for what is to take a model's place, by its name.
    coming: HashMap<String, Coming>,
}

/// What is to take a model's place, once it is ready.
struct Coming {
    config: ModelConfig,
    load: JoinHandle<()>,
}

impl Changes {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        Self { service, coming: HashMap::new() }
    }

    /// The models are to be these, in this order. Those that are new are loaded, those that are gone finish their requests, and one
    /// that is another under the same name is loaded beside the one that serves and takes its place once it is ready.
    pub(crate) fn want(&mut self, wanted: &[ModelConfig]) {
        self.coming.retain(|_, coming| !coming.load.is_finished());
        let before: HashMap<String, Arc<Entry>> =
            self.service.registry.entries().into_iter().map(|entry| (entry.config.name.clone(), entry)).collect();
        let mut entries = Vec::with_capacity(wanted.len());
        let mut added = Vec::new();
        for config in wanted {
            let entry = match before.get(&config.name) {
                Some(entry) if entry.config == *config && !matches!(*entry.state(), State::Failed(_)) => {
                    self.keep(entry);
                    Arc::clone(entry)
                }
                Some(entry) if entry.is_available() => {
                    self.change(entry, config);
                    Arc::clone(entry)
                }
                earlier => {
                    // One that failed or is still on its way has nothing that is worth keeping.
                    self.give_up(&config.name);
                    let entry = match earlier {
                        Some(earlier) => {
                            retire(&self.service, Arc::clone(earlier));
                            Arc::new(Entry::after(config.clone(), earlier))
                        }
                        None => Arc::new(Entry::new(config.clone(), true)),
                    };
                    added.push(Arc::clone(&entry));
                    entry
                }
            };
            entries.push(entry);
        }
        self.service.registry.replace(entries);
        for (name, entry) in before {
            if wanted.iter().all(|config| config.name != name) {
                self.give_up(&name);
                tracing::info!(model = name, "the model is removed");
                retire(&self.service, entry);
            }
        }
        for entry in added {
            tracing::info!(model = entry.config.name, "a model is added");
            let service = Arc::clone(&self.service);
            tokio::spawn(async move { service.loader.load(&service, &entry).await });
        }
        self.service.refresh();
    }

    /// What serves is what is wanted.
    fn keep(&mut self, entry: &Entry) {
        self.give_up(&entry.config.name);
        entry.enter_change(None);
    }

    /// What was to come is not wanted any more.
    fn give_up(&mut self, name: &str) {
        if let Some(coming) = self.coming.remove(name) {
            coming.load.abort();
        }
    }

    fn change(&mut self, entry: &Arc<Entry>, config: &ModelConfig) {
        if self.coming.get(&config.name).is_some_and(|coming| coming.config == *config) {
            return;
        }
        self.give_up(&config.name);
        tracing::info!(model = config.name, "the model is changed");
        entry.enter_change(Some(Change::Coming));
        let (service, before) = (Arc::clone(&self.service), Arc::clone(entry));
        let after = Arc::new(Entry::after(config.clone(), entry));
        let load = tokio::spawn(async move {
            let outcome = service.loader.load(&service, &after).await;
            succeed(&service, (before, after), outcome);
        });
        self.coming.insert(config.name.clone(), Coming { config: config.clone(), load });
    }
}

/// The successor takes the model's place, or says why not.
fn succeed(service: &Arc<Service>, (before, after): (Arc<Entry>, Arc<Entry>), outcome: Result<(), Failure>) {
    if let Err(failure) = outcome {
        before.enter_change(Some(Change::Refused(failure)));
        return;
    }
    let mut entries = service.registry.entries();
    if let Some(place) = entries.iter_mut().find(|entry| Arc::ptr_eq(entry, &before)) {
        *place = after;
        service.registry.replace(entries);
        retire(service, before);
        service.refresh();
    }
}

/// Lets a model go that the registry no longer has. It stays as it is for those requests that have found it, and ends with the last.
fn retire(service: &Arc<Service>, entry: Arc<Entry>) {
    let service = Arc::clone(service);
    tokio::spawn(async move {
        let name = entry.config.name.clone();
        // A load that goes on ends first.
        drop(entry.control.lock().await);
        let gone = if let State::Ready(model) = &*entry.state() { Some(model.gone()) } else { None };
        drop(entry);
        if let Some(gone) = gone
            && tokio::time::timeout(service.request_timeout, gone).await.is_err()
        {
            tracing::warn!(model = name, "requests in flight hold the removed model past the request timeout");
        }
        service.loader.return_memory();
    });
}
