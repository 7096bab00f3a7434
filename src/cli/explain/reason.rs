//! A reason: what it means, what is behind it, what to do. The same words as docs/reasons.

use anyhow::bail;
use modelyard_core::api::Reason;
use modelyard_core::schema::nearest;
use serde_json::{Value, json};

use super::page::wrapped;
use crate::cli::cluster::Table;

/// One reason, or a table of all.
pub(super) fn explain(name: Option<&str>, for_programs: bool) -> anyhow::Result<String> {
    let Some(name) = name else {
        if for_programs {
            return Ok(format!("{:#}\n", Reason::ALL.iter().map(|reason| json(*reason)).collect::<Value>()));
        }
        let mut table = Table::new(&["REASON", "MEANING"]);
        Reason::ALL.iter().for_each(|reason| table.row([reason.to_string(), reason.meaning().to_owned()]));
        return Ok(table.lines(""));
    };
    let Some(reason) = Reason::ALL.iter().copied().find(|reason| reason.as_str().eq_ignore_ascii_case(name)) else {
        let near = nearest(name, Reason::ALL.iter().map(|reason| reason.as_str()));
        let hint =
            near.map_or_else(|| "; modelyard explain reason lists all".to_owned(), |near| format!("; did you mean {near}?"));
        bail!("there is no reason {name:?}{hint}");
    };
    Ok(if for_programs { format!("{:#}\n", json(reason)) } else { text(reason) })
}

fn text(reason: Reason) -> String {
    let page = reason.page();
    let mut text = format!("REASON:     {reason}\nMEANING:    {}\nWHO ACTS:   {}.\n", reason.meaning(), reason.class().words());
    text += &format!("\nWHEN:\n{}", wrapped(page.when, 4));
    for (heading, lines) in [("CAUSES", page.causes), ("WHAT TO DO", page.remedies)] {
        if !lines.is_empty() {
            text += &format!("\n{heading}:\n{}", lines.iter().map(|line| item(line)).collect::<String>());
        }
    }
    text.replace('`', "")
}

/// A line with a dash before it, broken below itself.
fn item(line: &str) -> String {
    let broken = wrapped(line, 4);
    format!("  - {}", broken.trim_start())
}

fn json(reason: Reason) -> Value {
    let page = reason.page();
    json!({
        "reason": reason, "meaning": reason.meaning(), "whoActs": reason.class().words(), "advice": reason.advice(),
        "when": page.when, "causes": page.causes, "remedies": page.remedies,
    })
}

/// The page of docs/reasons.
#[must_use]
pub(crate) fn markdown(reason: Reason) -> String {
    let page = reason.page();
    let mut text = format!("{GENERATED}# {reason}\n\n{}\n\n{}\n\n", reason.meaning(), page.when);
    text += &format!("Who acts: {}.\n", reason.class().words());
    for (heading, mark, lines) in [("Causes", "-", page.causes), ("What to do", "1.", page.remedies)] {
        if !lines.is_empty() {
            text += &format!("\n## {heading}\n\n{}", lines.iter().map(|line| format!("{mark} {line}\n")).collect::<String>());
        }
    }
    text + "\n[All reasons](README.md). On a terminal: `modelyard explain reason " + reason.as_str() + "`.\n"
}

/// The page that lists them, by who is to act.
#[must_use]
pub(crate) fn index() -> String {
    use modelyard_core::api::Class;

    let mut text = format!(
        "{GENERATED}# Reasons\n\nOne word names what happened: in conditions, events, metrics and local mode's table alike. "
    );
    text += "Each has a page with what is behind it and what to do; `modelyard explain reason NAME` prints the same.\n";
    for (class, heading) in [
        (Class::Well, "Well"),
        (Class::UnderWay, "Under way"),
        (Class::User, "Yours to mend"),
        (Class::World, "Tried again by itself"),
    ] {
        text += &format!("\n## {heading}\n\n| reason | meaning | in short |\n|---|---|---|\n");
        for reason in Reason::ALL.iter().filter(|reason| reason.class() == class) {
            text += &format!("| [{reason}]({reason}.md) | {} | {} |\n", reason.meaning(), reason.advice());
        }
    }
    text
}

/// The first line of what is generated.
const GENERATED: &str = "<!-- Generated from crates/core/src/api by `make generate`: change that. -->\n\n";
