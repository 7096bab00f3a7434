//! What may be served as it is written, but is likely to hurt on a cluster: for whoever is about to apply it.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::api::{Artefact, ModelDeployment, ModelDeploymentSpec, ServiceType};
use crate::plan::Capacity;

#[cfg(test)]
mod tests;

/// One risk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Path of the field that takes it or would take it away, such as `spec.models[1].sha256`.
    pub field: String,
    /// What may happen, and what to write.
    pub message: String,
}

/// Collects what is found.
#[derive(Default)]
struct Found(Vec<Warning>);

impl Found {
    fn warn(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Warning { field: field.into(), message: message.into() });
    }
}

/// The risks of an object; `written` is the same without defaults, since a number that somebody wrote was thought about.
///
/// An object whose models are all on this machine (`file:`, without an image that has them) is for local mode, where none of this
/// counts: it has none.
#[must_use]
pub fn warnings(object: &ModelDeployment, written: &Value) -> Vec<Warning> {
    let spec = &object.spec;
    let mut found = Found::default();
    if is_local(spec) {
        return found.0;
    }
    stores(spec, &mut found);
    resources(spec, &written["spec"], &mut found);
    availability(spec, &mut found);
    exposure(spec, &mut found);
    found.0
}

/// Whether nothing of it can be found by the pods of a cluster, as far as the spec tells: `file:` starts in the server's container.
#[must_use]
pub fn is_local(spec: &ModelDeploymentSpec) -> bool {
    spec.server_image.is_none() && artefacts(spec).iter().all(|(_, artefact)| artefact.uri.starts_with("file:"))
}

/// The artefacts, each with the path of its object.
fn artefacts(spec: &ModelDeploymentSpec) -> Vec<(String, &Artefact)> {
    let one = spec.model.iter().map(|model| ("spec.model".to_owned(), &model.artefact));
    let several = spec.models.iter().enumerate().map(|(at, model)| (format!("spec.models[{at}]"), &model.artefact));
    one.chain(several).collect()
}

fn stores(spec: &ModelDeploymentSpec, found: &mut Found) {
    /// Parameters of addresses that are signed for some time.
    const SIGNED: [&str; 5] = ["x-amz-signature=", "x-goog-signature=", "signature=", "sig=", "x-oss-signature="];
    for (path, artefact) in artefacts(spec) {
        let uri = &artefact.uri;
        // Not all are of this machine, else nothing is looked at: the object is for a cluster.
        if uri.starts_with("file:") && spec.server_image.is_none() {
            let words = "on a cluster this is a path in the server's container, where no model is: use an http(s) address as for \
                         the others, or a serverImage that has it";
            found.warn(format!("{path}.uri"), words);
        }
        let clear = uri.starts_with("http:");
        if clear && artefact.sha256.is_none() {
            let words = "without it, whoever is on the way of plain http can put another model in its place: write the artefact's \
                         sum (sha256sum FILE), or use https";
            found.warn(format!("{path}.sha256"), words);
        }
        if clear && artefact.secret_ref.is_some() {
            found.warn(format!("{path}.secretRef"), "plain http shows these credentials to whoever is on the way: use https");
        }
        let address = uri.split_once("://").map_or("", |(_, rest)| rest);
        let (host, query) =
            (address.split(['/', '?']).next().unwrap_or_default(), address.split_once('?').map(|(_, query)| query));
        if host.contains('@') {
            let words = "credentials in an address are read by all who may read this object: move them to a Secret, and name it in \
                         secretRef";
            found.warn(format!("{path}.uri"), words);
        }
        let signed = query
            .map(str::to_ascii_lowercase)
            .is_some_and(|query| query.split('&').any(|one| SIGNED.iter().any(|sign| one.starts_with(sign))));
        if signed {
            let words = "a signed address ends, and a replica that starts after that finds no model: use secretRef, or a cache on \
                         a claim";
            found.warn(format!("{path}.uri"), words);
        }
    }
}

