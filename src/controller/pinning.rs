//! What the names of a revision's models led to: learnt from the first of its servers that says so, noted in a ConfigMap of its own, which
//! the revision's later servers start with. The pods' template names that ConfigMap from the start, so nothing restarts.
//!
//! Servers that run read it too: one that serves something else by then changes over by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use modelyard_core::diagnose::Loading;
use modelyard_core::digest::sha256;
use modelyard_core::pins::{Pin, Pins, RESTARTED_AT};
use modelyard_core::plan::RevisionObserved;
use modelyard_core::render::{CONTAINER, PINS_ANNOTATION, PINS_FILE, PINS_VARIABLE};
use modelyard_core::resolve::Resolved;

use super::bell::mark;
use super::observe::{runs, server};
use super::probes::{Heard, SOON, Server};

/// Servers of one restart that are asked, at most: the first answer is enough.
const ASKED: usize = 2;

/// A server that cannot be reached is tried again this often: there may be many of these for ever.
const SELDOM: Duration = Duration::from_secs(600);

/// The pins of the spec's own revision.
pub(super) struct Pinning<'a> {
    resolved: &'a Resolved,
    /// Which restart the template is of; empty: none.
    restart: String,
    pins: Pins,
    /// As our own watch has told of them: the kubelet has them from one like that.
    stored: Pins,
    /// The pods that run, the oldest first.
    pods: Vec<&'a Pod>,
}

impl<'a> Pinning<'a> {
    /// None where the servers have not been given the place to look: an earlier release made them, or their models' names stay.
    /// `noted` is the ConfigMap as it is kept.
    pub(super) fn of(
        resolved: &'a Resolved,
        workload: &Deployment,
        noted: Option<&ConfigMap>,
        mut pods: Vec<&'a Pod>,
    ) -> Option<Self> {
        let template = &workload.spec.as_ref()?.template;
        let server = template.spec.as_ref()?.containers.iter().find(|one| one.name == CONTAINER)?;
        let looks = server.env.iter().flatten().any(|variable| variable.name == PINS_VARIABLE);
        pods.retain(|pod| runs(pod));
        pods.sort_by_key(|pod| (pod.metadata.creation_timestamp.as_ref().map(|time| time.0), pod.name_any()));
        let notes = template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
        let restart = notes.and_then(|notes| notes.get(RESTARTED_AT)).cloned().unwrap_or_default();
        let noted = noted.and_then(|one| one.data.as_ref()?.get(PINS_FILE));
        // What somebody else wrote there in place of it is written anew.
        let pins = noted.and_then(|text| Pins::from_json(text).ok()).unwrap_or_default();
        (looks && resolved.may_move()).then_some(Self { resolved, restart, stored: pins.clone(), pins, pods })
    }

    /// Whom to ask: of each restart some of those that are ready, until one has said what its models' names led to.
    pub(super) fn servers(&self) -> Vec<Server> {
        let mut asked = Vec::new();
        for restart in self.restarts().into_iter().filter(|restart| self.pins.lacks(restart, &self.resolved.config)) {
            let own = self.pods.iter().filter(|pod| restart_of(pod) == restart);
            asked.extend(own.filter_map(|pod| server(pod)).filter(|server| server.ready.is_some()).take(ASKED));
        }
        asked
    }

    fn restarts(&self) -> BTreeSet<&str> {
        self.pods.iter().map(|pod| restart_of(pod)).collect()
    }

    /// Notes what is news, and forgets what nobody is held to any more.
    pub(super) fn learn(&mut self, heard: &Heard) {
        let config = &self.resolved.config;
        for pod in &self.pods {
            if let Some(Some(said)) = heard.said.get(&pod.name_any()) {
                self.pins.learn(restart_of(pod), config, told(said));
            }
        }
        let live: BTreeSet<String> = self.restarts().into_iter().map(str::to_owned).collect();
        self.pins.keep(|restart| restart == self.restart || live.contains(restart), config);
    }

    /// What is served, for the status: of the restart that the template is of.
    pub(super) fn tell(&self, seen: &mut RevisionObserved) {
        let of = |name: &str| {
            let model = self.resolved.config.models.iter().find(|model| model.name == name)?;
            self.pins.of(&self.restart, model).cloned()
        };
        for model in &mut seen.models {
            model.pin = of(&model.name);
        }
        if let ([model], false) = (self.resolved.config.models.as_slice(), self.resolved.follows())
            && let Some(Pin { digest, version, .. }) = of(&model.name)
        {
            (seen.digest, seen.resolved) = (Some(digest), version);
        }
    }

    /// When it is worth asking again, if nobody changes anything.
    pub(super) fn again(&self, heard: &Heard) -> Option<Duration> {
        let each = self.servers().into_iter().filter_map(|server| match heard.said.get(&server.pod) {
            _ if heard.silent.contains(&server.pod) => Some(SOON),
            Some(None) => Some(SELDOM),
            // It has said all that it will: a server of an earlier release does not say this.
            Some(Some(_)) | None => None,
        });
        each.min()
    }

    /// The pods whose servers say that they serve something else than is noted, and have not been sent after it; and the SHA-256 of that.
    pub(super) fn strays(&self, heard: &Heard) -> (Vec<String>, String) {
        let digest = sha256(self.stored.to_json());
        let strays = |pod: &&&Pod| {
            let said = heard.said.get(&pod.name_any()).and_then(Option::as_ref);
            let rung = pod.annotations().get(PINS_ANNOTATION).is_some_and(|rung| rung == mark(&digest));
            !rung && said.is_some_and(|said| told(said).any(|(name, pin)| self.is_other(pod, name, pin)))
        };
        (self.pods.iter().filter(strays).map(|pod| pod.name_any()).collect(), digest)
    }

    fn is_other(&self, pod: &Pod, name: &str, pin: &Pin) -> bool {
        let model = self.resolved.config.models.iter().find(|model| model.name == name && model.named() == pin.of);
        let noted = model.and_then(|model| self.stored.of(restart_of(pod), model));
        noted.is_some_and(|noted| noted.content() != pin.content())
    }

    pub(super) fn is_of(&self, revision: &str) -> bool {
        self.resolved.revision == revision
    }

    /// What is to be noted.
    pub(super) fn into_pins(self) -> Pins {
        self.pins
    }
}

/// What a server says that its models' names led to, of those that answer.
fn told(said: &Loading) -> impl Iterator<Item = (&str, &Pin)> {
    said.models.iter().filter_map(|model| Some((model.name.as_str(), model.pin.as_ref()?)))
}

/// The restart that a pod is of.
fn restart_of(pod: &Pod) -> &str {
    pod.annotations().get(RESTARTED_AT).map_or("", String::as_str)
}

#[cfg(test)]
mod tests;
