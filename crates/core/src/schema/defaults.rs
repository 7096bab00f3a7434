//! Defaults, as the API server fills them in: a `null` where none is allowed counts as absent, then a missing field takes its
//! default, then the field's own fields do.

use serde_json::Value;

pub(super) fn apply(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(properties) = schema["properties"].as_object() {
                for (name, field) in properties {
                    if fields.get(name).is_some_and(Value::is_null) && field["nullable"] != true {
                        fields.shift_remove(name);
                    }
                    if !fields.contains_key(name)
                        && let Some(default) = field.get("default")
                    {
                        fields.insert(name.clone(), default.clone());
                    }
                    if let Some(inner) = fields.get_mut(name) {
                        apply(field, inner);
                    }
                }
            }
            if schema["additionalProperties"].is_object() {
                fields.values_mut().for_each(|inner| apply(&schema["additionalProperties"], inner));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| apply(&schema["items"], item)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn defaults_reach_into_objects_and_lists_and_replace_null() {
        let schema = json!({"properties": {
            "a": {"type": "integer", "default": 1},
            "b": {"type": "object", "default": {}, "properties": {"c": {"type": "string", "default": "x"}}},
            "d": {"type": "array", "items": {"type": "object", "properties": {"e": {"type": "boolean", "default": true}}}},
            "f": {"type": "string", "nullable": true, "default": "y"}
        }});
        let mut value = json!({"a": null, "d": [{}, {"e": false}], "f": null, "g": null});
        super::apply(&schema, &mut value);
        assert_eq!(value, json!({"a": 1, "b": {"c": "x"}, "d": [{"e": true}, {"e": false}], "f": null, "g": null}));
    }
}
