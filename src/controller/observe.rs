//! Reads the stores: the revisions of one deployment, and what is seen of each.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use modelyard_core::diagnose::{self, Loading, is_replica};
use modelyard_core::plan::Observed;
use modelyard_core::render::{DEPLOYMENT_LABEL, is_owned_by};

use super::probe;
use super::world::World;

/// Servers that are asked how far they are, at most, per deployment.
const ASKED: usize = 8;

/// What there is of one deployment.
pub(super) struct Seen {
    /// Its Deployments, one per revision.
    pub(super) workloads: Vec<Arc<Deployment>>,
    /// What is seen of each revision.
    pub(super) observed: Observed,
}

/// What the stores hold of the ModelDeployment `name`.
pub(super) async fn observe(world: &World, (namespace, name, uid): (&str, &str, &str), now: Timestamp) -> Seen {
    let workloads: Vec<_> = world
        .workloads
        .state_filter(|one| is_of(&one.metadata, namespace, name) && is_owned_by(&one.metadata, uid))
        .into_iter()
        .collect();
    // One that only has the labels is somebody else's.
    let is_ours = |pod: &Pod| is_of(&pod.metadata, namespace, name) && workloads.iter().any(|one| is_replica(pod, one));
    let pods: Vec<_> = world.pods.state_filter(is_ours).into_iter().collect();
    let loading = ask(&pods).await;
    let revisions = workloads.iter().map(|workload| {
        let own: Vec<&Pod> = pods.iter().map(Arc::as_ref).filter(|pod| is_replica(pod, workload)).collect();
        diagnose::revision(workload, &own, |pod| loading.get(pod).cloned(), now)
    });
    let observed = Observed { revisions: revisions.collect() };
    Seen { workloads, observed }
}

fn is_of(metadata: &ObjectMeta, namespace: &str, name: &str) -> bool {
    metadata.namespace.as_deref() == Some(namespace) && label(metadata, DEPLOYMENT_LABEL) == Some(name)
}

fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// What the servers that run and are not ready say of themselves, by the name of the pod.
async fn ask(pods: &[Arc<Pod>]) -> HashMap<String, Loading> {
    let starting = pods.iter().filter_map(|pod| {
        let status = pod.status.as_ref()?;
        let runs = status.phase.as_deref() == Some("Running");
        let ready = status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
        (runs && !ready).then_some((pod.metadata.name.clone()?, status.pod_ip.clone()?))
    });
    let asked = starting.take(ASKED).map(|(name, address)| async move { Some((name, probe::loading(&address).await?)) });
    join_all(asked).await.into_iter().flatten().collect()
}
