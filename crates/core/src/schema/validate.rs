//! The walk of a value along its schema. It goes on after a fault, so that one run shows them all.

use std::collections::HashMap;
use std::sync::Mutex;

use regex::Regex;
use serde_json::{Map, Value};

use super::{Kind, Path, Violation, formats, nearest};

/// Everything that the schema refuses in the value.
pub(super) fn object(schema: &Value, value: &Value) -> Vec<Violation> {
    let mut walk = Walk { found: Vec::new() };
    walk.value(schema, value, &Path::root());
    walk.found
}

struct Walk {
    found: Vec<Violation>,
}

impl Walk {
    fn add(&mut self, path: &Path, kind: Kind, message: String) {
        self.found.push(Violation { path: path.clone(), kind, message });
    }

    fn invalid(&mut self, path: &Path, value: &Value, why: &str) {
        self.add(path, Kind::Invalid, format!("Invalid value: {}: {why}", shown(value)));
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &Path) {
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if schema["x-kubernetes-int-or-string"] == true {
            if !(value.is_string() || value.is_i64() || value.is_u64()) {
                return self.invalid(path, value, &format!("must be an integer or a string, not {}", article(kind_of(value))));
            }
        } else if let Some(expected) = schema["type"].as_str()
            && !fits(expected, value)
        {
            self.choice(schema, value, path);
            return self.invalid(path, value, &format!("must be of type {expected}, not {}", kind_of(value)));
        }
        self.choice(schema, value, path);
        match value {
            Value::Object(fields) => self.fields(schema, fields, path),
            Value::Array(items) => self.items(schema, items, path),
            Value::String(text) => self.text(schema, text, path),
            Value::Number(_) => self.number(schema, value, path),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn choice(&mut self, schema: &Value, value: &Value, path: &Path) {
        let Some(choices) = schema["enum"].as_array() else { return };
        if !choices.contains(value) {
            let names: Vec<String> = choices.iter().map(shown).collect();
            let hint = value.as_str().and_then(|written| nearest(written, choices.iter().filter_map(Value::as_str)));
            let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
            let message = format!("Unsupported value: {}: supported values: {}{hint}", shown(value), names.join(", "));
            self.add(path, Kind::Unsupported, message);
        }
    }

    fn fields(&mut self, schema: &Value, fields: &Map<String, Value>, path: &Path) {
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.add(&path.key(name), Kind::Required, "Required value".to_owned());
            }
        }
        let count = fields.len() as u64;
        if let Some(most) = schema["maxProperties"].as_u64().filter(|most| count > *most) {
            self.add(path, Kind::Invalid, format!("Too many: {count}: must have at most {most} items"));
        }
        let others = &schema["additionalProperties"];
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true || *others == true;
        for (name, inner) in fields {
            let below = path.key(name);
            if let Some(field) = properties.get(name) {
                self.value(field, inner, &below);
            } else if others.is_object() {
                self.value(others, inner, &below);
            } else if !open {
                self.add(&below, Kind::Unknown, unknown(name, properties));
            }
        }
    }

    fn items(&mut self, schema: &Value, items: &[Value], path: &Path) {
        let count = items.len() as u64;
        if let Some(least) = schema["minItems"].as_u64().filter(|least| count < *least) {
            self.add(path, Kind::Invalid, format!("Invalid value: {count}: should have at least {least} items"));
        }
        if let Some(most) = schema["maxItems"].as_u64().filter(|most| count > *most) {
            self.add(path, Kind::Invalid, format!("Too many: {count}: must have at most {most} items"));
        }
        for (index, item) in items.iter().enumerate() {
            self.value(&schema["items"], item, &path.index(index));
        }
        match schema["x-kubernetes-list-type"].as_str() {
            Some("map") => {
                let keys: Vec<&str> =
                    schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                self.duplicates(items, path, |item| {
                    keys.iter()
                        .map(|key| item.get(*key).map(|value| ((*key).to_owned(), value.clone())))
                        .collect::<Option<Map<_, _>>>()
                        .map(Value::Object)
                });
            }
            Some("set") => self.duplicates(items, path, |item| Some(item.clone())),
            _ => {}
        }
    }

