//! One deployment: its revisions and their replicas, and the carrying out of its plan.

use std::sync::Arc;

use jiff::Timestamp;
use modelyard_core::api::{Failure, ModelDeploymentStatus};
use modelyard_core::pins::Pins;
use modelyard_core::plan::{Plan, plan};
use modelyard_core::resolve::Resolved;
use modelyard_core::status::{Situation, status};
use tokio::sync::watch;

use super::events::{ModelState, News, Readiness};
use super::launch::Served;
use super::observe;
use super::replica::Stop;
use crate::gateway::Backend;

/// What one state of the spec has made.
pub(super) struct Revision {
    pub(super) name: String,
    pub(super) version: Option<i64>,
    pub(super) created: Timestamp,
    /// Replicas that were asked for last.
    pub(super) wanted: u32,
    /// Whether a replica of it ever answered.
    pub(super) has_served: bool,
    /// Its share of the traffic in percent.
    pub(super) weight: u32,
    pub(super) served: Served,
}

/// One replica, as far as is known here.
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) revision: String,
    pub(super) pid: Option<u32>,
    pub(super) admin_port: Option<u16>,
    /// Once its process listens.
    pub(super) backend: Option<Arc<Backend>>,
    pub(super) readiness: Readiness,
    pub(super) failure: Option<Failure>,
    /// How many times in a row its process ended before it was ready.
    pub(super) in_a_row: u32,
    pub(super) restarts: u32,
    /// It takes no new requests, and is about to be told to stop.
    pub(super) leaving: bool,
    /// What its server is to serve.
    pub(super) served: watch::Sender<Served>,
    pub(super) stop: watch::Sender<Stop>,
}

impl Slot {
    pub(super) fn is_stopping(&self) -> bool {
        self.leaving || *self.stop.borrow() != Stop::No
    }

    pub(super) fn is_ready(&self) -> bool {
        self.serves() && self.readiness.is_ready()
    }

    /// Whether requests are sent to it, for the models that answer.
    pub(super) fn serves(&self) -> bool {
        !self.is_stopping() && self.backend.is_some() && self.readiness.state == "Ready"
    }
}

/// A deployment with all that runs for it.
pub(super) struct Deployment {
    pub(super) resolved: Resolved,
    /// Set once the files no longer have it: it ends with its last replica.
    pub(super) removed: bool,
    pub(super) revisions: Vec<Revision>,
    pub(super) slots: Vec<Slot>,
    pub(super) status: Option<ModelDeploymentStatus>,
    ordinal: u32,
}

/// Makes replicas.
pub(super) trait Starter {
    /// Starts one, named `name`, and gives it back as a slot of `revision`.
    fn start(&mut self, revision: &Revision, name: String) -> Slot;
}

impl Deployment {
    pub(super) fn new(resolved: Resolved) -> Self {
        Self { resolved, removed: false, revisions: Vec::new(), slots: Vec::new(), status: None, ordinal: 0 }
    }

    /// Takes a replica's news.
    pub(super) fn hear(&mut self, id: u64, news: News, now: Timestamp) {
        let Some(index) = self.slots.iter().position(|slot| slot.id == id) else { return };
        let slot = &mut self.slots[index];
        match news {
            News::Spawned { pid } => slot.pid = Some(pid),
            News::Listening { data, admin } => {
                slot.admin_port = Some(admin.port());
                slot.backend = Some(Arc::new(Backend::new(data)));
            }
            News::Readiness(readiness) => {
                slot.readiness = readiness;
                if slot.is_ready() {
                    (slot.failure, slot.in_a_row) = (None, 0);
                    let revision = self.revisions.iter_mut().find(|revision| revision.name == self.slots[index].revision);
                    if let Some(revision) = revision {
                        revision.has_served = true;
                    }
                } else if let Some(failure) = observe::unready(slot, now) {
                    slot.failure = Some(failure);
                }
                self.hold(index);
            }
            News::Ended(ending) => {
                slot.failure = Some(observe::ended(&slot.name, &ending, now));
                (slot.pid, slot.admin_port, slot.backend) = (None, None, None);
                (slot.in_a_row, slot.restarts) = (ending.in_a_row, slot.restarts + 1);
                slot.readiness = Readiness::default();
            }
            News::Gone => drop(self.slots.remove(index)),
        }
    }

