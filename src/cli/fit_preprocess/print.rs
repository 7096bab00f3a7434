//! Steps as YAML that people read on: a field a line, a list on one line.

use std::fmt::Write;

use modelyard_core::steps::{Step, WrittenStep};
use serde_json::Value;

/// `preprocess:` and the steps.
pub(super) fn yaml(steps: &[Step], heading: &str) -> String {
    let mut text = format!("# {heading}\npreprocess:\n");
    for step in steps {
        let fields = serde_json::to_value(WrittenStep::from(step)).unwrap_or_default();
        for (at, (name, value)) in fields.as_object().into_iter().flatten().enumerate() {
            let mark = if at == 0 { "- " } else { "  " };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {mark}{name}: {}", flow(value));
        }
    }
    text
}

/// A value on one line. JSON is YAML; names of operations and the like need no quotes.
fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        Value::String(word) if word.chars().all(|one| one.is_ascii_alphanumeric()) => word.clone(),
        other => other.to_string(),
    }
}
