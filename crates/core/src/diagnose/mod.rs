//! What a cluster's objects say of a revision: how many replicas serve, what the others do, and why the worst of them does not.
//! Every pod is read, not the first.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Class, Failure, Reason};
use crate::plan::RevisionObserved;
use crate::render::{REVISION_LABEL, VERSION_ANNOTATION};

mod creation;
mod followed;
mod pod;
mod start;

pub use creation::refusal;
pub use followed::{Attention, Followers, attention};
pub use pod::{Followed, Loaded, Loading, PodState, Refused, Seconds, pod_state};
pub use start::{Started, cold_start, digest, newest_start};

/// What is seen of a revision, by its Deployment and its pods. `loading` is what servers that are not ready say of themselves, by
/// the name of the pod.
#[must_use]
pub fn revision(
    deployment: &Deployment,
    pods: &[&Pod],
    loading: impl Fn(&str) -> Option<Loading>,
    now: Timestamp,
) -> RevisionObserved {
    let metadata = &deployment.metadata;
    let name = metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_LABEL)).cloned().unwrap_or_default();
    let created = metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let mut seen = RevisionObserved::new(name, created);
    seen.version = metadata.annotations.as_ref().and_then(|notes| notes.get(VERSION_ANNOTATION)?.parse().ok());
    seen.wanted = deployment.spec.as_ref().and_then(|spec| u32::try_from(spec.replicas?).ok()).unwrap_or(0);
    let (mut failures, mut progress) = (Vec::new(), Vec::new());
    let states = pods.iter().map(|pod| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        (pod.metadata.creation_timestamp.as_ref().map(|time| time.0), pod_state(pod, loading(name).as_ref(), now))
    });
    let states: Vec<_> = states.collect();
    let newest_ready = states.iter().filter(|(_, state)| *state == PodState::Ready).filter_map(|(created, _)| *created).max();
    for (created, state) in states {
        seen.running += u32::from(!matches!(state, PodState::Leaving | PodState::Gone(_)));
        match state {
            PodState::Ready => seen.ready += 1,
            PodState::Leaving => {}
            PodState::UnderWay(reason, message) => progress.push((reason, message)),
            PodState::Unschedulable(since, failure) => {
                seen.unschedulable_since = Some(seen.unschedulable_since.map_or(since, |earlier| earlier.min(since)));
                failures.push(failure);
            }
            // What took its place serves: it lies there until somebody tidies up.
            PodState::Gone(_) if created.is_some() && created < newest_ready => {}
            PodState::Failed(failure) | PodState::Gone(failure) => failures.push(failure),
        }
    }
    failures.extend(creation::failure(deployment, seen.wanted > seen.running, now));
    seen.served = seen.ready > 0 || creation::completed(deployment);
    // Replicas that serve are enough, or nobody waits for more.
    seen.progress = progress.into_iter().max_by_key(|(reason, _)| *reason);
    if seen.ready < seen.wanted.max(1) {
        seen.failure = worst(failures, pods.len()).map(|failure| with_progress(failure, seen.progress.as_ref()));
    }
    seen
}

/// The failure that matters most, with how many share its reason: what a user has to mend before what the world has to.
fn worst(failures: Vec<Failure>, pods: usize) -> Option<Failure> {
    let rank = |failure: &Failure| match failure.reason.class() {
        Class::User => 3,
        // The deadline says that it takes long, anything else says why.
        Class::World if failure.reason != Reason::ProgressDeadlineExceeded => 2,
        Class::World => 1,
        Class::UnderWay | Class::Well => 0,
    };
    let sharing = |reason| failures.iter().filter(|one| one.reason == reason && one.pod.is_some()).count();
    let mut worst = failures.iter().max_by_key(|one| (rank(one), one.at.0))?.clone();
    let count = sharing(worst.reason);
    if count > 1 {
        worst.message = format!("{count} of {pods} replicas: {}", worst.message);
    }
    Some(worst)
}

/// Whether a pod is a replica of the Deployment: whether a ReplicaSet of the Deployment controls it. Such a one is named by the Deployment and the
/// hash that its pods carry.
#[must_use]
pub fn is_replica(pod: &Pod, deployment: &Deployment) -> bool {
    let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get("pod-template-hash"));
    let (Some(hash), Some(name)) = (hash, &deployment.metadata.name) else { return false };
    let set = format!("{name}-{hash}");
    let owners = pod.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.controller == Some(true) && owner.kind == "ReplicaSet" && owner.name == set)
}

/// That it takes long is half of it: what it does all the time is the other.
fn with_progress(mut failure: Failure, progress: Option<&(Reason, String)>) -> Failure {
    if failure.reason == Reason::ProgressDeadlineExceeded {
        let doing = progress.map_or("its pods do nothing that can be seen", |(_, message)| message.as_str());
        failure.message = format!("{}: {doing}; raise the deadline if that is how long it takes", failure.message);
    }
    failure
}

/// A failure of one pod.
fn of_pod(pod: &Pod, reason: Reason, message: String, at: Timestamp) -> Failure {
    Failure { reason, message, pod: pod.metadata.name.clone(), exit_code: None, at: Time(at) }
}

#[cfg(test)]
mod tests;
