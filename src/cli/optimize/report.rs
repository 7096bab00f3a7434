//! What each step did, for people and for programs.

use std::fmt::Write as _;
use std::path::Path;

use prost::Message;
use serde_json::json;

use super::Variant;
use super::trial::Measured;

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
pub(super) struct Row {
    step: &'static str,
    changed: usize,
    nodes: usize,
    bytes: usize,
    pub(super) measured: Option<Measured>,
}

impl<'a> Report<'a> {
    pub(super) fn new(model: &'a Path, out: &'a Path, variants: &[Variant], measured: Option<Vec<Measured>>) -> Self {
        let mut measured = measured.unwrap_or_default().into_iter();
        let row = |variant: &Variant| Row {
            step: variant.name,
            changed: variant.changed,
            nodes: variant.model.graph.as_ref().map_or(0, |graph| graph.node.len()),
            bytes: variant.model.encoded_len(),
            measured: measured.next(),
        };
        Self { model, out, rows: variants.iter().map(row).collect(), refusal: None, written: false }
    }

    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        let metric = self.rows.first().and_then(|row| row.measured.as_ref()).map(|measured| measured.metric.as_str());
        let _ = write!(out, "{:<10}  {:>7}  {:>6}  {:>12}  {:>5}", "step", "changed", "nodes", "bytes", "of");
        if let Some(metric) = metric {
            let _ = write!(out, "  {metric:>10}  {:>10}  {:>5}", "us/run", "of");
        }
        out.push('\n');
        for row in &self.rows {
            let share = share(row.bytes as f64, self.rows[0].bytes as f64);
            let _ = write!(out, "{:<10}  {:>7}  {:>6}  {:>12}  {share:>5}", row.step, row.changed, row.nodes, row.bytes);
            if let (Some(now), Some(first)) = (&row.measured, &self.rows[0].measured) {
                let share = self::share(now.microseconds, first.microseconds);
                let width = now.metric.len().max(10);
                let _ = write!(out, "  {:>width$.6}  {:>10.1}  {share:>5}", now.figure, now.microseconds);
            }
            out.push('\n');
        }
        let out_file = self.out.display();
        let _ = match (&self.refusal, self.written) {
            (None, _) => writeln!(out, "\nwritten: {out_file}"),
            (Some(why), true) => writeln!(out, "\nwritten by --force: {out_file}, though {why}"),
            (Some(why), false) => writeln!(out, "\nnot written: {why} (--force writes it even so)"),
        };
        out
    }

    pub(super) fn json(&self) -> String {
        let step = |row: &Row| {
            let measured = row.measured.as_ref();
            json!({
                "step": row.step,
                "changed": row.changed,
                "nodes": row.nodes,
                "bytes": row.bytes,
                "metric": measured.map(|one| &one.metric),
                "figure": measured.map(|one| one.figure),
                "microsecondsPerRun": measured.map(|one| one.microseconds),
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

fn share(value: f64, of: f64) -> String {
    format!("{:.0} %", value / of * 100.0)
}
