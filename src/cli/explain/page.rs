//! The page that kubectl explain prints, and the same as JSON.

use modelyard_core::schema::Schema;
use serde_json::{Value, json};

use super::field::Field;

const WIDTH: usize = 80;

/// The page as text.
pub(super) fn text(schema: &Schema, field: &Field<'_>, recursive: bool) -> String {
    let mut page = format!("GROUP:      {}\nKIND:       {}\nVERSION:    {}\n\n", schema.group, schema.kind, schema.version);
    if !field.path.is_empty() {
        page += &format!("FIELD: {} {}\n\n", field.name, marks(field));
    }
    let choices = field.choices();
    if !choices.is_empty() {
        page += &format!("ENUM:\n{}\n", choices.iter().map(|one| format!("    {one}\n")).collect::<String>());
    }
    page += &format!("DESCRIPTION:\n{}\n", wrapped(&field.description(), 4));
    let facts = facts(field);
    if !facts.is_empty() && !field.path.is_empty() {
        page += &facts.iter().map(|(word, value)| format!("    {word}: {value}\n")).collect::<String>();
        page += "\n";
    }
    let rules = field.rules();
    if !rules.is_empty() {
        page += &format!("RULES:\n{}\n", rules.iter().map(|rule| wrapped(rule, 4)).collect::<String>());
    }
    let fields = field.fields();
    if !fields.is_empty() {
        page += "FIELDS:\n";
        if recursive { tree(field, 2, &mut page) } else { page += &fields.iter().map(entry).collect::<String>() }
    }
    page.truncate(page.trim_end().len());
    page + "\n"
}

/// One field of several, with its documentation.
fn entry(field: &Field<'_>) -> String {
    let mut text = format!("  {}\t{}\n", field.name, marks(field));
    let choices = field.choices();
    if !choices.is_empty() {
        text += &format!("    enum: {}\n", choices.join(", "));
    }
    if let Some(default) = default(field) {
        text += &format!("    default: {default}\n");
    }
    text + &wrapped(&field.description(), 4) + "\n"
}

fn tree(field: &Field<'_>, indent: usize, page: &mut String) {
    for below in field.fields() {
        let default = default(&below).filter(|_| below.fields().is_empty()).map(|value| format!(" default: {value}"));
        *page += &format!("{}{}\t{}{}\n", " ".repeat(indent), below.name, marks(&below), default.unwrap_or_default());
        tree(&below, indent + 2, page);
    }
}

fn marks(field: &Field<'_>) -> String {
    format!("<{}>{}", field.type_name(), if field.required { " -required-" } else { "" })
}

fn default(field: &Field<'_>) -> Option<String> {
    field.schema.get("default").map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn facts(field: &Field<'_>) -> Vec<(&'static str, String)> {
    default(field).map(|value| ("default", value)).into_iter().chain(field.limits()).collect()
}

/// Paragraphs broken at the width, each line indented.
pub(super) fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = Vec::new();
    for paragraph in text.split("\n\n") {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        lines.push(line);
    }
    lines.iter().map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}

/// The page as JSON.
pub(super) fn json(schema: &Schema, field: &Field<'_>, recursive: bool) -> Value {
    let mut page = json!({ "group": schema.group, "version": schema.version, "kind": schema.kind });
    if let (Some(page), Value::Object(rest)) = (page.as_object_mut(), one(field, true, recursive)) {
        page.extend(rest);
    }
    page
}

fn one(field: &Field<'_>, with_fields: bool, recursive: bool) -> Value {
    const KEPT: [&str; 10] =
        ["default", "enum", "format", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern"];
    let mut page = json!({
        "path": field.path, "name": field.name, "type": field.type_name(), "required": field.required,
        "description": field.description(),
    });
    for key in KEPT {
        if let Some(value) = field.schema.get(key) {
            page[key] = value.clone();
        }
    }
    let rules = field.rules();
    if !rules.is_empty() {
        page["rules"] = json!(rules);
    }
    let fields = field.fields();
    if with_fields && !fields.is_empty() {
        page["fields"] = fields.iter().map(|below| one(below, recursive, recursive)).collect();
    }
    page
}
