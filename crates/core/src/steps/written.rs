//! A step as people write it, and as Kubernetes' schema can say it: one object with the fields of all operations. Structural
//! schemas have no unions, so which operation takes which field is checked where the object is resolved, by the table that the
//! enumeration itself gives.

use std::borrow::Cow;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Step;
use crate::schema::nearest;

/// A step with its fields, not yet known to be right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WrittenStep(Map<String, Value>);

/// What is wrong with a written step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The field; empty where it is the step as a whole.
    pub field: String,
    /// What was found, and what was expected.
    pub message: String,
}

/// What one operation takes.
struct Form {
    op: String,
    fields: Map<String, Value>,
    required: Vec<String>,
}

/// What fields mean that several operations have.
const SHARED: [(&str, &str); 11] = [
    ("columns", "The columns that it works on, by name."),
    ("to", "Names of the columns that it makes."),
    ("width", "How much a row is: values (Input), pixels of a line (Image), tokens, where all rows have as many (Tokenize)."),
    ("datatype", "What kind of elements: without it FP32, of Bytes INT32, of Tokenize INT64."),
    ("values", "Numbers: what is put in, or what is known. One for all columns, or one for each."),
    ("texts", "Texts: what is put in, what is known, or names of classes."),
    ("min", "Lower bounds: one for all columns, or one for each value of a row."),
    ("max", "Upper bounds: one for all columns, or one for each value of a row."),
    ("mean", "Means: one for all columns, or one for each value of a row."),
    ("center", "Medians: one for all columns, or one for each value of a row."),
    ("scale", "Scales: one for all columns, or one for each value of a row."),
];

/// Items of one list at most.
const MOST_ITEMS: u32 = 4096;
/// Characters of one name or text at most.
const LONGEST: u32 = 1024;

static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let schema = Step::json_schema(&mut settings.into_generator()).to_value();
    schema["oneOf"].as_array().into_iter().flatten().filter_map(Form::of).collect()
});

impl Form {
    fn of(variant: &Value) -> Option<Self> {
        let mut fields = variant["properties"].as_object()?.clone();
        let tag = fields.shift_remove("op")?;
        let op = tag["const"].as_str().or_else(|| tag["enum"][0].as_str())?.to_owned();
        let required = variant["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let required = required.filter(|name| *name != "op").map(ToOwned::to_owned).collect();
        Some(Self { op, fields, required })
    }
}

impl WrittenStep {
    /// The step, if it is one.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn step(&self) -> Result<Step, Misfit> {
        let misfit = |field: &str, message: String| Err(Misfit { field: field.to_owned(), message });
        let Some(op) = self.0.get("op").and_then(Value::as_str) else {
            return misfit("op", "expected the name of an operation, found none".to_owned());
        };
        let Some(form) = FORMS.iter().find(|form| form.op == op) else {
            let hint = nearest(op, FORMS.iter().map(|form| form.op.as_str()));
            let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            return misfit("op", format!("there is no operation {op}{hint}"));
        };
        if let Some(name) = self.0.keys().find(|name| *name != "op" && !form.fields.contains_key(*name)) {
            let takes = form.fields.keys().map(String::as_str).collect::<Vec<_>>();
            let hint = nearest(name, takes.iter().copied()).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return misfit(name, format!("{op} has no field {name}, it takes {}{hint}", takes.join(", ")));
        }
        if let Some(name) = form.required.iter().find(|name| !self.0.contains_key(*name)) {
            return misfit(name, format!("{op} needs it, found none"));
        }
        let step: Step = serde_json::from_value(Value::Object(self.0.clone()))
            .map_err(|error| Misfit { field: String::new(), message: error.to_string() })?;
        step.check().map_err(|wrong| Misfit { field: wrong.field.to_owned(), message: wrong.message })?;
        Ok(step)
    }
}

