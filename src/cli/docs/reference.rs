//! Every field of every kind, from the schema that the cluster enforces.

use modelyard_core::schema::{Schema, schemas};

use crate::cli::explain::field::Field;

/// Kubernetes' own objects inside ours are one line each: their reference is Kubernetes'.
const KUBERNETES: [(&str, &str); 5] = [
    ("spec.pod.affinity", "Affinity"),
    ("spec.pod.env", "EnvVar"),
    ("spec.pod.tolerations", "Toleration"),
    ("spec.pod.topologySpreadConstraints", "TopologySpreadConstraint"),
    ("spec.networkPolicy.from", "NetworkPolicyPeer"),
];

pub(super) fn markdown() -> String {
    let mut text = "<!-- Generated from crates/core/src/api by `make generate`: change that. -->\n\n# Reference\n\n".to_owned();
    text += "Every field, as the cluster checks it. [ModelDeployment](deployment-yaml.md) tells the same with examples; `modelyard explain \
             PATH` prints one field.\n";
    for schema in schemas() {
        kind(schema, &mut text);
    }
    text
}

fn kind(schema: &Schema, text: &mut String) {
    let root = Field::root(schema);
    *text += &format!("\n## {}\n\n`{}`. {}\n", schema.kind, schema.api_version, line(&root.description()));
    rules(&root, text);
    for name in ["spec", "status"] {
        if let Some(field) = root.below(name) {
            section(&field, text);
        }
    }
}

/// A table of the fields of one object, then those of the objects below it.
fn section(field: &Field<'_>, text: &mut String) {
    *text += &format!("\n### {}\n\n{}\n", field.path, line(&field.description()));
    rules(field, text);
    *text += "\n| field | type | default | meaning |\n|---|---|---|---|\n";
    let fields = field.fields();
    for one in &fields {
        let required = if one.required { ", required" } else { "" };
        let default = one.schema.get("default").filter(|value| !value.is_object());
        let default = default.map(|value| format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        let mut meaning = line(&one.description());
        if let Some(kind) = kubernetes(&one.path) {
            meaning += &format!(" Kubernetes' own {kind}.");
        }
        // The rules of an object stand in its own section.
        let rules = if has_section(one) { Vec::new() } else { one.rules() };
        for limit in limits(one).into_iter().chain(rules) {
            meaning += &format!("<br>{}", line(&limit));
        }
        let (name, kind) = (&one.name, one.type_name());
        *text += &format!("| `{name}` | {kind}{required} | {} | {} |\n", default.unwrap_or_default(), cell(&meaning));
    }
    for one in fields.iter().filter(|one| has_section(one)) {
        section(one, text);
    }
}

fn has_section(field: &Field<'_>) -> bool {
    !field.fields().is_empty() && kubernetes(&field.path).is_none()
}

fn limits(field: &Field<'_>) -> Vec<String> {
    let choices = field.choices();
    let one_of = (!choices.is_empty()).then(|| format!("one of {}", choices.join(", ")));
    let numbers = field.limits().into_iter().map(|(word, value)| match word {
        "pattern" => format!("pattern `{value}`"),
        _ => format!("{word} {value}"),
    });
    one_of.into_iter().chain(numbers).collect()
}

fn rules(field: &Field<'_>, text: &mut String) {
    for rule in field.rules() {
        *text += &format!("\nRule: {}.\n", line(&rule).trim_end_matches('.'));
    }
}

fn kubernetes(path: &str) -> Option<&'static str> {
    KUBERNETES.iter().find(|(known, _)| *known == path).map(|(_, kind)| *kind)
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