fn resources(spec: &ModelDeploymentSpec, written: &Value, found: &mut Found) {
    if written["resources"]["requests"].is_null() {
        let words = "nothing is written, so each replica is promised 100m CPU and 128Mi: write what the server uses, or nodes are \
                     filled beyond what they have and autoscalers count wrongly";
        found.warn("spec.resources.requests", words);
    }
    if spec.resources.limits.as_ref().is_none_or(|limits| limits.memory.is_none()) {
        found
            .warn("spec.resources.limits.memory", "without it, one replica can use up its node's memory and have others evicted");
    }
    let bounded = spec.cache.empty_dir.as_ref().is_some_and(|dir| dir.size_limit.is_some());
    if spec.cache.persistent_volume_claim.is_none() && !bounded {
        let words = "without it, the cache can fill the node's disk: write what the artefacts need, twice that for archives";
        found.warn("spec.cache.emptyDir.sizeLimit", words);
    }
    if let Some(image) = spec.server_image.as_deref().filter(|image| is_moving(image)) {
        let words =
            format!("{image} is not the same image for ever: replicas of one revision may differ; write a version or a digest");
        found.warn("spec.serverImage", words);
    }
}

/// Whether an image's name may mean another image tomorrow: no digest, and no tag or `latest`.
fn is_moving(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn availability(spec: &ModelDeploymentSpec, found: &mut Found) {
    let replicas = i64::from(spec.replicas);
    let kept = spec.availability.min_available.as_ref().map(|least| least_of(least, replicas));
    if replicas > 0 && kept.is_some_and(|kept| kept >= replicas) {
        let words = match replicas {
            1 => "the only replica may never be sent away: no node that runs it can be drained, and node upgrades hang; remove it, \
                  or run 2 replicas"
                .to_owned(),
            _ => format!("none of {replicas} replicas may ever be sent away: no node that runs one can be drained; keep fewer"),
        };
        found.warn("spec.availability.minAvailable", words);
    }
    if spec.replicas == 1 && spec.rollout.capacity == Capacity::Replace {
        let words = "with one replica the old one goes before the new one answers: every change is an outage, and a model that \
                     fails leaves nothing that serves; use Auto, or run 2 replicas";
        found.warn("spec.rollout.capacity", words);
    }
    if spec.rollout.revision_history_limit == 0 {
        let words = "no revision is kept: modelyard rollback has nothing to go back to";
        found.warn("spec.rollout.revisionHistoryLimit", words);
    }
    if std::time::Duration::from(spec.serving.drain_delay).is_zero() {
        let words = "a replica stops before clients have heard of it: requests fail in every rollout and scale-down; 5s suits most \
                     clusters";
        found.warn("spec.serving.drainDelay", words);
    }
}

/// The number that stays; a percentage is rounded up, as the eviction API does it.
fn least_of(least: &IntOrString, replicas: i64) -> i64 {
    match least {
        IntOrString::Int(number) => i64::from(*number),
        IntOrString::String(text) => match text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()) {
            Some(percent) => (replicas * percent + 99) / 100,
            None => text.parse().unwrap_or(0),
        },
    }
}

fn exposure(spec: &ModelDeploymentSpec, found: &mut Found) {
    /// What names of secret values contain.
    const SECRET: [&str; 5] = ["TOKEN", "PASSWORD", "SECRET", "API_KEY", "AUTHORIZATION"];
    if spec.service.kind != ServiceType::ClusterIP && spec.network_policy.is_none() {
        let words = format!(
            "{} lets callers in from outside, and the server asks nobody who they are: write networkPolicy, or put a gateway \
             that authenticates in front",
            spec.service.kind.as_str()
        );
        found.warn("spec.service.type", words);
    }
    if spec.network_policy.as_ref().is_some_and(|policy| policy.from.is_empty()) {
        found.warn("spec.networkPolicy.from", "the list is empty: nobody may call the models");
    }
    for (at, variable) in spec.pod.env.iter().enumerate() {
        let name = variable.name.to_ascii_uppercase();
        let plain = variable.value.as_deref().is_some_and(|value| !value.is_empty());
        if plain && SECRET.iter().any(|word| name.contains(word)) {
            let words = format!(
                "the value of {} is read by all who may read this object: move it to a Secret (valueFrom.secretKeyRef)",
                variable.name
            );
            found.warn(format!("spec.pod.env[{at}].value"), words);
        }
    }
}
