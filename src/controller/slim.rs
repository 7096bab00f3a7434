//! What is kept of an object: all that is compared with what should be, and of its status what is read. What is left out changes
//! often, and would make reconciles that find nothing.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use modelyard_core::digest::sha256;
use modelyard_core::pins::RESTARTED_AT;
use modelyard_core::render::{CONFIG_ANNOTATION, DEPLOYMENT_LABEL, PINS_ANNOTATION, PINS_FILE, REVISION_LABEL};

/// Its status tells of pods that cannot be made, and whether all were there once; and by its generation, of which spec.
pub(super) fn workload(object: &mut Deployment) {
    let status = object.status.take().unwrap_or_default();
    let (observed_generation, conditions) = (status.observed_generation, status.conditions.unwrap_or_default());
    let mut conditions: Vec<_> =
        conditions.into_iter().filter(|one| matches!(one.type_.as_str(), "Progressing" | "ReplicaFailure")).collect();
    for condition in &mut conditions {
        condition.last_update_time = None;
        if condition.type_ == "Progressing" {
            condition.message = None;
        }
    }
    object.status = Some(DeploymentStatus { observed_generation, conditions: Some(conditions), ..DeploymentStatus::default() });
}

/// Of a pod the status is read, and none of its spec.
pub(super) fn pod(object: &mut Pod) {
    object.spec = None;
    object.metadata.generation = None;
    if let Some(annotations) = &mut object.metadata.annotations {
        annotations.retain(|name, _| [CONFIG_ANNOTATION, PINS_ANNOTATION, RESTARTED_AT].contains(&name.as_str()));
    }
    if let Some(labels) = &mut object.metadata.labels {
        labels.retain(|name, _| [DEPLOYMENT_LABEL, REVISION_LABEL, "pod-template-hash"].contains(&name.as_str()));
    }
    let Some(status) = &mut object.status else { return };
    status.host_ip = None;
    status.host_ips = None;
    status.pod_ips = None;
    status.qos_class = None;
    status.start_time = None;
    status.ephemeral_container_statuses = None;
    if let Some(conditions) = &mut status.conditions {
        let read = ["PodScheduled", "PodReadyToStartContainers", "Ready", "DisruptionTarget"];
        conditions.retain(|one| read.contains(&one.type_.as_str()));
        for condition in conditions {
            condition.last_probe_time = None;
        }
    }
    for container in status.container_statuses.iter_mut().flatten() {
        container.allocated_resources = None;
        container.allocated_resources_status = None;
        container.container_id = None;
        container.image_id.clear();
        container.resources = None;
        container.user = None;
        container.volume_mounts = None;
    }
}

/// Of what it holds the SHA-256 is enough to tell whether it is as it should be: the whole is in the ModelDeployment.
pub(super) fn configuration(object: &mut ConfigMap) {
    let all = object.data.iter_mut().flatten();
    // What names led to is nowhere else.
    for (_, text) in all.filter(|(key, _)| *key != PINS_FILE) {
        *text = sha256(&*text);
    }
}

/// Its status says how a load balancer is set up, which is between it and its users.
pub(super) fn service(object: &mut Service) {
    object.metadata.generation = None;
    object.status = None;
}

/// Its status counts pods, which we do ourselves.
pub(super) fn budget(object: &mut PodDisruptionBudget) {
    object.metadata.generation = None;
    object.status = None;
}

/// It has no status.
pub(super) fn policy(object: &mut NetworkPolicy) {
    object.metadata.generation = None;
}
