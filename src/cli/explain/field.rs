//! A field as its schema describes it.

use modelyard_core::schema::Schema;
use serde_json::Value;

/// One field: where it is, and its schema.
pub(crate) struct Field<'a> {
    /// Its name; the kind's at the root.
    pub(crate) name: String,
    /// Its path; empty at the root.
    pub(crate) path: String,
    /// Whether the object around it must have it.
    pub(crate) required: bool,
    /// Its schema.
    pub(crate) schema: &'a Value,
}

impl<'a> Field<'a> {
    /// The whole object.
    pub(crate) fn root(schema: &'a Schema) -> Self {
        Self { name: schema.kind.clone(), path: String::new(), required: false, schema: &schema.root }
    }

    /// The field of a name; of a list, its items' field.
    pub(crate) fn below(&self, name: &str) -> Option<Self> {
        self.fields().into_iter().find(|field| field.name == name)
    }

    /// The fields, by name; required ones are not moved forward.
    pub(crate) fn fields(&self) -> Vec<Self> {
        let inner = element(self.schema);
        let required = |name: &str| inner["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
        let properties = inner["properties"].as_object().into_iter().flatten();
        properties
            .map(|(name, schema)| Self {
                name: name.clone(),
                path: if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) },
                required: required(name),
                schema,
            })
            .collect()
    }

    /// `string`, `[]Object`, `map[string]string`, as kubectl names types.
    pub(crate) fn type_name(&self) -> String {
        type_name(self.schema)
    }

    /// The documentation; lines that only the source breaks are joined.
    pub(crate) fn description(&self) -> String {
        let text = self.schema["description"].as_str().unwrap_or_default();
        text.split("\n\n")
            .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    /// The values of an enumeration.
    pub(crate) fn choices(&self) -> Vec<String> {
        let values = element(self.schema)["enum"].as_array().into_iter().flatten();
        values.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect()
    }

    /// Limits of the value, each as a word and a value.
    pub(crate) fn limits(&self) -> Vec<(&'static str, String)> {
        const WORDS: [(&str, &str); 7] = [
            ("minimum", "minimum"),
            ("maximum", "maximum"),
            ("minLength", "min length"),
            ("maxLength", "max length"),
            ("minItems", "min items"),
            ("maxItems", "max items"),
            ("pattern", "pattern"),
        ];
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let limits = WORDS.iter().filter_map(|(key, word)| self.schema.get(key).map(|value| (*word, shown(value))));
        limits.map(|(word, value)| (word, value.trim_end_matches(".0").to_owned())).collect()
    }

    /// What the rules demand, in words.
    pub(crate) fn rules(&self) -> Vec<String> {
        let rules = self.schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        rules.filter_map(|rule| rule["message"].as_str().or_else(|| rule["rule"].as_str())).map(str::to_owned).collect()
    }
}

/// What a list is made of; anything else is itself.
fn element(schema: &Value) -> &Value {
    let mut inner = schema;
    while inner["items"].is_object() {
        inner = &inner["items"];
    }
    inner
}

fn type_name(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "IntOrString".to_owned();
    }
    match schema["type"].as_str() {
        Some("array") => format!("[]{}", type_name(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map[string]{}", type_name(&schema["additionalProperties"]))
        }
        Some("object") | None => "Object".to_owned(),
        Some(name) => name.to_owned(),
    }
}
