//! A structural schema applied to a value without a cluster: what the API server would fill in and what it would refuse.
//!
//! It reads the same OpenAPI v3 schema that the CustomResourceDefinition carries, follows the structural-schema rules of
//! Kubernetes (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>), and gives
//! every violation at once, worded as the API server words them. CEL rules are not its business.

mod defaults;
mod formats;
mod metadata;
mod names;
mod path;
mod suggest;
mod validate;

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Number, Value};

pub use path::{Path, Segment};
pub use suggest::nearest;

/// One thing that the API server would refuse.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The field at fault; of an unknown or missing field, its own path.
    pub path: Path,
    /// What kind of fault it is.
    pub kind: Kind,
    /// What was found and what was expected, without the path.
    pub message: String,
}

/// Kinds of violations, in the words of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A field that must be there is missing.
    Required,
    /// A field that the schema does not know.
    Unknown,
    /// A value that the field does not take.
    Invalid,
    /// A value outside an enumeration.
    Unsupported,
    /// A second item of the same key.
    Duplicate,
    /// A key that the map does not take; the path is that of its value.
    Key,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// The schema of one kind.
#[derive(Clone, Debug)]
pub struct Schema {
    /// `apiVersion` of the objects.
    pub api_version: String,
    /// The group alone.
    pub group: String,
    /// The version alone.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The names under which people ask for the kind, lower-case: singular, plural, short names.
    pub aliases: Vec<String>,
    /// The OpenAPI v3 schema, `apiVersion`, `kind` and `metadata` included.
    pub root: Value,
    /// The OpenAPI v3 schema as the CustomResourceDefinition has it.
    pub published: Value,
}

/// The schemas of every kind of ours.
#[must_use]
pub fn schemas() -> &'static [Schema] {
    static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| crate::api::crds().iter().filter_map(Schema::of).collect());
    &SCHEMAS
}

impl Schema {
    /// The schema of a definition's stored version; none where it carries no schema.
    #[must_use]
    pub fn of(definition: &CustomResourceDefinition) -> Option<Self> {
        let (group, names) = (&definition.spec.group, &definition.spec.names);
        let version = definition.spec.versions.iter().find(|version| version.storage)?;
        let mut published = serde_json::to_value(version.schema.as_ref()?.open_api_v3_schema.as_ref()?).ok()?;
        whole_numbers(&mut published);
        let mut root = published.clone();
        metadata::add(&mut root);
        let aliases = names.singular.iter().chain([&names.plural]).chain(names.short_names.iter().flatten()).cloned().collect();
        Some(Self {
            api_version: format!("{group}/{}", version.name),
            group: group.clone(),
            version: version.name.clone(),
            kind: names.kind.clone(),
            aliases,
            root,
            published,
        })
    }

    /// Drops what a write to the API server would drop (`null` of fields that take none, the status), and fills in the defaults.
    pub fn complete(&self, object: &mut Value) {
        if let Some(fields) = object.as_object_mut() {
            fields.shift_remove("status");
        }
        defaults::apply(&self.root, object);
    }

    /// The schema of a field; none where the kind has no such field.
    #[must_use]
    pub fn field(&self, path: &Path) -> Option<&Value> {
        path.segments().iter().try_fold(&self.root, |schema, segment| {
            let below = match segment {
                Segment::Key(key) => schema["properties"].get(key).or_else(|| schema.get("additionalProperties")),
                Segment::Index(_) => schema.get("items"),
            };
            below.filter(|schema| schema.is_object())
        })
    }

    /// Everything that the schema refuses in a completed object, in the order of the object; then what every object's metadata is
    /// refused for.
    #[must_use]
    pub fn violations(&self, object: &Value) -> Vec<Violation> {
        let mut found = validate::object(&self.root, object);
        found.append(&mut names::violations(&object["metadata"]));
        found
    }
}

/// Bounds travel as floating point: makes `1.0` the `1` that people write.
pub fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|real| number.is_f64() && real.fract() == 0.0 && real.abs() < 1e15);
            if let Some(real) = whole {
                #[allow(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
                let whole = Number::from(real as i64);
                *number = whole;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{ModelDeployment, Resources, Serving};

    /// Every schema below and including this one, with its path.
    fn each(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
        visit(path, schema);
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            each(field, &format!("{path}.{name}"), visit);
        }
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                each(&schema[inner], &format!("{path}[]"), visit);
            }
        }
    }

    #[test]
    fn the_published_schema_keeps_the_rules_of_the_house() {
        for schema in schemas() {
            each(&schema.published, &schema.kind, &mut |path, field| {
                let leaf = !path.ends_with("[]");
                assert!(!leaf || field["description"].as_str().is_some_and(|text| text.len() > 8), "{path}: no description");
                assert!(field.get("nullable").is_none(), "{path}: nullable");
                let format = field["format"].as_str().unwrap_or("int32");
                assert!(["int32", "int64", "date-time"].contains(&format), "{path}: format {format} makes the API server warn");
                if let Some(pattern) = field["pattern"].as_str() {
                    let compiled = regex::Regex::new(pattern);
                    assert!(compiled.is_ok(), "{path}: {pattern}");
                    let example = field["example"].as_str();
                    assert!(example.is_none_or(|text| compiled.unwrap().is_match(text)), "{path}: the example does not match");
                }
                // Kubernetes' own types have lists without a key, and treat them as one value themselves.
                let foreign =
                    ["ModelDeployment.spec.pod.", "ModelDeployment.spec.networkPolicy."].iter().any(|own| path.starts_with(own));
                // Steps have no key: their order is what they mean.
                let steps = path.ends_with("process");
                if field["type"] == "array" && field["items"]["type"] == "object" && !foreign && !steps {
                    assert_eq!(field["x-kubernetes-list-type"], "map", "{path}");
                }
                for rule in field["x-kubernetes-validations"].as_array().into_iter().flatten() {
                    assert!(rule["message"].is_string(), "{path}: a rule without a message");
                }
            });
        }
    }

    #[test]
    fn defaults_of_the_schema_are_defaults_of_the_types_and_fit_the_schema() {
        let mut object = json!({"apiVersion": crate::api::API_VERSION, "kind": "ModelDeployment", "metadata": {"name": "m"},
            "spec": {"model": {"uri": "file:m"}, "serving": {"batching": {"maxSize": 2}}}, "status": {"replicas": "dropped"}});
        schemas()[0].complete(&mut object);
        assert_eq!(schemas()[0].violations(&object), []);
        let typed: ModelDeployment = serde_json::from_value(object.clone()).unwrap();
        let batching = typed.spec.serving.batching.clone();
        assert_eq!(typed.spec.serving, Serving { batching, ..Serving::default() });
        assert_eq!(typed.spec.resources, Resources::default());
        assert_eq!(serde_json::to_value(typed).unwrap()["spec"], object["spec"]);
    }

    #[test]
    fn a_field_is_found_by_its_path() {
        let schema = &schemas()[0];
        for (path, found) in [("spec.models[0].uri", true), ("metadata.labels.x", true), ("spec.nothing", false), ("", true)] {
            assert_eq!(schema.field(&Path::parse(path)).is_some(), found, "{path}");
        }
    }
}