    fn duplicates(&mut self, items: &[Value], path: &Path, key: impl Fn(&Value) -> Option<Value>) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let Some(key) = key(item) else { continue };
            let first = *seen.entry(key.to_string()).or_insert(index);
            if first != index {
                let message = format!("Duplicate value: {key}: the same as {}", path.index(first));
                self.add(&path.index(index), Kind::Duplicate, message);
            }
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &Path) {
        let value = Value::String(text.to_owned());
        let length = text.chars().count() as u64;
        if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
            self.invalid(path, &value, &format!("should be at least {least} chars long"));
        }
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
            self.add(path, Kind::Invalid, format!("Too long: {length} characters: may not be more than {most}"));
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && !matches(pattern, text)
        {
            let example = schema["example"].as_str().map(|text| format!(", such as {text:?}")).unwrap_or_default();
            self.invalid(path, &value, &format!("should match '{pattern}'{example}"));
        }
        if let Some(expected) = schema["format"].as_str().and_then(|format| formats::refuse(format, text)) {
            self.invalid(path, &value, &format!("must be {expected}"));
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, path: &Path) {
        let Some(number) = value.as_f64() else { return };
        let format = schema["format"].as_str();
        let outside = match format {
            Some("int32") => value.as_i64().is_none_or(|whole| i32::try_from(whole).is_err()),
            Some("int64") => value.as_i64().is_none(),
            _ => false,
        };
        if outside {
            self.invalid(path, value, &format!("must fit in {}", format.unwrap_or_default()));
        }
        let (exclusive_least, exclusive_most) = (schema["exclusiveMinimum"] == true, schema["exclusiveMaximum"] == true);
        if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least || (exclusive_least && number <= *least)) {
            let words = if exclusive_least { "greater than" } else { "greater than or equal to" };
            self.invalid(path, value, &format!("should be {words} {least}"));
        }
        if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most || (exclusive_most && number >= *most)) {
            let words = if exclusive_most { "less than" } else { "less than or equal to" };
            self.invalid(path, value, &format!("should be {words} {most}"));
        }
    }
}

fn unknown(name: &str, properties: &Map<String, Value>) -> String {
    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("Unknown field {name:?}: did you mean {near:?}?"),
        None if known.is_empty() => format!("Unknown field {name:?}"),
        None => format!("Unknown field {name:?}: the fields here are {}", known.join(", ")),
    }
}

