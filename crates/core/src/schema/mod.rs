//! A structural schema applied to a value without a cluster: what the API server would fill in and what it would refuse.
//!
//! It reads the same OpenAPI v3 schema that the CustomResourceDefinition carries, follows the structural-schema rules of
//! Kubernetes (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>), and gives
//! every violation at once, worded as the API server words them. CEL rules are not its business.

mod defaults;
mod formats;
mod metadata;
mod path;
mod suggest;
mod validate;

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

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
        let published = serde_json::to_value(version.schema.as_ref()?.open_api_v3_schema.as_ref()?).ok()?;
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

    /// Everything that the schema refuses in a completed object, in the order of the object.
    #[must_use]
    pub fn violations(&self, object: &Value) -> Vec<Violation> {
        validate::object(&self.root, object)
    }
}
