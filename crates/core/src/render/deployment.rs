//! The Deployment of one revision. Its template stays as it is for life: another spec is another revision.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Owner, REVISION_LABEL, SERVER_IMAGE_ANNOTATION, VERSION_ANNOTATION, labels, metadata, pod, selector};
use crate::resolve::Resolved;

/// The name of a revision's Deployment: 50 characters of the object's name, a hyphen, ten of the revision.
#[must_use]
pub fn deployment_name(name: &str, revision: &str) -> String {
    format!("{name}-{revision}")
}

pub(super) fn render(resolved: &Resolved, owner: Owner<'_>, replicas: u32) -> Deployment {
    let revision = (REVISION_LABEL.to_owned(), resolved.revision.clone());
    let mut matched = selector(resolved);
    matched.extend([revision.clone()]);
    let mut pod_labels = labels(resolved);
    pod_labels.extend([revision.clone()]);
    pod_labels.extend(resolved.pod.labels.clone());
    let mut own = metadata(resolved, owner, deployment_name(&resolved.name, &resolved.revision));
    own.labels.get_or_insert_default().extend([revision]);
    let image = (SERVER_IMAGE_ANNOTATION.to_owned(), owner.server_image.to_owned());
    let version = resolved.version.map(|version| (VERSION_ANNOTATION.to_owned(), version.to_string()));
    own.annotations = Some([image].into_iter().chain(version).collect());
    Deployment {
        metadata: own,
        spec: Some(DeploymentSpec {
            replicas: i32::try_from(replicas).ok(),
            // There is one template, and so one ReplicaSet, unless somebody restarts it by hand.
            revision_history_limit: Some(1),
            progress_deadline_seconds: Some(resolved.progress_deadline_seconds),
            selector: LabelSelector { match_labels: Some(matched), ..LabelSelector::default() },
            // For `kubectl rollout restart`: new before old.
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::String("25%".to_owned())),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template: k8s_openapi::api::core::v1::PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(pod_labels),
                    annotations: Some(pod::annotations(resolved)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod::render(resolved, owner)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}
