//! From a plan to the objects of a cluster, as they are applied: one file per kind. Nothing is decided here.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::{API_VERSION, GROUP};
use crate::pins::Pins;
use crate::plan::Plan;
use crate::resolve::Resolved;

mod configuration;
mod deployment;
mod disruption;
mod pod;
mod policy;
mod service;

pub use configuration::{pins_name, workload_of};
pub use deployment::deployment_name;
pub use pod::{ADMIN_PORT, CONTAINER, PORT};

/// The field manager of everything that the operator writes, and the value of `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "modelyard";
/// The label that names the ModelDeployment.
pub const DEPLOYMENT_LABEL: &str = "modelyard.dev/deployment";
/// The label that names the revision.
pub const REVISION_LABEL: &str = "modelyard.dev/revision";
/// The annotation of a revision's Deployment that tells the model's version, where it serves one model.
pub const VERSION_ANNOTATION: &str = "modelyard.dev/model-version";
/// The annotation of a revision's Deployment that tells the server image that it was made with.
pub const SERVER_IMAGE_ANNOTATION: &str = "modelyard.dev/server-image";
/// The annotation of a revision's Deployment that names the template that it was made with.
pub const TEMPLATE_ANNOTATION: &str = "modelyard.dev/template";

/// The annotation of a pod that tells which configuration its server has been sent after, by the beginning of its SHA-256: the kubelet
/// looks after a pod that changes at once, and after another only now and then.
pub const CONFIG_ANNOTATION: &str = "modelyard.dev/config";
/// The annotation of a pod that tells of which pins its server has been sent after, likewise: one whose server serves something else.
pub const PINS_ANNOTATION: &str = "modelyard.dev/pins";
/// Where a server finds the configuration that it follows, and the key of that in its ConfigMap.
pub const CONFIG_FOLDER: &str = "/etc/modelyard";
/// The file in that folder.
pub const CONFIG_FILE: &str = "config.json";
/// Where a server finds what the names of its models led to, and the key of that in its ConfigMap.
pub const PINS_FOLDER: &str = "/etc/modelyard-pins";
/// The file in that folder.
pub const PINS_FILE: &str = "pins.json";
/// The variable that names it.
pub const PINS_VARIABLE: &str = "MODELYARD_PINS_FILE";
/// The variable that tells a server which restart of its revision it is of.
pub const RESTARTED_AT_VARIABLE: &str = "MODELYARD_RESTARTED_AT";

/// Every object of one ModelDeployment. Who applies them takes all fields apart, so that a kind that is added and not applied does not
/// compile.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// What the servers of the spec's own revision follow, where they do. Those of the other revisions that are kept stay as they are.
    pub configuration: Option<ConfigMap>,
    /// What the names of the revision's models led to, once that is known.
    pub pins: Option<ConfigMap>,
    /// The Deployment of the spec's own revision.
    pub deployment: Deployment,
    /// What the Deployments of other revisions are scaled to; those that are not named are removed.
    pub others: Vec<Scaled>,
    /// Where clients find it.
    pub service: Service,
    /// How many may be away at once, where that can be promised.
    pub disruption_budget: Option<PodDisruptionBudget>,
    /// Who may call, where that is restricted.
    pub network_policy: Option<NetworkPolicy>,
}

/// A Deployment whose template stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// The Deployment.
    pub name: String,
    /// Replicas that it is to have.
    pub replicas: u32,
}

/// The object that the others belong to, and what the operator adds.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its identity in the cluster.
    pub uid: &'a str,
    /// The image of the server.
    pub server_image: &'a str,
}

/// Renders a plan. `pins` are those of the spec's own revision. Retired revisions beyond the history are left out, the oldest first.
#[must_use]
pub fn render(resolved: &Resolved, plan: &Plan, owner: Owner<'_>, pins: &Pins) -> Objects {
    let replicas = plan.revision(&resolved.revision).map_or(0, |one| one.replicas);
    let mut kept = 0;
    let others = plan.revisions.iter().filter(|one| one.revision != resolved.revision);
    // The plan lists newer ones first.
    let others = others.filter(|one| {
        kept += usize::from(one.replicas == 0);
        one.replicas > 0 || kept <= resolved.history
    });
    let others =
        others.map(|one| Scaled { name: deployment_name(&resolved.name, &one.revision), replicas: one.replicas }).collect();
    Objects {
        configuration: configuration::render(resolved, owner),
        pins: configuration::pins(resolved, owner, pins),
        deployment: deployment::render(resolved, owner, replicas),
        others,
        service: service::render(resolved, owner),
        disruption_budget: disruption::render(resolved, owner),
        network_policy: policy::render(resolved, owner),
    }
}

/// The labels of everything that belongs to a deployment.
fn labels(resolved: &Resolved) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "modelyard-server"),
        ("app.kubernetes.io/instance", &resolved.name),
        ("app.kubernetes.io/component", "server"),
        ("app.kubernetes.io/managed-by", MANAGER),
        (DEPLOYMENT_LABEL, &resolved.name),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The labels by which the pods of a deployment are found, all revisions of it.
fn selector(resolved: &Resolved) -> BTreeMap<String, String> {
    [(DEPLOYMENT_LABEL.to_owned(), resolved.name.clone())].into()
}

fn metadata(resolved: &Resolved, owner: Owner<'_>, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(owner.namespace.to_owned()),
        labels: Some(labels(resolved)),
        owner_references: Some(vec![OwnerReference {
            api_version: API_VERSION.to_owned(),
            kind: "ModelDeployment".to_owned(),
            name: resolved.name.clone(),
            uid: owner.uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    }
}

/// Whether an object that exists belongs to the ModelDeployment of this identity.
#[must_use]
pub fn is_owned_by(metadata: &ObjectMeta, uid: &str) -> bool {
    let group = format!("{GROUP}/");
    metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid && owner.api_version.starts_with(&group))
}

#[cfg(test)]
mod tests;
