//! The name of a revision: what shapes a replica, whatever its spelling.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::secrets::{secret_names, stores};
use super::{claims, needs_onnx_runtime};
use crate::api::{Cache, CacheEmptyDir, Compute, ModelDeploymentSpec, PodOptions, Resources, is_default};
use crate::digest::hex;
use crate::server_config::ServerConfig;
use crate::units;

/// Names what shapes a replica: its whole server configuration (`drainDelay` too, or a change of it would reach nobody), its
/// resources, its image if the spec names one, and what the spec says of its pod and cache. The number of replicas does not shape one.
///
/// The name is the beginning of the SHA-256 of that as JSON with sorted keys, so it does not depend on the order of fields; a
/// field that a later release adds must stay out of the JSON while it has its default, or that release would restart every model.
pub(crate) fn revision(config: &ServerConfig, spec: &ModelDeploymentSpec) -> String {
    name(config, spec, (secret_names(spec), false))
}

/// The same where servers follow their models: these come and go without another revision, so they are left out, and what they ask of
/// the pod is not: Secrets, claims, and an image with ONNX Runtime.
pub(crate) fn revision_of_followers(config: &ServerConfig, spec: &ModelDeploymentSpec) -> String {
    let onnx_runtime = spec.server_image.is_none() && needs_onnx_runtime(config);
    let without = ServerConfig { models: Vec::new(), ..config.clone() };
    name(&without, spec, (stores(spec), onnx_runtime))
}

fn name(config: &ServerConfig, spec: &ModelDeploymentSpec, (secrets, onnx_runtime): (Vec<(String, String)>, bool)) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape<'a> {
        config: &'a ServerConfig,
        resources: &'a Resources,
        #[serde(skip_serializing_if = "Option::is_none")]
        server_image: Option<&'a String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pod: Option<&'a PodOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache: Option<&'a Cache>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        secrets: Vec<(String, String)>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        claims: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        onnx_runtime: bool,
    }
    let cache = Cache {
        empty_dir: spec.cache.empty_dir.as_ref().map(|dir| CacheEmptyDir { size_limit: in_one_spelling(&dir.size_limit) }),
        ..spec.cache.clone()
    };
    let shape = Shape {
        config,
        resources: &each_in_one_spelling(&spec.resources),
        server_image: spec.server_image.as_ref(),
        pod: Some(&spec.pod).filter(|pod| **pod != PodOptions::default()),
        cache: Some(&cache).filter(|cache| **cache != Cache::default()),
        secrets,
        claims: claims(spec),
        onnx_runtime,
    };
    digest(&shape)
}

/// Ten hexadecimal digits that name a value, whatever the order of its fields.
pub(crate) fn digest(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).map(sorted).unwrap_or_default();
    hex(&Sha256::digest(value.to_string())[..5])
}

/// `1000m` and `1` are the same amount and shape the same replica; the API server itself writes the one for the other.
fn in_one_spelling(amount: &Option<Quantity>) -> Option<Quantity> {
    amount.as_ref().map(|amount| units::canonical(&amount.0).map_or_else(|_| amount.clone(), Quantity))
}

fn each_in_one_spelling(resources: &Resources) -> Resources {
    let compute = |compute: &Compute| Compute { cpu: in_one_spelling(&compute.cpu), memory: in_one_spelling(&compute.memory) };
    Resources { requests: compute(&resources.requests), limits: resources.limits.as_ref().map(compute) }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}
