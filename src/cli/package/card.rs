//! A model card, of what the model's file says itself.

use std::fmt::Write as _;

use crate::cli::inspect::{Port, Report};

/// Markdown: what it is, takes and gives. What only people know is left for them to add.
pub(super) fn of(title: &str, report: &Report) -> String {
    let mut text = format!("# {title}\n\n");
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{words}");
    };
    if let Some(facts) = &report.facts {
        line(format_args!("- format: {}", facts.platform));
        if !facts.producer.is_empty() {
            line(format_args!("- made by: {}", facts.producer));
        }
        if !facts.opsets.is_empty() {
            line(format_args!("- operator sets: {}", facts.opsets.join(", ")));
        }
        line(format_args!("- parameters: {}", facts.parameters));
    }
    if let Some(signature) = &report.signature {
        for (heading, ports) in [("Takes", &signature.inputs), ("Gives", &signature.outputs)] {
            line(format_args!("\n## {heading}\n\n| name | datatype | shape |\n|---|---|---|"));
            for Port { name, datatype, shape } in ports {
                line(format_args!("| `{name}` | {datatype} | {shape:?} |"));
            }
        }
        line(format_args!("\n-1 stands for any size."));
    }
    text
}
