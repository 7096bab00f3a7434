//! What each step did, for people and for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::trial::Outcome;
use super::variants::Variant;
use super::verdict::quickest;

/// The whole report.
pub(super) struct Report<'a> {
    model: &'a Path,
    out: &'a Path,
    pub(super) rows: Vec<Row>,
    /// Why the result is not worth having.
    pub(super) refusal: Option<String>,
    pub(super) written: bool,
}

/// A model after a step.
#[derive(Default)]
pub(super) struct Row {
    step: &'static str,
    changed: usize,
    note: String,
    nodes: usize,
    bytes: u64,
    /// By engine; empty where nothing was measured.
    pub(super) outcomes: Vec<(&'static str, Outcome)>,
}

impl Row {
    /// One that was measured, and nothing else.
    #[cfg(test)]
    pub(super) fn told(outcomes: Vec<(&'static str, Outcome)>) -> Self {
        Self { outcomes, ..Self::default() }
    }
}

/// An engine's outcomes for all models.
pub(super) type Column = (&'static str, Vec<Outcome>);

impl<'a> Report<'a> {
    pub(super) fn new(model: &'a Path, out: &'a Path, variants: &[Variant], measured: Vec<Column>) -> Self {
        let mut rows: Vec<Row> = variants.iter().map(row).collect();
        for (engine, outcomes) in measured {
            rows.iter_mut().zip(outcomes).for_each(|(row, outcome)| row.outcomes.push((engine, outcome)));
        }
        Self { model, out, rows, refusal: None, written: false }
    }

    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        let _ = write!(out, "{:<10}  {:>7}  {:>6}  {:>12}  {:>5}", "step", "changed", "nodes", "bytes", "of");
        let engines: Vec<&str> = self.rows.first().into_iter().flat_map(|row| &row.outcomes).map(|(engine, _)| *engine).collect();
        let metric = self.metric();
        for _ in &engines {
            let _ = write!(out, "  {metric:>10}  {:>10}  {:>5}", "us/run", "of");
        }
        out.push('\n');
        if engines.len() > 1 {
            let _ = write!(out, "{:<48}", "");
            for engine in &engines {
                let _ = write!(out, "  {engine:>width$}", width = metric.len().max(10) + 19);
            }
            out.push('\n');
        }
        for row in &self.rows {
            let share = share(row.bytes as f64, self.rows[0].bytes as f64);
            let _ = write!(out, "{:<10}  {:>7}  {:>6}  {:>12}  {share:>5}", row.step, row.changed, row.nodes, row.bytes);
            for ((_, now), (_, first)) in row.outcomes.iter().zip(&self.rows[0].outcomes) {
                let width = metric.len().max(10);
                let _ = match (now.ran(), first.ran()) {
                    (Some(now), first) => {
                        let share = first.map_or_else(String::new, |first| self::share(now.microseconds, first.microseconds));
                        write!(out, "  {:>width$.6}  {:>10.1}  {share:>5}", now.figure, now.microseconds)
                    }
                    (None, _) => write!(out, "  {:>width$}", "does not run", width = width + 19),
                };
            }
            out.push('\n');
        }
        for row in &self.rows {
            if !row.note.is_empty() {
                let _ = writeln!(out, "{}: {}", row.step, row.note);
            }
            for (engine, outcome) in &row.outcomes {
                if let Outcome::Failed(why) = outcome {
                    let _ = writeln!(out, "{}, {engine}: {why}", row.step);
                }
            }
        }
        let out_file = self.out.display();
        let _ = match (&self.refusal, self.written) {
            (None, _) => writeln!(out, "\nwritten: {out_file}"),
            (Some(why), true) => writeln!(out, "\nwritten by --force: {out_file}, though {why}"),
            (Some(why), false) => writeln!(out, "\nnot written: {why} (--force writes it even so)"),
        };
        out
    }

    fn metric(&self) -> &str {
        let outcomes = self.rows.iter().flat_map(|row| &row.outcomes);
        outcomes.filter_map(|(_, outcome)| outcome.ran()).map(|one| one.metric.as_str()).next().unwrap_or("figure")
    }

    pub(super) fn json(&self) -> String {
        let engine = |(engine, outcome): &(&'static str, Outcome)| match outcome {
            Outcome::Ran(one) => json!({"engine": engine, "figure": one.figure, "microsecondsPerRun": one.microseconds}),
            Outcome::Failed(why) => json!({"engine": engine, "failure": why}),
        };
        let step = |row: &Row| {
            let ran = || row.outcomes.iter().filter_map(|(_, outcome)| outcome.ran());
            json!({
                "step": row.step,
                "changed": row.changed,
                "note": if row.note.is_empty() { Value::Null } else { Value::from(row.note.as_str()) },
                "nodes": row.nodes,
                "bytes": row.bytes,
                "metric": ran().next().map(|one| &one.metric),
                // Of several engines the lowest figure, and the shortest run: what a refusal looks at.
                "figure": ran().map(|one| one.figure).reduce(f64::min),
                "microsecondsPerRun": quickest(row).map(|(_, microseconds)| microseconds),
                "engines": row.outcomes.iter().map(engine).collect::<Vec<_>>(),
            })
        };
        let report = json!({
            "model": self.model,
            "out": self.out,
            "written": self.written,
            "refusal": self.refusal,
            "steps": self.rows.iter().map(step).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }
}

fn row(variant: &Variant) -> Row {
    Row {
        step: variant.name,
        changed: variant.changed,
        note: variant.note.clone(),
        nodes: variant.model.graph.as_ref().map_or(0, |graph| graph.node.len()),
        bytes: modelyard_onnx::size(&variant.model),
        outcomes: Vec::new(),
    }
}

fn share(value: f64, of: f64) -> String {
    format!("{:.0} %", value / of * 100.0)
}
