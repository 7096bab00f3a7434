//! The CEL rules of the schema, run offline as the API server runs them.

use kube::core::cel::{ErrorKind, RootContext, ValidationError, Validator};
use modelyard_core::schema::{Path, Schema};
use serde_json::Value;

use super::yaml::Node;

/// A rule that does not hold.
pub(super) struct Broken {
    /// The field whose rule it is.
    pub(super) path: Path,
    /// The field that the message is about, as far as the rule tells: the first that it names and that is written.
    pub(super) about: Path,
    /// The rule's message.
    pub(super) message: String,
}

/// The rules that a completed object breaks. An object with faults of schema breaks rules for no reason of their own
/// (`faulty`): then only those count that could be evaluated.
pub(super) fn broken(schema: &Schema, object: &Value, node: &Node, faulty: bool) -> Vec<Broken> {
    let context =
        RootContext { api_version: schema.api_version.clone(), api_group: schema.group.clone(), kind: schema.kind.clone() };
    let outcome = Validator::new().validate_with_context(&schema.published, object, None, Some(&context));
    let errors = outcome.err().map(|errors| errors.into_vec()).unwrap_or_default();
    errors
        .into_iter()
        .filter(|error| !faulty || error.kind == ErrorKind::ValidationFailure)
        .map(|error| explain(error, node))
        .collect()
}

fn explain(error: ValidationError, node: &Node) -> Broken {
    let path = Path::parse(&error.field_path);
    let about = named(&error.rule, &path).into_iter().find(|field| node.has(field)).unwrap_or_else(|| path.clone());
    let path = if path == Path::root() { about.clone() } else { path };
    let message = match error.kind {
        ErrorKind::ValidationFailure => error.message,
        _ => format!("the rule {:?} cannot be checked: {}", error.rule, error.message),
    };
    Broken { path, about, message }
}

/// The fields that a rule names: `self.a.b` and what is above it.
fn named(rule: &str, base: &Path) -> Vec<Path> {
    let mut fields = Vec::new();
    for (position, mark) in rule.match_indices("self.") {
        let rest = &rule[position + mark.len()..];
        let end = rest.find(|one: char| !one.is_alphanumeric() && one != '.' && one != '_').unwrap_or(rest.len());
        let mut steps: Vec<&str> = rest[..end].split('.').collect();
        if rest[end..].starts_with('(') {
            steps.pop(); // a function, such as `matches`
        }
        if !steps.is_empty() {
            fields.push(steps.iter().fold(base.clone(), |path, step| path.key(step)));
        }
    }
    fields
}
