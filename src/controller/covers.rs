//! Whether an object as it is has all that it should have: then nothing is written. The API server adds defaults and writes
//! quantities its own way; neither is a difference.

use modelyard_core::units;
use serde::Serialize;
use serde_json::Value;

/// Whether everything in `wanted` is in `live`.
pub(super) fn covers<T: Serialize>(live: &T, wanted: &T) -> bool {
    match (serde_json::to_value(live), serde_json::to_value(wanted)) {
        (Ok(live), Ok(wanted)) => value(&live, &wanted),
        _ => false,
    }
}

fn value(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (_, Value::Null) => true,
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| match live.get(key) {
            Some(live) => value(live, wanted),
            None => is_nothing(wanted),
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| value(live, wanted))
        }
        (Value::String(live), Value::String(wanted)) => live == wanted || same_quantity(live, wanted),
        _ => live == wanted,
    }
}

/// What the API server leaves out when it is written.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn same_quantity(one: &str, other: &str) -> bool {
    matches!((units::milli(one), units::milli(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_no_difference_and_changes_are() {
        let wanted = json!({"a": {"cpu": "1000m"}, "list": [{"x": 1}], "empty": {}, "nothing": null});
        for (live, same) in [
            (json!({"a": {"cpu": "1", "memory": "1Gi"}, "list": [{"x": 1, "y": 2}], "more": true}), true),
            (json!({"a": {"cpu": "2"}, "list": [{"x": 1}]}), false),
            (json!({"a": {"cpu": "1"}, "list": [{"x": 1}, {"x": 2}]}), false),
            (json!({"a": {"cpu": "1"}}), false),
            (json!({"a": {"cpu": "1"}, "list": [{"x": 2}]}), false),
        ] {
            assert_eq!(value(&live, &wanted), same, "{live}");
        }
    }
}