    /// Observes, plans, carries the plan out. What is to stop is returned: it is told so once nobody is sent there any more.
    pub(super) fn carry_on(&mut self, starter: &mut dyn Starter, now: Timestamp) -> (Plan, Vec<u64>) {
        if self.removed {
            self.resolved.replicas = 0;
        } else if self.revisions.iter().all(|revision| revision.name != self.resolved.revision) {
            self.revisions.push(Revision {
                name: self.resolved.revision.clone(),
                version: self.resolved.version,
                created: now,
                wanted: 0,
                has_served: false,
                weight: 0,
                served: Served { config: self.resolved.config.clone(), pins: Pins::default() },
            });
        }
        self.hand_on();
        let plan = plan(&self.resolved, &observe::observed(self), now);
        let mut stopping = Vec::new();
        for planned in &plan.revisions {
            let Some(index) = self.revisions.iter().position(|revision| revision.name == planned.revision) else { continue };
            self.revisions[index].wanted = planned.replicas;
            self.revisions[index].weight = planned.weight;
            let mut running: Vec<(bool, u64)> = self
                .slots
                .iter()
                .filter(|slot| slot.revision == planned.revision && !slot.is_stopping())
                .map(|slot| (slot.is_ready(), slot.id))
                .collect();
            // Those that are not ready go first, and of the others the youngest.
            running.sort_by_key(|(ready, id)| (!ready, *id));
            stopping.extend(running.iter().skip(planned.replicas as usize).map(|(_, id)| *id));
            for _ in running.len()..planned.replicas as usize {
                self.ordinal += 1;
                let name = format!("{}/{}", self.resolved.name, self.ordinal);
                self.slots.push(starter.start(&self.revisions[index], name));
            }
        }
        (plan, stopping)
    }

    /// Tells the processes of the revision what they are to serve now, where that is not what it was: other models.
    fn hand_on(&mut self) {
        let Some(revision) = self.revisions.iter_mut().find(|revision| revision.name == self.resolved.revision) else { return };
        if revision.served.config == self.resolved.config {
            return;
        }
        revision.served.config = self.resolved.config.clone();
        revision.served.pins.keep(|_| true, &revision.served.config);
        for slot in self.slots.iter().filter(|slot| slot.revision == revision.name) {
            slot.served.send_replace(revision.served.clone());
        }
    }

    /// Tells the processes of a slot's revision what the names of their models led to, where that is news: the first that answers says it, and
    /// the others serve the same.
    fn hold(&mut self, index: usize) {
        let (name, said) = (&self.slots[index].revision, &self.slots[index].readiness.models);
        let Some(revision) = self.revisions.iter_mut().find(|revision| revision.name == *name) else { return };
        revision.served.pins.learn("", &revision.served.config, said.iter().filter_map(ModelState::pinned));
        for slot in self.slots.iter().filter(|slot| slot.revision == *name) {
            slot.served.send_if_modified(|served| {
                let news = served.pins != revision.served.pins;
                served.pins.clone_from(&revision.served.pins);
                news
            });
        }
    }

    /// Forgets revisions that run nothing and are not wanted.
    pub(super) fn forget(&mut self) {
        let (slots, current) = (&self.slots, &self.resolved.revision);
        self.revisions.retain(|revision| {
            revision.wanted > 0 || revision.name == *current || slots.iter().any(|slot| slot.revision == revision.name)
        });
    }

    /// The status for this plan; `true` if it is another than before.
    pub(super) fn tell(&mut self, plan: &Plan, url: &str, now: Timestamp) -> bool {
        let observed = observe::observed(self);
        let situation = Situation {
            wanted: Ok((&self.resolved, plan)),
            generation: self.resolved.generation,
            observed: &observed,
            previous: self.status.as_ref(),
            url: Some(url),
            selector: None,
            now,
        };
        let new = status(&situation);
        let changed = self.status.as_ref() != Some(&new);
        self.status = Some(new);
        changed
    }

    /// Asks a replica to stop, unless it is asked more pressingly already.
    pub(super) fn stop(&self, id: u64, how: Stop) {
        if let Some(slot) = self.slots.iter().find(|slot| slot.id == id) {
            slot.stop.send_if_modified(|stop| {
                let more = how > *stop;
                *stop = how.max(*stop);
                more
            });
        }
    }
}
