//! The figures in a terminal, or as JSON.

use std::fmt::Write as _;

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::figures::{Classes, Evaluation};
use crate::cli::stdout;

/// Classes up to which the confusion matrix fits a terminal.
const MATRIX: usize = 16;

/// Prints for reading.
pub(super) fn table(evaluation: &Evaluation) -> anyhow::Result<()> {
    stdout::print(&render(evaluation)).context("cannot write the figures")
}

fn render(evaluation: &Evaluation) -> String {
    let mut out = String::new();
    let version = evaluation.version.as_ref().map_or_else(String::new, |version| format!(" version {version}"));
    let _ = writeln!(out, "{}{version}: {} of {} rows\n", evaluation.model, evaluation.task, evaluation.rows);
    for (name, figure) in &evaluation.metrics {
        if *name == "latency_p50_ms" {
            let (batch, concurrency) = evaluation.batch;
            let _ = writeln!(out, "\nrequests of {batch} rows, {concurrency} in flight");
        }
        match figure {
            Ok(value) => {
                let _ = writeln!(out, "  {name:<20} {value:>12.6}");
            }
            Err(why) => {
                let _ = writeln!(out, "  {name:<20} {:>12}  {why}", "undefined");
            }
        }
    }
    if let Some(classes) = &evaluation.classes {
        per_class(&mut out, classes);
        if classes.names.len() <= MATRIX {
            matrix(&mut out, classes);
        }
    }
    out
}

fn per_class(out: &mut String, classes: &Classes) {
    let name = |class: usize| classes.names[class].as_str();
    let width = classes.scores.iter().map(|one| name(one.class).chars().count()).max().unwrap_or(0).max(5);
    let _ = writeln!(out, "\n  {:width$}  precision     recall         f1    support", "class");
    for one in &classes.scores {
        let _ = writeln!(
            out,
            "  {:width$}  {:9.4}  {:9.4}  {:9.4}  {:9}",
            name(one.class),
            one.precision,
            one.recall,
            one.f1,
            one.support
        );
    }
}

fn matrix(out: &mut String, classes: &Classes) {
    let counts = classes.confusion.to_rows();
    let digits = counts.iter().flatten().map(|count| count.to_string().len()).max().unwrap_or(1);
    let names: Vec<String> = classes.names.iter().map(|name| name.chars().take(12).collect()).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(1);
    let cell = digits.max(width.min(6)) + 1;
    let _ = writeln!(out, "\n  confusion matrix: a row per true class, a column per predicted one\n");
    let heads: String = names.iter().map(|name| format!("{:>cell$}", name.chars().take(cell - 1).collect::<String>())).collect();
    let _ = writeln!(out, "  {:width$} {heads}", "");
    for (name, row) in names.iter().zip(&counts) {
        let cells: String =
            row.iter().map(|count| if *count == 0 { format!("{:>cell$}", ".") } else { format!("{count:>cell$}") }).collect();
        let _ = writeln!(out, "  {name:width$} {cells}");
    }
}

/// Prints all figures as JSON; an undefined one is null, with its reason under `undefined`.
pub(super) fn json(evaluation: &Evaluation) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(&document(evaluation))?;
    text.push('\n');
    stdout::print(&text).context("cannot write the figures")
}

fn document(evaluation: &Evaluation) -> Value {
    let (mut metrics, mut undefined) = (Map::new(), Map::new());
    for (name, figure) in &evaluation.metrics {
        metrics.insert((*name).to_owned(), figure.as_ref().map_or(Value::Null, |value| json!(value)));
        if let Err(why) = figure {
            undefined.insert((*name).to_owned(), json!(why.to_string()));
        }
    }
    let (batch, concurrency) = evaluation.batch;
    let mut document = json!({
        "model": evaluation.model,
        "version": evaluation.version,
        "task": evaluation.task,
        "rows": evaluation.rows,
        "metrics": metrics,
        "undefined": undefined,
        "requests": {"batch": batch, "concurrency": concurrency},
    });
    if let Some(classes) = &evaluation.classes {
        let per_class: Vec<Value> = classes
            .scores
            .iter()
            .map(|one| {
                let curves = classes.curves.iter().find(|curves| curves.class == one.class);
                json!({
                    "class": classes.names[one.class],
                    "precision": one.precision,
                    "recall": one.recall,
                    "f1": one.f1,
                    "support": one.support,
                    "roc_auc": curves.map(|curves| curves.roc_auc),
                    "average_precision": curves.map(|curves| curves.average_precision),
                })
            })
            .collect();
        document["per_class"] = Value::Array(per_class);
        document["confusion"] = json!({"classes": classes.names, "counts": classes.confusion.to_rows()});
    }
    document
}
