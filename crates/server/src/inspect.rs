//! What a file holds and whether it will run, before anything is deployed.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::engine::sample::{self, Proof};
use crate::engine::{Facts, LoadError, Problem};
use crate::signature::{Signature, TensorSpec};
use modelyard_store as store;

/// What a file holds, and what keeps it from running.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The file, as it was named.
    pub file: String,
    /// Whether the engine loaded it, and it answers its sample where it has one.
    pub loadable: bool,
    /// Seconds that loading took, plan for one row included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_seconds: Option<f64>,
    /// What it takes and gives; as loaded, or else as far as the file declares it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Shown>,
    /// What the file holds; absent where it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// What its sample proved; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Proof>,
    /// What keeps it from running, all of it.
    pub problems: Vec<Problem>,
}

/// A signature in words.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The inputs.
    pub inputs: Vec<Port>,
    /// The outputs.
    pub outputs: Vec<Port>,
    /// Whether rows may be batched along the first dimension.
    pub batched: bool,
}

/// One declared tensor in words.
#[derive(Clone, Debug, Serialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its datatype in the Open Inference Protocol.
    pub datatype: &'static str,
    /// Its dimensions, -1 where any size is taken.
    pub shape: Vec<i64>,
}

impl Shown {
    fn of(signature: &Signature) -> Self {
        let port =
            |spec: &TensorSpec| Port { name: spec.name.clone(), datatype: spec.datatype.as_str(), shape: spec.shape.clone() };
        Self {
            inputs: signature.inputs.iter().map(port).collect(),
            outputs: signature.outputs.iter().map(port).collect(),
            batched: signature.batched,
        }
    }
}

/// Reads, checks and loads a file, or the one in a folder. Never fails: what is wrong is in the report.
pub fn inspect(path: &Path) -> Report {
    let mut report = Report {
        file: path.display().to_string(),
        loadable: false,
        load_seconds: None,
        signature: None,
        facts: None,
        sample: None,
        problems: Vec::new(),
    };
    let path = &match store::model_file(path) {
        Ok(file) => file,
        Err(error) => {
            let problem = Problem { node: String::new(), operator: "model".to_owned(), reason: error.to_string() };
            return Report { problems: vec![problem], ..report };
        }
    };
    report.file = path.display().to_string();
    match crate::engine::examine(path) {
        Ok(examined) => {
            report.signature = examined.signature.as_ref().map(Shown::of);
            report.facts = Some(examined.facts);
            report.problems = examined.problems;
        }
        Err(error) => report.problems.push(whole(&error)),
    }
    if !report.problems.is_empty() {
        return report;
    }
    let begun = Instant::now();
    match crate::engine::load(path) {
        Ok(engine) => {
            report.load_seconds = Some(begun.elapsed().as_secs_f64());
            report.loadable = true;
            report.signature = Some(Shown::of(engine.signature()));
            report.facts = Some(engine.facts().clone());
            match sample::prove(&*engine, path.parent().unwrap_or(Path::new(""))) {
                Ok(proof) => report.sample = proof,
                Err(error) => {
                    report.fail(Problem { node: String::new(), operator: "sample".to_owned(), reason: with_causes(&error) })
                }
            }
        }
        Err(error) => report.problems.push(whole(&error)),
    }
    report
}

impl Report {
    fn fail(&mut self, problem: Problem) {
        self.loadable = false;
        self.problems.push(problem);
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

/// An error of the file as a whole.
fn whole(error: &LoadError) -> Problem {
    let reason = match error {
        LoadError::Unsupported(reason) | LoadError::Invalid(reason) => reason.clone(),
        LoadError::Read { path, source } => format!("cannot read {path}: {source}"),
    };
    Problem { node: String::new(), operator: "model".to_owned(), reason }
}

/// The report for a person.
pub fn print(report: &Report) -> String {
    let mut text = format!("{}\n", report.file);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<11} {value}");
        }
    };
    if let Some(facts) = &report.facts {
        line("producer", &facts.producer);
        line("opset", &facts.opsets.join(", "));
        line("size", &format!("{} bytes, {} parameters", facts.bytes, facts.parameters));
        let operators = facts.operators.iter().map(|(name, count)| format!("{name} x{count}")).collect::<Vec<_>>();
        line("operators", &operators.join(", "));
    }
    if let Some(signature) = &report.signature {
        for (what, ports) in [("input", &signature.inputs), ("output", &signature.outputs)] {
            ports.iter().for_each(|port| line(what, &format!("{} {} {:?}", port.name, port.datatype, port.shape)));
        }
        line("batched", if signature.batched { "yes: rows of several requests may run together" } else { "no" });
    }
    match report.load_seconds {
        Some(seconds) => line("runs", &format!("yes: loaded in {:.1} ms", seconds * 1000.0)),
        None => line("runs", "no"),
    }
    if let Some(proof) = report.sample {
        line("sample", &format!("answered as expected, in {:.3} ms", proof.nanos as f64 / 1e6));
    }
    for problem in &report.problems {
        match problem.node.as_str() {
            "" => line("problem", &problem.reason),
            _ => line("problem", &problem.to_string()),
        }
    }
    text
}
