//! One bad value for each limit of the schema, made from the schema itself.

use modelyard_core::schema::schemas;
use serde_json::{Map, Value, json};

/// A spec with one value that a limit forbids.
pub(super) struct Bad {
    /// Where, and which keyword.
    pub(super) what: String,
    pub(super) spec: Value,
}

/// Texts that patterns without an example in the schema let pass.
const GOOD: [(&str, &str); 3] = [
    ("^[^/:]+$", "a"),
    ("^[0-9a-fA-F]{64}$", "0000000000000000000000000000000000000000000000000000000000000000"),
    (r"^([0-9]{1,7}|[0-9]{1,3}%)$", "1"),
];

/// The least that a schema lets pass.
fn least(name: &str, schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    if name == "uri" {
        return "http://models/mnist.onnx".into();
    }
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        let known = GOOD.iter().find(|(known, _)| *known == pattern);
        return known.unwrap_or_else(|| panic!("no text for {pattern}")).1.into();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let fields = required.map(|field| (field.to_owned(), least(field, &schema["properties"][field])));
            fields.collect::<Map<_, _>>().into()
        }
        Some("array") => {
            let count = schema["minItems"].as_u64().unwrap_or(0);
            (0..count).map(|_| least("", &schema["items"])).collect()
        }
        Some("integer") => schema["minimum"].as_f64().map_or(json!(1), |least| json!(least as i64)),
        Some("boolean") => true.into(),
        Some("string") => "a".into(),
        _ => "1".into(),
    }
}

/// `count` items that a list takes, told apart by their keys.
fn items(schema: &Value, count: u64) -> Value {
    let keys: Vec<&str> =
        schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let one = |at: u64| {
        let mut item = least("", &schema["items"]);
        keys.iter().for_each(|key| item[*key] = format!("n{at}").into());
        item
    };
    (0..count).map(one).collect()
}

/// Values that break one limit each, by keyword.
fn broken(name: &str, schema: &Value) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let number = |key: &str| schema[key].as_f64().map(|number| number as i64);
    if let Some(least) = number("minimum") {
        all.push(("minimum", json!(least - 1)));
    }
    if let Some(most) = number("maximum") {
        all.push(("maximum", json!(most + 1)));
    }
    // What does not fit in int64 is no whole number to the API server's JSON.
    if schema["format"] == "int32" {
        all.push(("format", json!(i64::from(i32::MAX) + 1)));
    }
    if schema["enum"].is_array() {
        all.push(("enum", "Nonsense".into()));
    }
    if schema["minLength"].as_u64() == Some(1) {
        all.push(("minLength", "".into()));
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        let stem = if name == "uri" { "http://models/" } else { "" };
        all.push(("maxLength", format!("{stem}{}", "1".repeat(usize::try_from(most).unwrap() + 1 - stem.len())).into()));
    }
    if schema["pattern"].is_string() {
        all.push(("pattern", "/".into()));
    }
    if schema["minItems"].is_u64() {
        all.push(("minItems", json!([])));
    }
    if let Some(most) = schema["maxItems"].as_u64() {
        all.push(("maxItems", items(schema, most + 1)));
    }
    if let Some(most) = schema["maxProperties"].as_u64() {
        all.push(("maxProperties", (0..=most).map(|at| (format!("n{at}"), Value::from("a"))).collect::<Map<_, _>>().into()));
    }
    if schema["x-kubernetes-list-type"] == "map" {
        let item = &items(schema, 1)[0];
        all.push(("x-kubernetes-list-type", json!([item, item])));
    }
    let other = match schema["type"].as_str() {
        Some("boolean") => Some(json!("x")),
        Some(_) => Some(json!(true)),
        None if schema["x-kubernetes-int-or-string"] == true => Some(json!(true)),
        None => None,
    };
    all.extend(other.map(|value| ("type", value)));
    all
}

/// A step from a value to one within it.
#[derive(Clone)]
enum Step {
    Field(String),
    Item,
    Key,
}

/// The spec with a value at a place, and what else has to be there.
fn spec_with(root: &Value, steps: &[Step], value: Value) -> Value {
    let mut spec = match steps.first() {
        Some(Step::Field(first)) if first == "models" => json!({}),
        _ => json!({ "model": { "uri": "http://models/mnist.onnx" } }),
    };
    let (mut schema, mut place) = (root, &mut spec);
    for step in steps {
        match step {
            Step::Field(name) => {
                schema = &schema["properties"][name];
                let fields = place.as_object_mut().unwrap();
                place = fields.entry(name.clone()).or_insert_with(|| least(name, schema));
            }
            Step::Item => {
                schema = &schema["items"];
                if place.as_array().unwrap().is_empty() {
                    place.as_array_mut().unwrap().push(least("", schema));
                }
                place = &mut place[0];
            }
            Step::Key => {
                schema = &schema["additionalProperties"];
                place = &mut place["key"];
            }
        }
    }
    *place = value;
    spec
}

fn walk(root: &Value, schema: &Value, steps: &mut Vec<Step>, path: &str, found: &mut Vec<Bad>) {
    let name = match steps.last() {
        Some(Step::Field(name)) => name.clone(),
        _ => String::new(),
    };
    for (keyword, value) in broken(&name, schema) {
        found.push(Bad { what: format!("{path} {keyword}"), spec: spec_with(root, steps, value) });
    }
    for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let mut without = least(&name, schema);
        without.as_object_mut().unwrap().remove(field);
        if steps.is_empty() {
            continue;
        }
        found.push(Bad { what: format!("{path}.{field} required"), spec: spec_with(root, steps, without) });
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        steps.push(Step::Field(name.clone()));
        walk(root, field, steps, &format!("{path}.{name}"), found);
        steps.pop();
    }
    for (key, mark, step) in [("items", "[]", Step::Item), ("additionalProperties", "{}", Step::Key)] {
        if schema[key].is_object() {
            steps.push(step);
            walk(root, &schema[key], steps, &format!("{path}{mark}"), found);
            steps.pop();
        }
    }
}

/// One bad spec for each limit of the spec's schema.
pub(super) fn bad() -> Vec<Bad> {
    let spec = &schemas()[0].published["properties"]["spec"];
    let mut found = Vec::new();
    walk(spec, spec, &mut Vec::new(), "spec", &mut found);
    found.retain(|bad| bad.what != "spec type"); // there is no such object at all
    found
}