impl From<&Step> for WrittenStep {
    fn from(step: &Step) -> Self {
        match serde_json::to_value(step) {
            Ok(Value::Object(fields)) => Self(fields),
            // A step is an object.
            _ => Self(Map::new()),
        }
    }
}

impl JsonSchema for WrittenStep {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = FORMS.iter().map(|form| form.op.as_str()).collect();
        let mut properties = Map::new();
        properties.insert(
            "op".to_owned(),
            json!({
                "type": "string", "enum": names,
                "description": "What is done. Which fields an operation takes, and what it does to columns, is in docs/steps.md."
            }),
        );
        for form in FORMS.iter() {
            for (name, field) in &form.fields {
                let described = described(name, field);
                let known = properties.entry(name.clone()).or_insert_with(|| plain(field));
                // Of several operations the first that says something describes the field.
                if known["description"].is_null() && !described.is_null() {
                    known["description"] = described;
                }
            }
        }
        let mut schema = Schema::default();
        schema.insert("type".to_owned(), json!("object"));
        schema.insert("description".to_owned(), json!("One step over columns, row by row."));
        schema.insert("required".to_owned(), json!(["op", "columns"]));
        schema.insert("properties".to_owned(), Value::Object(properties));
        schema
    }
}

/// What a field means: what is said of it for all operations, or where it is declared.
fn described(name: &str, field: &Value) -> Value {
    let shared = SHARED.iter().find(|(shared, _)| *shared == name).map(|(_, words)| (*words).to_owned());
    let own = || field["description"].as_str().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let words = shared.or_else(own);
    let ops: Vec<&str> = FORMS.iter().filter(|form| form.fields.contains_key(name)).map(|form| form.op.as_str()).collect();
    match words {
        Some(words) if ops.len() < FORMS.len() => json!(format!("{words} Of {}.", ops.join(", "))),
        Some(words) => json!(words),
        None => Value::Null,
    }
}

/// A field's schema as a structural one, bounded.
fn plain(field: &Value) -> Value {
    let field =
        ["anyOf", "oneOf", "allOf"].iter().find_map(|choice| alternatives(&field[*choice])).unwrap_or_else(|| field.clone());
    let mut kept = Map::new();
    let kind = match &field["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default(),
        kind => kind.clone(),
    };
    kept.insert("type".to_owned(), kind.clone());
    match kind.as_str() {
        Some("array") => {
            let items = plain(&field["items"]);
            kept.extend([
                ("items".to_owned(), items),
                ("maxItems".to_owned(), json!(MOST_ITEMS)),
                ("x-kubernetes-list-type".to_owned(), json!("atomic")),
            ]);
        }
        Some("string") if field["enum"].is_null() => {
            kept.insert("maxLength".to_owned(), json!(LONGEST));
        }
        _ => {}
    }
    if let Some(choices) = field["enum"].as_array() {
        kept.insert("enum".to_owned(), choices.iter().filter(|choice| !choice.is_null()).cloned().collect());
    }
    for name in ["minimum", "maximum"] {
        if !field[name].is_null() {
            kept.insert(name.to_owned(), field[name].clone());
        }
    }
    // A whole number travels as one of 64 bits.
    if kind == "integer" {
        kept.insert("format".to_owned(), json!("int64"));
    }
    Value::Object(kept)
}

/// An optional value's own schema; of names with a description each, one enumeration.
fn alternatives(choices: &Value) -> Option<Value> {
    let choices = choices.as_array()?;
    let names: Vec<&Value> = choices.iter().filter_map(|one| one.get("const").or_else(|| one["enum"].get(0))).collect();
    if names.len() == choices.len() && choices.iter().all(|one| one["enum"].as_array().is_none_or(|all| all.len() == 1)) {
        return Some(json!({ "type": "string", "enum": names }));
    }
    let one = choices.iter().find(|one| one["type"] != "null" && one["enum"] != json!([null]))?;
    Some(["anyOf", "oneOf", "allOf"].iter().find_map(|choice| alternatives(&one[*choice])).unwrap_or_else(|| one.clone()))
}
