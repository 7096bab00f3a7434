//! Servers that follow a list of models: who is to be asked how far they are, who has not been told of a change, and what they say.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use modelyard_core::api::{Failure, Reason};
use modelyard_core::diagnose::{Attention, Followers, Loading, attention};
use modelyard_core::plan::RevisionObserved;
use modelyard_core::render::{CONFIG_ANNOTATION, CONFIG_FILE};
use modelyard_core::resolve::Resolved;

use super::bell::mark;
use super::observe::{runs, server};
use super::probes::{Heard, LATER, SOON, Server};

/// Servers of one deployment that are asked how their models are, at most: what the others say is hardly another thing.
const ASKED: usize = 32;

/// The servers of one revision, which follow their models.
pub(super) struct Following<'a> {
    resolved: &'a Resolved,
    /// The SHA-256 of what they are to serve.
    wanted: String,
    /// The SHA-256 of what their ConfigMap holds, as far as its watch has told.
    stored: Option<String>,
    /// The pods that run.
    pods: Vec<&'a Pod>,
}

impl<'a> Following<'a> {
    /// Of the spec's own revision, if its servers follow. `configuration` is that ConfigMap as it is kept.
    pub(super) fn of(resolved: &'a Resolved, configuration: Option<&ConfigMap>, mut pods: Vec<&'a Pod>) -> Option<Self> {
        pods.retain(|pod| runs(pod));
        let stored = configuration.and_then(|one| one.data.as_ref()?.get(CONFIG_FILE)).cloned();
        resolved.follows().then(|| Self { resolved, wanted: resolved.config.sha256(), stored, pods })
    }

    pub(super) fn is_of(&self, revision: &str) -> bool {
        self.resolved.revision == revision
    }

    /// The SHA-256 of what they have been given, or are about to be.
    fn given(&self) -> &str {
        match &self.stored {
            Some(stored) if self.resolved.paused => stored,
            _ => &self.wanted,
        }
    }

    /// Whom to ask: those that are ready, until they have nothing new to say.
    pub(super) fn servers(&self) -> Vec<Server> {
        let follows: Arc<str> = self.given().into();
        let ready = self.pods.iter().filter_map(|pod| server(pod)).filter(|server| server.ready.is_some());
        ready.map(|server| Server { follows: Some(Arc::clone(&follows)), ..server }).take(ASKED).collect()
    }

    /// Whether one that is ready said nothing so far, and may yet: a server that loads is busy.
    pub(super) fn waits(&self, heard: &Heard) -> bool {
        self.servers().iter().any(|server| heard.silent.contains(&server.pod))
    }

    /// What those say that are ready; none: one that was asked and says nothing.
    fn said<'h>(&self, heard: &'h Heard) -> Vec<Option<&'h Loading>> {
        let names = self.servers().into_iter().map(|server| server.pod).filter(|pod| !heard.silent.contains(pod));
        names.filter_map(|pod| heard.said.get(&pod)).map(Option::as_ref).collect()
    }

    /// How each model is, and what keeps the list from being carried out.
    pub(super) fn tell(&self, heard: &Heard, seen: &mut RevisionObserved, now: Timestamp) {
        let mut followers = Followers { config: &self.resolved.config, digest: self.given(), said: self.said(heard) };
        let serves = !followers.said.is_empty();
        if !serves {
            // Nobody serves: what those say that start is the best there is.
            let starting = self.pods.iter().filter_map(|pod| heard.said.get(&pod.name_any())?.as_ref());
            followers.said = starting.map(Some).collect();
        }
        if followers.said.is_empty() {
            return;
        }
        seen.models = followers.models();
        let waits = self.resolved.paused && self.given() != self.wanted;
        let trouble = if waits {
            Some((Reason::Paused, "paused: the change of models[] waits until spec.paused is false".to_owned()))
        } else {
            followers.trouble(&seen.models)
        };
        // What keeps replicas from serving at all says more, and of no replica is the list's own trouble.
        if serves && seen.failure.is_none() {
            let failure = |(reason, message)| Failure { reason, message, pod: None, exit_code: None, at: Time(now) };
            seen.failure = trouble.map(failure);
        }
    }

    /// The pods whose servers are to be sent after their models, once: those that say they serve others, and those that say nothing.
    /// Nobody is sent before our own watch has told of the ConfigMap: the kubelet has it from one like that.
    pub(super) fn untold(&self, heard: &Heard) -> Vec<String> {
        if self.resolved.paused || self.stored.as_ref() != Some(&self.wanted) {
            return Vec::new();
        }
        let asked: Vec<String> = self.servers().into_iter().map(|server| server.pod).collect();
        let is_behind = |name: &String| match heard.said.get(name) {
            Some(Some(said)) => said.config.as_ref().is_some_and(|config| config.sha256 != self.wanted),
            Some(None) => asked.contains(name) && !heard.silent.contains(name),
            None => !asked.contains(name) && asked.len() >= ASKED,
        };
        let rung = |pod: &Pod| pod.annotations().get(CONFIG_ANNOTATION).is_some_and(|mark_of| mark_of == mark(&self.wanted));
        self.pods.iter().filter(|pod| !rung(pod)).map(|pod| pod.name_any()).filter(|name| is_behind(name)).collect()
    }

    /// When they are worth asking again, if nobody changes anything.
    pub(super) fn again(&self, heard: &Heard) -> Option<Duration> {
        let each = self.servers().into_iter().filter_map(|server| {
            if heard.silent.contains(&server.pod) {
                return Some(SOON);
            }
            match attention(heard.said.get(&server.pod)?.as_ref()?, self.given()) {
                Attention::Enough => None,
                Attention::Later => Some(LATER),
                Attention::Soon => Some(SOON),
            }
        });
        each.min()
    }
}

#[cfg(test)]
mod tests;
