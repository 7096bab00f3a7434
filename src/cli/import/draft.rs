//! The ModelDeployment as it grows, and what every kind has: names, labels, amounts.

use modelyard_core::api::API_VERSION;
use serde_json::{Map, Value, json};

use super::foreign::{Foreign, Refusal};

/// What will be one ModelDeployment.
pub(super) struct Draft {
    /// Its name.
    pub(super) name: String,
    metadata: Map<String, Value>,
    spec: Map<String, Value>,
}

/// The order in which people read a spec.
const ORDER: [&str; 6] = ["model", "replicas", "resources", "serving", "rollout", "pod"];

/// What a cluster writes into metadata is no setting.
const RECORDS: [&str; 7] =
    ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink"];

impl Draft {
    /// Begins with the name and namespace of an object, and leaves out what its cluster has written into it.
    pub(super) fn of(object: &mut Foreign) -> Result<Self, Refusal> {
        for record in RECORDS {
            object.take(&format!("metadata.{record}"));
        }
        object.take("status");
        let name = object.text("metadata.name").ok_or_else(|| object.unfit("metadata.name", "a name"))?;
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(name));
        if let Some(namespace) = object.text("metadata.namespace") {
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        Ok(Self { name, metadata, spec: Map::new() })
    }

    /// The namespace, where one is written.
    pub(super) fn namespace(&self) -> Option<&Value> {
        self.metadata.get("namespace")
    }

    /// Sets a field of the spec, such as `["serving", "requestTimeout"]`; objects on the way are made.
    pub(super) fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        let Some((last, above)) = path.split_last() else { return };
        let mut at = &mut self.spec;
        for step in above {
            let below = at.entry((*step).to_owned()).or_insert_with(|| json!({}));
            if !below.is_object() {
                *below = json!({});
            }
            match below.as_object_mut() {
                Some(below) => at = below,
                None => return,
            }
        }
        at.insert((*last).to_owned(), value.into());
    }

    /// Labels or annotations of the object itself.
    pub(super) fn set_metadata(&mut self, field: &str, values: Map<String, Value>) {
        if !values.is_empty() {
            self.metadata.insert(field.to_owned(), Value::Object(values));
        }
    }

    /// The object.
    pub(super) fn finish(mut self) -> Value {
        let mut spec = Map::new();
        for field in ORDER {
            spec.extend(self.spec.shift_remove(field).map(|value| (field.to_owned(), value)));
        }
        spec.append(&mut self.spec);
        json!({ "apiVersion": API_VERSION, "kind": "ModelDeployment", "metadata": self.metadata, "spec": spec })
    }
}

/// Splits labels or annotations into those that are kept, and those of a prefix that is not theirs to take.
pub(super) fn split(all: Map<String, Value>, mine: impl Fn(&str) -> bool) -> (Map<String, Value>, Map<String, Value>) {
    all.into_iter().partition(|(key, _)| mine(key))
}

/// Where a label or annotation is, in a message.
pub(super) fn key(list: &str, key: &str) -> String {
    format!("metadata.{list}['{key}']")
}
