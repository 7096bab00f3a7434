//! How long a replica took to become ready, and on what. Kubernetes' own times are whole seconds.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Loading;
use super::pod::condition;
use crate::api::{ColdStart, ModelDeploymentStatus};

/// Longer than that no replica starts: a server that says so is not believed.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// A replica that became ready.
#[derive(Clone, Copy, Debug)]
pub struct Started<'a> {
    /// Its pod.
    pub pod: &'a Pod,
    /// When it did.
    pub at: Timestamp,
}

/// The replica that became ready last, unless `previous` tells of it, or of a later one.
#[must_use]
pub fn newest_start<'a>(pods: &'a [Pod], previous: Option<&ModelDeploymentStatus>) -> Option<Started<'a>> {
    let ready = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).filter_map(|pod| {
        let at = condition(pod, "Ready").filter(|one| one.status == "True")?.last_transition_time.as_ref()?.0;
        Some(Started { pod, at })
    });
    let newest = ready.max_by_key(|started| (started.at, &started.pod.metadata.name))?;
    let told = previous.and_then(|status| status.cold_start.as_ref()).is_some_and(|told| {
        // One that was not ready for a while has not started again.
        told.at.0 >= newest.at || Some(&told.pod) == newest.pod.metadata.name.as_ref()
    });
    (!told).then_some(newest)
}

/// What its start took. `said` is what the server says of itself, where it could be asked.
#[must_use]
pub fn cold_start(Started { pod, at }: Started<'_>, said: Option<&Loading>) -> ColdStart {
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let scheduled = condition(pod, "PodScheduled").and_then(|one| Some(one.last_transition_time.as_ref()?.0));
    let container = pod.status.as_ref().and_then(|status| status.container_statuses.iter().flatten().next());
    // After a restart it says when it began the last time.
    let running =
        container.filter(|one| one.restart_count == 0).and_then(|one| one.state.as_ref()?.running.as_ref()?.started_at.as_ref());
    let between = |from: Option<Timestamp>, to: Option<Timestamp>| {
        let took = Duration::try_from(to?.duration_since(from?)).unwrap_or_default();
        Some(took.into())
    };
    let slowest = said.into_iter().flat_map(|said| &said.models).filter_map(|model| model.seconds.as_ref());
    let slowest = slowest.max_by(|one, other| one.sum().total_cmp(&other.sum()));
    let phase = |seconds: f64| {
        let took = Duration::try_from_secs_f64(seconds).ok().filter(|took| *took < LONGEST)?;
        Some(Duration::from_millis(took.as_millis().try_into().ok()?).into())
    };
    ColdStart {
        pod: pod.metadata.name.clone().unwrap_or_default(),
        at: Time(at),
        total: between(created, Some(at)),
        scheduling: between(created, scheduled),
        pulling: between(scheduled, running.map(|time| time.0)),
        downloading: slowest.and_then(|seconds| phase(seconds.downloading)),
        loading: slowest.and_then(|seconds| phase(seconds.loading)),
        warming: slowest.and_then(|seconds| phase(seconds.warming)),
    }
}

/// The SHA-256 of what a server serves, if that is one model.
#[must_use]
pub fn digest(said: &Loading) -> Option<String> {
    let [model] = said.models.as_slice() else { return None };
    model.digest.clone().filter(|digest| digest.len() == 64 && digest.bytes().all(|one| one.is_ascii_hexdigit()))
}
