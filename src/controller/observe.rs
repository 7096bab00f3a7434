//! Reads the stores: the revisions of one deployment, and what is seen of each.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use modelyard_core::api::ModelDeploymentStatus;
use modelyard_core::diagnose::{self, Started, is_replica};
use modelyard_core::pins::Pins;
use modelyard_core::plan::Observed;
use modelyard_core::render::{REVISION_LABEL, is_owned_by, pins_name};
use modelyard_core::resolve::Resolved;
use modelyard_core::unresolve::follows;

use super::following::Following;
use super::kept::Kept;
use super::pinning::Pinning;
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
    /// Pods whose servers have not been sent after the models that they are to serve.
    pub(super) untold: Vec<String>,
    /// Whether servers are still to say how they are. They wake the object when they do.
    pub(super) waiting: bool,
    /// Whether the newest server has not said how it started, and is to be asked again.
    pub(super) unheard: bool,
    /// When servers that follow their models are to be asked again.
    pub(super) again: Option<Duration>,
    /// Pods whose servers serve something else than they are held to, and the SHA-256 of that, which they are to be sent after.
    pub(super) strays: (Vec<String>, String),
    /// What the names of the spec's own models led to, as it is to be noted.
    pub(super) pins: Pins,
}

/// The Deployments of one ModelDeployment. One that only has the labels is somebody else's.
pub(super) fn workloads(world: &World, owner: &ObjectRef<Kept>, uid: &str) -> Vec<Arc<Deployment>> {
    world.workloads.of(&owner_key(owner)).into_iter().filter(|one| is_owned_by(&one.metadata, uid)).map(Arc::new).collect()
}

/// The revision of a Deployment.
pub(super) fn revision(workload: &Deployment) -> Option<&str> {
    workload.metadata.labels.as_ref()?.get(REVISION_LABEL).map(String::as_str)
}

/// Whom to look at.
pub(super) struct Look<'a> {
    pub(super) world: &'a World,
    pub(super) probes: &'a Probes,
    pub(super) owner: &'a ObjectRef<Kept>,
    /// What is wanted, where the spec says that.
    pub(super) resolved: Option<&'a Resolved>,
    /// What was told last.
    pub(super) previous: Option<&'a ModelDeploymentStatus>,
    pub(super) now: Timestamp,
}

impl Look<'_> {
    /// What the stores hold of the ModelDeployment that has these Deployments, and what its servers say.
    pub(super) fn observe(&self, workloads: Vec<Arc<Deployment>>) -> Seen {
        let key = owner_key(self.owner);
        let mut pods = self.world.pods.of(&key);
        pods.retain(|pod| workloads.iter().any(|one| is_replica(pod, one)));
        let following = self.resolved.and_then(|resolved| {
            let workload = workloads.iter().find(|one| revision(one) == Some(&resolved.revision))?;
            let pods = pods.iter().filter(|pod| is_replica(pod, workload));
            Following::of(resolved, self.world.configurations.get(&key, &workload.name_any()).as_ref(), pods.collect())
        });
        let mut pinning = self.resolved.and_then(|resolved| {
            let workload = workloads.iter().find(|one| revision(one) == Some(&resolved.revision))?;
            let noted = self.world.configurations.get(&key, &pins_name(&resolved.name, &resolved.revision));
            Pinning::of(resolved, workload, noted.as_ref(), pods.iter().filter(|pod| is_replica(pod, workload)).collect())
        });
        let started = diagnose::newest_start(&pods, self.previous);
        let servers = following.iter().flat_map(Following::servers).chain(starting(&pods).take(ASKED));
        let servers = servers.chain(pinning.iter().flat_map(Pinning::servers));
        let servers = servers.chain(started.as_ref().and_then(|started| server(started.pod)));
        let mut asked = HashSet::new();
        let servers: Vec<Server> = servers.filter(|server| asked.insert(server.pod.clone())).collect();
        let heard = self.probes.hear(self.owner, servers);
        if let Some(pinning) = &mut pinning {
            pinning.learn(&heard);
        }
        let name_of = |started: &Started<'_>| started.pod.metadata.name.clone();
        let unheard = started.as_ref().and_then(name_of).is_some_and(|name| heard.silent.contains(&name));
        let revisions = workloads.iter().map(|workload| {
            let own: Vec<&Pod> = pods.iter().filter(|pod| is_replica(pod, workload)).collect();
            let mut seen = diagnose::revision(workload, &own, |pod| heard.said.get(pod).cloned().flatten(), self.now);
            // What it says is told once, so not before it has said it.
            if let Some(started @ Started { pod, .. }) = started
                && !unheard
                && is_replica(pod, workload)
            {
                let said = pod.metadata.name.as_ref().and_then(|name| heard.said.get(name)).and_then(Option::as_ref);
                seen.cold_start = Some(diagnose::cold_start(started, said));
                // What is served by servers that follow their models is not the revision's.
                seen.digest = said.filter(|_| !follows(workload)).and_then(diagnose::digest);
            }
            if let Some(following) = following.as_ref().filter(|one| one.is_of(&seen.revision)) {
                following.tell(&heard, &mut seen, self.now);
            }
            if let Some(pinning) = pinning.as_ref().filter(|one| one.is_of(&seen.revision)) {
                pinning.tell(&mut seen);
            }
            seen
        });
        let observed = Observed { revisions: revisions.collect() };
        let waiting = heard.waiting || following.as_ref().is_some_and(|following| following.waits(&heard));
        let unpinned = pinning.as_ref().and_then(|pinning| pinning.again(&heard));
        let (untold, again) = following.map(|following| (following.untold(&heard), following.again(&heard))).unwrap_or_default();
        let again = [again, unpinned].into_iter().flatten().min();
        let strays = pinning.as_ref().map(|pinning| pinning.strays(&heard)).unwrap_or_default();
        let pins = pinning.map(Pinning::into_pins).unwrap_or_default();
        Seen { workloads, observed, untold, waiting, unheard, again, strays, pins }
    }
}

/// The servers that run and are not ready.
fn starting(pods: &[Pod]) -> impl Iterator<Item = Server> {
    pods.iter().filter(|pod| runs(pod)).filter_map(server).filter(|server| server.ready.is_none())
}

/// Whether a pod runs, and is to go on.
pub(super) fn runs(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

/// The server of a pod.
pub(super) fn server(pod: &Pod) -> Option<Server> {
    let status = pod.status.as_ref()?;
    let ready = status.conditions.iter().flatten().find(|one| one.type_ == "Ready" && one.status == "True");
    let ready = ready.map(|one| one.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0));
    Some(Server { pod: pod.metadata.name.clone()?, address: status.pod_ip.clone()?, ready, follows: None })
}
