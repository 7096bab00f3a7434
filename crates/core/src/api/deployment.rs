//! The kind: a model and how it is served, in one object.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    Availability, Cache, Engine, Model, ModelDeploymentStatus, NamedModel, NetworkPolicyOptions, PodOptions, Resources, Rollout,
    ServiceOptions, Serving, is_default,
};

/// What to serve and how. Write exactly one of `model` and `models`.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "modelyard.dev",
    version = "v1alpha1",
    kind = "ModelDeployment",
    namespaced,
    doc = "ModelDeployment serves a model, or several, over the network: one server per replica, speaking the Open Inference Protocol, TensorFlow Serving's and KServe's, over HTTP and gRPC.",
    shortname = "mdep",
    category = "modelyard",
    derive = "PartialEq",
    status = "ModelDeploymentStatus",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Version", type_ = "integer", json_path = ".spec.model.version"),
    printcolumn(name = "Replicas", type_ = "string", json_path = ".status.readyOfWanted"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".status.revisions[?(@.role==\"Stable\")].name",
        priority = 1
    ),
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.model.uri", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 50 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be at most 50 lower-case letters, digits and hyphens, start with a letter and end with a letter or digit: it names a Service")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.model) != has(self.models)")
        .message("write exactly one of model (one model) and models (several in one server)")
)]
pub struct ModelDeploymentSpec {
    /// The model to serve. Instead of it, `models` serves several in one server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// Several models in one server, told apart by name. Instead of `model`. They come, go and change while the servers run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 500),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub models: Vec<NamedModel>,
    /// What computes the models, and how they are loaded.
    #[serde(default, skip_serializing_if = "is_default")]
    pub engine: Engine,
    /// How requests are served: limits, queue, batching, threads, shutting down.
    #[serde(default)]
    pub serving: Serving,
    /// How many servers run. `kubectl scale` and autoscalers set it too, through the scale subresource. 0 stops them all.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// CPU and memory of each replica.
    #[serde(default)]
    pub resources: Resources,
    /// How a change of what is served is carried out.
    #[serde(default)]
    pub rollout: Rollout,
    /// The image of the servers, in place of the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub server_image: Option<String>,
    /// Where replicas run, and what is added to their pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pod: PodOptions,
    /// The Service in front of the replicas.
    #[serde(default, skip_serializing_if = "is_default")]
    pub service: ServiceOptions,
    /// How many replicas stay while machines are emptied.
    #[serde(default, skip_serializing_if = "is_default")]
    pub availability: Availability,
    /// Where artefacts are kept between a download and their use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cache: Cache,
    /// Who may call the replicas. Without it, all that the cluster lets through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicyOptions>,
    /// Watch and report, change nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paused: bool,
}

const fn one() -> i32 {
    1
}
