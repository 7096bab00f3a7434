//! What every Kubernetes object has and no CustomResourceDefinition spells out: `apiVersion`, `kind`, `metadata`.

use serde_json::{Value, json};

/// Adds the schema of `apiVersion`, `kind` and `metadata` to that of a kind.
pub(super) fn add(root: &mut Value) {
    let name = json!({
        "type": "string", "minLength": 1,
        "description": "The object's name, unique in its namespace."
    });
    let strings =
        |description: &str| json!({ "type": "object", "additionalProperties": { "type": "string" }, "description": description });
    let references = json!({
        "type": "array", "description": "The objects that this one goes away with.",
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true }
    });
    let stamp = |description: &str| json!({ "type": "string", "format": "date-time", "description": description });
    let metadata = json!({
        "type": "object",
        "description": "Name, namespace, labels and annotations, as of every Kubernetes object.",
        "required": ["name"],
        "properties": {
            "name": name,
            "namespace": { "type": "string", "description": "The namespace; on a cluster the current one unless it is written." },
            "labels": strings("Names and values by which objects are selected."),
            "annotations": strings("Names and values that tools leave for themselves."),
            "finalizers": { "type": "array", "items": { "type": "string" }, "description": "What has to be done before the object goes away." },
            "generateName": { "type": "string", "description": "The beginning of a name that the cluster completes." },
            "generation": { "type": "integer", "format": "int64", "description": "Counts the states of the spec; the cluster writes it." },
            "resourceVersion": { "type": "string", "description": "The state of the object; the cluster writes it." },
            "uid": { "type": "string", "description": "The object's identity; the cluster writes it." },
            "selfLink": { "type": "string", "description": "Unused." },
            "creationTimestamp": stamp("When the object was made; the cluster writes it."),
            "deletionTimestamp": stamp("When the object is to go away; the cluster writes it."),
            "deletionGracePeriodSeconds": { "type": "integer", "format": "int64", "description": "How long it has for that; the cluster writes it." },
            "ownerReferences": references,
            "managedFields": {
                "type": "array", "description": "Who wrote which field; the cluster writes it.",
                "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true }
            }
        }
    });
    let Some(properties) = root["properties"].as_object_mut() else { return };
    let own = std::mem::take(properties);
    properties.insert("apiVersion".to_owned(), json!({ "type": "string", "description": "The group and version of the kind." }));
    properties.insert("kind".to_owned(), json!({ "type": "string", "description": "The kind of the object." }));
    properties.insert("metadata".to_owned(), metadata);
    properties.extend(own);
    let mut required = vec![json!("metadata")];
    required.extend(root["required"].as_array().into_iter().flatten().cloned());
    root["required"] = Value::Array(required);
}
