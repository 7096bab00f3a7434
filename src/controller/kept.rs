//! A ModelDeployment as the store keeps it: what names it, and the rest as text. Parsed it would take many times the room, and it may
//! not parse: one such object must not blind the watch to all others.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use kube::core::error_boundary::{DeserializeGuard, InvalidObject};
use modelyard_core::api::{ModelDeployment, ModelDeploymentSpec, ModelDeploymentStatus};
use modelyard_core::resolve::Invalid;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::metrics::known;

/// A ModelDeployment that may not parse.
pub(super) type Guarded = DeserializeGuard<ModelDeployment>;

/// A ModelDeployment as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Without labels, annotations and managed fields, which nobody reads.
    meta: ObjectMeta,
    /// Of its condition `Ready`.
    reason: Option<&'static str>,
    /// Its spec and status, JSON.
    text: Arc<str>,
}

#[derive(Deserialize)]
struct Body {
    spec: ModelDeploymentSpec,
    status: Option<ModelDeploymentStatus>,
}

impl Kept {
    /// The object, parsed.
    pub(super) fn read(&self) -> Guarded {
        // By way of a value: the message then tells of the field alone, and not of a column of a text that nobody else sees.
        let read = serde_json::from_str(&self.text).and_then(serde_json::from_value);
        DeserializeGuard(match read {
            Ok(Body { spec, status }) => Ok(ModelDeployment { metadata: self.meta.clone(), spec, status }),
            Err(error) => Err(InvalidObject { error: error.to_string(), metadata: self.meta.clone() }),
        })
    }

    /// Its status alone, where that parses.
    pub(super) fn status(&self) -> Option<ModelDeploymentStatus> {
        let mut whole: Value = serde_json::from_str(&self.text).ok()?;
        serde_json::from_value(whole["status"].take()).ok()?
    }

    /// The reason of its condition `Ready`, if it has one. What does not parse is invalid, whatever its status says.
    pub(super) const fn reason(&self) -> Option<&'static str> {
        self.reason
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        let mut part = |name: &str| object.get_mut(name).map(Value::take).unwrap_or_default();
        let (meta, spec, status) = (part("metadata"), part("spec"), part("status"));
        let whole: ObjectMeta = serde_json::from_value(meta).map_err(D::Error::custom)?;
        let meta = ObjectMeta {
            name: whole.name,
            namespace: whole.namespace,
            uid: whole.uid,
            generation: whole.generation,
            resource_version: whole.resource_version,
            deletion_timestamp: whole.deletion_timestamp,
            ..ObjectMeta::default()
        };
        let readable = ModelDeploymentSpec::deserialize(&spec).is_ok();
        let ready = status["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == "Ready");
        let told = ready.and_then(|one| one["reason"].as_str()).map(known);
        let reason = if readable { told } else { Some(Invalid::REASON.as_str()) };
        Ok(Self { meta, reason, text: json!({ "spec": spec, "status": status }).to_string().into() })
    }
}

impl Resource for Kept {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        ModelDeployment::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        ModelDeployment::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        ModelDeployment::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        ModelDeployment::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(spec: Value) -> Kept {
        let conditions = json!([{"type": "Ready", "status": "True", "reason": "Serving", "message": "1 replica answers",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        serde_json::from_value(json!({
            "apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": "m", "namespace": "n", "uid": "u", "generation": 2, "annotations": {"long": "text"}},
            "spec": spec, "status": {"replicas": 1, "readyReplicas": 1, "conditions": conditions},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_kept_reads_as_it_was() {
        let kept = kept(json!({"model": {"uri": "file:///m.onnx"}, "replicas": 3}));
        assert_eq!(kept.reason(), Some("Serving"));
        let object = kept.read().0.unwrap();
        assert_eq!((object.spec.replicas, object.metadata.generation, object.metadata.annotations), (3, Some(2), None));
        assert_eq!(object.status.unwrap().ready_replicas, 1);
    }

    #[test]
    fn one_that_does_not_parse_says_why_and_keeps_its_name() {
        let kept = kept(json!({"model": {"uri": "file:///m.onnx"}, "replicas": "three"}));
        assert_eq!((kept.reason(), kept.status().unwrap().ready_replicas), (Some("InvalidSpec"), 1));
        let unreadable = kept.read().0.unwrap_err();
        assert!(unreadable.error.starts_with("invalid type: string \"three\""), "{}", unreadable.error);
        assert_eq!(unreadable.metadata.name.as_deref(), Some("m"));
    }
}
