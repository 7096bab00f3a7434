//! What is: written by the controller, never by a person.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units;

/// What runs and how it fares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelDeploymentStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where clients find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Replicas that exist, of all revisions. The scale subresource reads it.
    #[serde(default)]
    pub replicas: i32,
    /// Replicas that answer, of all revisions.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Ready and wanted replicas in one, such as `1/2`, for the table of `kubectl get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_of_wanted: Option<String>,
    /// The label selector of the replicas' pods. The scale subresource reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The revisions that still count, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub revisions: Vec<RevisionStatus>,
    /// Each of `models`, with where it stands; written where several models are served and their servers follow a change of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub models: Vec<ModelStatus>,
    /// The newest failure; cleared when a replica of that revision serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What the start of the newest ready replica took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_start: Option<ColdStart>,
    /// `Serving`: some revision answers, or is parked at zero. `UpToDate`: the newest spec carries all traffic. `Ready`: both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One revision: the replicas that one state of the spec has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    /// The revision: a hash of what shapes a server.
    pub name: String,
    /// The model's version, where the revision serves one model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// SHA-256 of the model that is served, even if its uri names another by now; where the revision serves one model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What the model's uri led to, in its store's words: a registry's manifest, a commit, a version, a generation or an ETag. All replicas
    /// are held to it; where the revision serves one model whose uri may lead to another some day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// What the revision is to clients.
    pub role: Role,
    /// Replicas that exist.
    pub replicas: i32,
    /// Replicas that answer.
    pub ready_replicas: i32,
    /// Its share of the traffic, in percent.
    pub weight: i32,
}

/// One of several models, as its servers said when they were asked last: after each change, until they have nothing new to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// Where it stands: the worst of all replicas that answer.
    pub state: ModelState,
    /// Why, where it does not answer as the spec has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<crate::api::Reason>,
    /// What happened, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// SHA-256 of what its uri led to, which all replicas are held to; where that may be another some day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The same in its store's words: a registry's manifest, a commit, a version, a generation or an ETag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// Since when it stands there.
    pub since: Time,
}

/// Where one of several models stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ModelState {
    /// It answers.
    Ready,
    /// It answers, once it has been loaded: it has left memory to others, or never came into it.
    Standby,
    /// Nobody says how it is.
    #[default]
    Unknown,
    /// It is on its way.
    Loading,
    /// A client asked it to leave.
    Unloaded,
    /// It did not become ready. Where one of that name served before, that serves on.
    Failed,
}

impl ModelState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Standby => "Standby",
            Self::Unknown => "Unknown",
            Self::Loading => "Loading",
            Self::Unloaded => "Unloaded",
            Self::Failed => "Failed",
        }
    }
}

/// What a revision is to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Role {
    /// Serves, and is what a failing newer one falls back to.
    Stable,
    /// Newer than the stable one, on its way to replace it.
    Candidate,
    /// Older than the stable one, without traffic.
    Retired,
}

/// Why a revision does not serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The reason, as in the conditions.
    pub reason: crate::api::Reason, // spelt out: the derive brings a `Reason` of kube into scope
    /// Which object is at fault, and what to do.
    pub message: String,
    /// The pod, or in local mode the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The server's exit code, where it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When it happened.
    pub at: Time,
}

/// What the start of a replica took, from its creation to ready. A phase that is not known is absent. Kubernetes' own times are whole
/// seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ColdStart {
    /// The pod of the replica.
    pub pod: String,
    /// When it became ready.
    pub at: Time,
    /// From its creation to ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::optional_duration")]
    pub total: Option<Duration>,
    /// Until it had a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::optional_duration")]
    pub scheduling: Option<Duration>,
    /// Until its image was there and its container ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::optional_duration")]
    pub pulling: Option<Duration>,
    /// Until the model's bytes had come; of several models, of the slowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::optional_duration")]
    pub downloading: Option<Duration>,
    /// Until the engine had read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::optional_duration")]
    pub loading: Option<Duration>,
    /// Until the model had proved itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::optional_duration")]
    pub warming: Option<Duration>,
}
