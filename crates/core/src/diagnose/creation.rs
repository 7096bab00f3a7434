//! What a Deployment says of pods that it cannot make.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Failure, Reason};

/// Why pods are missing, if the Deployment says so.
pub(super) fn failure(deployment: &Deployment, missing: bool, now: Timestamp) -> Option<Failure> {
    let failed = condition(deployment, "ReplicaFailure").filter(|one| missing && one.status == "True");
    let stuck = condition(deployment, "Progressing")
        .filter(|one| one.status == "False" && one.reason.as_deref() == Some("ProgressDeadlineExceeded"));
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let (reason, message, at) = if let Some(failed) = failed {
        let said = failed.message.as_deref().unwrap_or("no message");
        let reason = refusal(said);
        (reason, format!("Deployment {name} cannot make a pod: {said}; {}", advice(reason)), &failed.last_transition_time)
    } else {
        let stuck = stuck?;
        let seconds = deployment.spec.as_ref().and_then(|spec| spec.progress_deadline_seconds).unwrap_or_default();
        let message = format!("Deployment {name} made no progress within rollout.progressDeadline ({seconds}s)");
        (Reason::ProgressDeadlineExceeded, message, &stuck.last_transition_time)
    };
    Some(Failure { reason, message, pod: None, exit_code: None, at: at.clone().unwrap_or(Time(now)) })
}

/// Whether all its replicas have been there once. The Deployment controller keeps this reason when they go again.
pub(super) fn completed(deployment: &Deployment) -> bool {
    condition(deployment, "Progressing").is_some_and(|one| one.reason.as_deref() == Some("NewReplicaSetAvailable"))
}

fn condition<'a>(deployment: &'a Deployment, kind: &str) -> Option<&'a DeploymentCondition> {
    deployment.status.as_ref()?.conditions.iter().flatten().find(|one| one.type_ == kind)
}

/// Who refused an object, by the API server's words.
#[must_use]
pub fn refusal(said: &str) -> Reason {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["error looking up service account", "no PriorityClass with name", "RuntimeClass"]) {
        Reason::InvalidSpec
    } else if has(&["exceeded quota", "must specify limits", "must specify requests", "failed quota"]) {
        Reason::QuotaExceeded
    } else if has(&[
        "violates PodSecurity",
        "admission webhook",
        "denied request",
        "denied the request",
        "ValidatingAdmissionPolicy",
    ]) {
        Reason::AdmissionDenied
    } else {
        Reason::Forbidden
    }
}

/// What to do about a refusal.
pub(super) const fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::InvalidSpec => "create it, or mend its name in spec.pod",
        Reason::QuotaExceeded => "raise the quota, lower replicas or resources, or free what others hold",
        Reason::AdmissionDenied => "change the spec to what the policy allows, or the policy",
        _ => "see what the namespace allows",
    }
}
