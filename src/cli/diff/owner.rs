//! Who sets the number of replicas: files, or an autoscaler.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use modelyard_core::api::ModelDeployment;
use serde_json::Value;

/// What applying a file does to `spec.replicas`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Replicas {
    /// The file writes it.
    Written,
    /// The file writes it, and somebody else sets it through the scale subresource.
    Fought(String),
    /// It stays, set by somebody.
    Kept(By),
}

/// Who set it, where somebody else did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct By(Option<String>);

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |name| write!(f, ", {name} set it"))
    }
}

impl Replicas {
    /// Of a file that would be applied onto an object of the cluster.
    pub(super) fn of(live: &ModelDeployment, written: &Value) -> Self {
        let entries = live.metadata.managed_fields.as_deref().unwrap_or_default();
        let owners: Vec<&ManagedFieldsEntry> = entries.iter().filter(|entry| owns_replicas(entry)).collect();
        let scaler = owners.iter().find(|owner| owner.subresource.as_deref() == Some("scale"));
        let scaler = scaler.and_then(|owner| owner.manager.clone());
        if !written["spec"]["replicas"].is_null() {
            return scaler.map_or(Self::Written, Self::Fought);
        }
        // What a file wrote before and writes no longer goes back to the default, unless somebody else owns it too.
        let applied_by = |owner: &&ManagedFieldsEntry| owner.operation.as_deref() == Some("Apply") && owner.subresource.is_none();
        let only_applied = !owners.is_empty() && owners.iter().all(applied_by);
        if only_applied || last_applied(live).is_some_and(|applied| !applied["spec"]["replicas"].is_null()) {
            return Self::Written;
        }
        Self::Kept(By(scaler))
    }
}

fn owns_replicas(entry: &ManagedFieldsEntry) -> bool {
    entry.fields_v1.as_ref().is_some_and(|fields| fields.0["f:spec"].get("f:replicas").is_some())
}

/// What `kubectl apply` without --server-side applied last.
fn last_applied(live: &ModelDeployment) -> Option<Value> {
    let annotations = live.metadata.annotations.as_ref()?;
    serde_json::from_str(annotations.get("kubectl.kubernetes.io/last-applied-configuration")?).ok()
}