fn fits(expected: &str, value: &Value) -> bool {
    match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if value.is_i64() || value.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn article(kind: &str) -> String {
    match kind {
        "null" => kind.to_owned(),
        "array" | "object" | "integer" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

/// The value in a message: scalars whole (long ones cut), the others by their type.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => format!("\"{}\"", kind_of(value)),
        Value::String(text) if text.chars().count() > 100 => {
            let head: String = text.chars().take(100).collect();
            format!("{}", Value::String(format!("{head}...")))
        }
        other => other.to_string(),
    }
}

/// Whether the text matches, patterns compiled once. A pattern that does not compile refuses nothing: the schema's own test
/// sees it.
fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: Mutex<Option<HashMap<String, Option<Regex>>>> = Mutex::new(None);
    let mut compiled = COMPILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = compiled.get_or_insert_with(HashMap::new);
    let regex = known.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
    regex.as_ref().is_none_or(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn messages(schema: &Value, value: &Value) -> Vec<String> {
        object(schema, value).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_keyword_refuses_in_the_words_of_the_api_server() {
        for (schema, value, expected) in [
            (json!({"type": "integer"}), json!("3"), "a: Invalid value: \"3\": must be of type integer, not string"),
            (json!({"type": "integer"}), json!(1.5), "a: Invalid value: 1.5: must be of type integer, not number"),
            (json!({"type": "string"}), json!(null), "a: Invalid value: null: must be of type string, not null"),
            (json!({"type": "integer", "minimum": 0.0}), json!(-1), "a: Invalid value: -1: should be greater than or equal to 0"),
            (json!({"type": "integer", "maximum": 2.0}), json!(3), "a: Invalid value: 3: should be less than or equal to 2"),
            (
                json!({"type": "number", "minimum": 0, "exclusiveMinimum": true}),
                json!(0),
                "a: Invalid value: 0: should be greater than 0",
            ),
            (
                json!({"type": "integer", "format": "int32"}),
                json!(3_000_000_000_i64),
                "a: Invalid value: 3000000000: must fit in int32",
            ),
            (
                json!({"type": "integer", "format": "int64"}),
                json!(u64::MAX),
                "a: Invalid value: 18446744073709551615: must fit in int64",
            ),
            (json!({"type": "string", "minLength": 2}), json!("é"), "a: Invalid value: \"é\": should be at least 2 chars long"),
            (json!({"type": "string", "maxLength": 2}), json!("abc"), "a: Too long: 3 characters: may not be more than 2"),
            (
                json!({"type": "string", "pattern": "^b+$", "example": "bb"}),
                json!("abc"),
                "a: Invalid value: \"abc\": should match '^b+$', such as \"bb\"",
            ),
            (json!({"type": "string", "pattern": "^b+$"}), json!("abc"), "a: Invalid value: \"abc\": should match '^b+$'"),
            (
                json!({"type": "string", "enum": ["Surge", "Replace"]}),
                json!("surge"),
                "a: Unsupported value: \"surge\": supported values: \"Surge\", \"Replace\"; did you mean \"Surge\"?",
            ),
            (json!({"type": "array", "minItems": 1}), json!([]), "a: Invalid value: 0: should have at least 1 items"),
            (json!({"type": "array", "maxItems": 1}), json!([1, 2]), "a: Too many: 2: must have at most 1 items"),
            (
                json!({"maxProperties": 1, "additionalProperties": {}}),
                json!({"b": 1, "c": 2}),
                "a: Too many: 2: must have at most 1 items",
            ),
            (
                json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {"x-kubernetes-preserve-unknown-fields": true}}),
                json!([{"k": 1, "v": 1}, {"k": 2}, {"k": 1}]),
                "a[2]: Duplicate value: {\"k\":1}: the same as a[0]",
            ),
            (
                json!({"type": "array", "x-kubernetes-list-type": "set"}),
                json!(["x", "x"]),
                "a[1]: Duplicate value: \"x\": the same as a[0]",
            ),
            (
                json!({"x-kubernetes-int-or-string": true}),
                json!(1.5),
                "a: Invalid value: 1.5: must be an integer or a string, not a number",
            ),
            (
                json!({"type": "string", "format": "date-time"}),
                json!("yesterday"),
                "a: Invalid value: \"yesterday\": must be a date and time such as 2006-01-02T15:04:05Z",
            ),
            (
                json!({"type": "object", "properties": {"replicas": {}}}),
                json!({"replica": 1}),
                "a.replica: Unknown field \"replica\": did you mean \"replicas\"?",
            ),
            (json!({"type": "object", "properties": {}, "required": ["b"]}), json!({}), "a.b: Required value"),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                json!({"x.y": true}),
                "a['x.y']: Invalid value: true: must be of type string, not boolean",
            ),
        ] {
            assert_eq!(messages(&json!({"properties": {"a": schema}}), &json!({"a": value})), [expected]);
        }
    }

    #[test]
    fn all_faults_come_at_once() {
        let schema = json!({"type": "object", "required": ["c"], "properties": {
            "a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}, "c": {}}});
        assert_eq!(messages(&schema, &json!({"a": "x", "b": [1, "y", true], "d": 0})).len(), 5);
    }

    #[test]
    fn what_is_allowed_passes() {
        for (schema, value) in [
            (json!({"type": "string", "nullable": true}), json!(null)),
            (json!({"x-kubernetes-int-or-string": true, "pattern": "^[0-9]+Mi$"}), json!(5)),
            (json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}), json!({"z": 1})),
            (json!({"type": "integer", "format": "int64"}), json!(i64::MAX)),
            (json!({"type": "number"}), json!(3)),
        ] {
            assert_eq!(messages(&json!({"properties": {"a": schema}}), &json!({"a": value})), Vec::<String>::new());
        }
    }
}
