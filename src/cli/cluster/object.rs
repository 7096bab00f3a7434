//! What the status of a ModelDeployment says, with what it does not say: whether it is about the spec as it is now.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::ListParams;
use modelyard_core::api::{ModelDeployment, Reason};
use modelyard_core::release::as_it_runs;
use modelyard_core::render::{DEPLOYMENT_LABEL, REVISION_LABEL};
use modelyard_core::resolve::{Invalid, Resolved, resolve};
use modelyard_core::unresolve::{follows, unresolve};

use super::{Cluster, ClusterError};

/// The reason of a condition that the operator has not told; none of its own.
const UNTOLD: &str = "Unknown";

/// How one condition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// Whether it holds, for the spec as it is now.
    pub(crate) holds: bool,
    /// Why, where the operator has told.
    pub(crate) reason: Option<Reason>,
    /// The reason as it is written, for one that this program does not know.
    pub(crate) name: String,
    /// The message.
    pub(crate) message: String,
}

impl Readiness {
    /// How a condition of this type stands.
    pub(crate) fn of(object: &ModelDeployment, kind: &str) -> Self {
        let untold = |message: &str| Self { holds: false, reason: None, name: UNTOLD.to_owned(), message: message.to_owned() };
        let Some(condition) = condition(object, kind) else {
            return untold("no operator has looked at it yet; modelyard doctor tells whether one runs");
        };
        if condition.observed_generation.or_else(|| object.status.as_ref()?.observed_generation) < object.metadata.generation {
            return untold("the operator has not seen the newest spec yet");
        }
        Self {
            holds: condition.status == "True",
            reason: reason_of(&condition.reason),
            name: condition.reason.clone(),
            message: condition.message.clone(),
        }
    }

    /// Whether the operator has not told.
    pub(crate) fn is_untold(&self) -> bool {
        self.name == UNTOLD
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> &'static str {
        match self.reason {
            Some(reason) => reason.advice(),
            None if self.is_untold() => "Wait a moment; modelyard doctor tells whether an operator runs.",
            None => "This reason is newer than this program: update modelyard.",
        }
    }
}

/// A condition of the status.
pub(crate) fn condition<'a>(object: &'a ModelDeployment, kind: &str) -> Option<&'a Condition> {
    object.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == kind)
}

/// The reason of this name.
pub(crate) fn reason_of(name: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == name)
}

/// The Deployments of a ModelDeployment, one for each revision, the newest first.
pub(crate) async fn workloads_of(cluster: &Cluster, name: &str) -> Result<Vec<Deployment>, ClusterError> {
    let ours = ListParams::default().labels(&format!("{DEPLOYMENT_LABEL}={name}"));
    let listed = cluster.api::<Deployment>().list(&ours).await;
    let mut found = listed.map_err(|error| cluster.failed("list Deployments", error))?.items;
    found.sort_by(|left, right| right.metadata.creation_timestamp.cmp(&left.metadata.creation_timestamp));
    Ok(found)
}

/// The revision that a Deployment is labelled with.
pub(crate) fn label(workload: &Deployment) -> &str {
    workload.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_LABEL)).map_or("", String::as_str)
}

/// What is to be made of an object, of which these are the Deployments.
pub(crate) fn resolve_beside(object: &ModelDeployment, workloads: &[Deployment]) -> Result<Resolved, Invalid> {
    let replicas = |one: &Deployment| one.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let wanted = |revision: &str| workloads.iter().find(|one| label(one) == revision).map(replicas);
    Ok(as_it_runs(resolve(object)?, |revision| u32::try_from(wanted(revision)?).ok()))
}

/// The revision that a Deployment's settings make as this program names revisions. An operator of another release may have named
/// it otherwise, so its label is not asked, unless its servers follow their models: then it has never had another name. None where the
/// settings cannot be read.
pub(crate) fn revision_of(object: &ModelDeployment, workload: &Deployment) -> Option<String> {
    let name = object.metadata.name.as_deref()?;
    if follows(workload) {
        return Some(label(workload).to_owned());
    }
    let mut made = object.clone();
    unresolve(name, workload, None).ok()?.give(&mut made.spec);
    resolve(&made).ok().map(|resolved| resolved.inline.map_or(resolved.revision, |inline| inline.revision))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(status: Value) -> ModelDeployment {
        serde_json::from_value(json!({
            "apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": "m", "generation": 2}, "spec": {"model": {"uri": "file:m"}}, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_status_of_an_older_spec_says_nothing_of_this_one() {
        let condition = |generation: i64| {
            json!({"type": "Ready", "status": "True", "reason": "Serving", "message": "1 replica answers",
                "lastTransitionTime": "2026-05-01T12:00:00Z", "observedGeneration": generation})
        };
        for (status, holds, reason) in [
            (json!({}), false, None),
            (json!({"conditions": [condition(1)]}), false, None),
            (json!({"conditions": [condition(2)]}), true, Some(Reason::Serving)),
        ] {
            let ready = Readiness::of(&object(status.clone()), "Ready");
            assert_eq!((ready.holds, ready.reason), (holds, reason), "{status}");
            assert!(!ready.advice().is_empty());
        }
    }
}
