//! What a server may use of a machine.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::Schema;
use serde::{Deserialize, Serialize};

use super::units;

/// CPU and memory of each replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.limits) || !has(self.limits.cpu) || !has(self.requests.cpu) || \
        !quantity(string(self.requests.cpu)).isGreaterThan(quantity(string(self.limits.cpu)))")
        .message("requests.cpu (100m unless it is written) must not exceed limits.cpu: lower the request or raise the limit"),
    validation = Rule::new("!has(self.limits) || !has(self.limits.memory) || !has(self.requests.memory) || \
        !quantity(string(self.requests.memory)).isGreaterThan(quantity(string(self.limits.memory)))")
        .message("requests.memory (128Mi unless it is written) must not exceed limits.memory: lower the request or raise the limit")
)]
pub struct Resources {
    /// What a replica is promised: schedulers and cluster autoscalers count it. Local mode starts replicas without a reservation.
    #[serde(default = "requests")]
    #[schemars(transform = each_by_default)]
    pub requests: Compute,
    /// What a replica may use at most. `limits.cpu`, rounded up, is also the number of threads that run models, on a cluster and in
    /// local mode alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Compute>,
}

/// An amount of CPU and memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compute {
    /// CPU cores: `2`, `500m` (half a core).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::optional_quantity")]
    pub cpu: Option<Quantity>,
    /// Bytes of memory: `512Mi`, `2Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::optional_quantity")]
    pub memory: Option<Quantity>,
}

impl Default for Resources {
    fn default() -> Self {
        Self { requests: requests(), limits: None }
    }
}

fn requests() -> Compute {
    Compute { cpu: Some(Quantity("100m".to_owned())), memory: Some(Quantity("128Mi".to_owned())) }
}

/// Who writes one of the two still asks for the other: without a request a scheduler takes it for nothing, and an autoscaler that
/// goes by a share of the request has no share to go by.
fn each_by_default(schema: &mut Schema) {
    let defaults = serde_json::to_value(requests()).unwrap_or_default();
    for (name, default) in defaults.as_object().into_iter().flatten() {
        if let Some(field) = schema.pointer_mut(&format!("/properties/{name}")).and_then(serde_json::Value::as_object_mut) {
            field.insert("default".to_owned(), default.clone());
        }
    }
}
