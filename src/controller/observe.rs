//! Reads the stores: the revisions of one deployment, and what is seen of each.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::ObjectRef;
use modelyard_core::api::ModelDeploymentStatus;
use modelyard_core::diagnose::{self, Started, is_replica};
use modelyard_core::plan::Observed;
use modelyard_core::render::is_owned_by;

use super::kept::Kept;
use super::probes::{Probes, Server};
use super::shelf::owner_key;
use super::world::World;

/// Servers that are asked how far they are, at most, per deployment.
const ASKED: usize = 8;

/// What there is of one deployment.
pub(super) struct Seen {
    /// Its Deployments, one per revision.
    pub(super) workloads: Vec<Arc<Deployment>>,
    /// What is seen of each revision.
    pub(super) observed: Observed,
    /// Whether servers are still to say how they are. They wake the object when they do.
    pub(super) waiting: bool,
    /// Whether the newest server has not said how it started, and is to be asked again.
    pub(super) unheard: bool,
}

/// What the stores hold of the ModelDeployment, of which `previous` was told last.
pub(super) fn observe(
    (world, probes): (&World, &Probes),
    (owner, uid): (&ObjectRef<Kept>, &str),
    previous: Option<&ModelDeploymentStatus>,
    now: Timestamp,
) -> Seen {
    let key = owner_key(owner);
    let workloads: Vec<_> =
        world.workloads.of(&key).into_iter().filter(|one| is_owned_by(&one.metadata, uid)).map(Arc::new).collect();
    // One that only has the labels is somebody else's.
    let mut pods = world.pods.of(&key);
    pods.retain(|pod| workloads.iter().any(|one| is_replica(pod, one)));
    let started = diagnose::newest_start(&pods, previous);
    let servers = starting(&pods).take(ASKED).chain(started.as_ref().and_then(|started| server(started.pod, true)));
    let heard = probes.hear(owner, servers.collect());
    let name_of = |started: &Started<'_>| started.pod.metadata.name.clone();
    let unheard = started.as_ref().and_then(name_of).is_some_and(|name| heard.silent.contains(&name));
    let revisions = workloads.iter().map(|workload| {
        let own: Vec<&Pod> = pods.iter().filter(|pod| is_replica(pod, workload)).collect();
        let mut seen = diagnose::revision(workload, &own, |pod| heard.said.get(pod).cloned().flatten(), now);
        // What it says is told once, so not before it has said it.
        if let Some(started @ Started { pod, .. }) = started
            && !unheard
            && is_replica(pod, workload)
        {
            let said = pod.metadata.name.as_ref().and_then(|name| heard.said.get(name)).and_then(Option::as_ref);
            (seen.cold_start, seen.digest) = (Some(diagnose::cold_start(started, said)), said.and_then(diagnose::digest));
        }
        seen
    });
    let observed = Observed { revisions: revisions.collect() };
    Seen { workloads, observed, waiting: heard.waiting, unheard }
}

/// The servers that run and are not ready.
fn starting(pods: &[Pod]) -> impl Iterator<Item = Server> {
    pods.iter().filter_map(|pod| {
        let status = pod.status.as_ref()?;
        let runs = status.phase.as_deref() == Some("Running") && pod.metadata.deletion_timestamp.is_none();
        let ready = status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
        (runs && !ready).then(|| server(pod, false)).flatten()
    })
}

fn server(pod: &Pod, ready: bool) -> Option<Server> {
    Some(Server { pod: pod.metadata.name.clone()?, address: pod.status.as_ref()?.pod_ip.clone()?, ready })
}
