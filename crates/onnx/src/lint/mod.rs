//! What is wrong with an ONNX file beyond what keeps it from being read: all of it, each with the place and what was expected.
//!
//! [`graph`] looks at names and their order, [`operators`] at nodes beside the definitions of their operators, [`infer`] computes types
//! and shapes as far as it knows operators and compares them with those that the file declares.

mod graph;
mod indexing;
mod infer;
mod operators;
mod rules;
mod shapes;
mod windows;

use std::collections::HashMap;
use std::path::Path;

use crate::proto::{GraphProto, ModelProto};
use crate::read::{ReadError, decode};
pub(crate) use shapes::Known;

/// The newest intermediate representation whose messages are known here.
const NEWEST_IR: i64 = 14;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether runtimes may go on all the same.
    pub warning: bool,
    /// The node, tensor or field of the model.
    pub place: String,
    /// What was found, and what was expected.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// What is collected.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.0.push(Finding { warning: false, place: place.into(), what: what.into() });
    }

    fn warning(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.0.push(Finding { warning: true, place: place.into(), what: what.into() });
    }
}

/// Looks at the model in a file.
///
/// # Errors
/// [`ReadError`] for a file that is no ONNX message at all.
pub fn examine(path: &Path) -> Result<Vec<Finding>, ReadError> {
    let model = decode(path)?;
    let mut findings = findings(&model);
    if let Some(graph) = &model.graph {
        for fault in crate::external::faults(graph, &crate::external::Home::of(path)) {
            findings.push(Finding { warning: false, place: "external_data".to_owned(), what: fault.to_string() });
        }
    }
    Ok(findings)
}

/// What is known of the types and shapes of a graph's tensors: from its inputs, its initializers and its operators. What the file says of
/// other tensors is not looked at, since nothing holds it to that.
#[must_use]
pub(crate) fn known(graph: &GraphProto, opset: i64) -> HashMap<&str, Known> {
    infer::known(graph, opset, &HashMap::new(), &mut Findings::default())
}

/// Looks at a model.
#[must_use]
pub fn findings(model: &ModelProto) -> Vec<Finding> {
    let mut findings = Findings::default();
    versions(model, &mut findings);
    let Some(graph) = &model.graph else {
        findings.error("model", "graph: it has none");
        return findings.0;
    };
    if graph.name().is_empty() {
        findings.warning("graph", "name: it is empty; expected one");
    }
    graph::examine(graph, &mut findings);
    operators::examine(model, graph, &mut findings);
    infer::examine(model, graph, &mut findings);
    findings.0
}

fn versions(model: &ModelProto, findings: &mut Findings) {
    match model.ir_version {
        None => findings.error("model", "ir_version: it is missing"),
        Some(version) if !(1..=NEWEST_IR).contains(&version) => {
            findings.error("model", format!("ir_version: {version}; expected 1 to {NEWEST_IR}"));
        }
        Some(_) => {}
    }
    if model.opset_import.is_empty() && model.ir_version() >= 3 {
        findings.error("model", "opset_import: it is empty; expected an operator set for each domain of a node");
    }
    for (at, import) in model.opset_import.iter().enumerate() {
        let (domain, version) = (operators::shown(import.domain()), import.version());
        let place = format!("opset_import[{at}]");
        let before = model.opset_import[..at].iter().find(|one| operators::shown(one.domain()) == domain);
        match before {
            Some(one) if one.version() != version => {
                findings.error(&place, format!("domain '{domain}' has version {version}, and {} before", one.version()));
            }
            Some(_) => findings.warning(&place, format!("domain '{domain}' is listed twice")),
            None => {}
        }
        if let Some(newest) = operators::newest(import.domain()).filter(|newest| !(1..=*newest).contains(&version)) {
            findings.error(&place, format!("version {version} of '{domain}'; known are 1 to {newest}"));
        }
    }
}

#[cfg(test)]
mod tests;
