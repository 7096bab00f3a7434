//! What the operator may do, and why, from the table that the chart's roles are made of.

use modelyard_core::rights::{PARTS, Part, Right};

pub(super) fn markdown() -> String {
    let mut text =
        "<!-- Generated from crates/core/src/rights.rs by `make generate`: change that. -->\n\n# The operator's rights\n"
            .to_owned();
    text += "\nThe chart grants exactly these; `modelyard rbac` prints them as rules of roles. [Security](security.md) has the rest.\n";
    for Part { name: _, place, rights } in PARTS {
        text += &format!("\n## {}\n\n| resource | verbs | what for |\n|---|---|---|\n", place.trim_end_matches('.'));
        for Right { group, resource, names, verbs, why } in rights {
            let group = if group.is_empty() { String::new() } else { format!(" of `{group}`") };
            let only = if names.is_empty() { String::new() } else { format!(", only `{}`", names.join("`, `")) };
            text += &format!("| `{resource}`{group}{only} | {} | {why} |\n", verbs.join(", "));
        }
    }
    text
}
