//! What tract must never see: files that it would crash on, answer wrongly, or not know. Every refusal names the node, the
//! operator and the reason; all of them at once.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

use super::ops;
use super::rules::{self, Constants};
use crate::engine::onnx::facts::{bodies, full_domain, operator_name};
use crate::engine::onnx::file::{File, MAX_EXTERNAL_BYTES};
use crate::engine::onnx::scope::{self, node_name};
use crate::engine::onnx::trees;
use crate::engine::onnx::versions::{self, OPSETS};
use crate::engine::onnx::weights::{self, External, datatype_name, element_bytes, is_external};
use crate::engine::onnx::windows::{self, Ranks};
use crate::engine::{LoadError, Problem};

/// Operators that tract registers, by name alone: it does not look at domains.
static KNOWN: LazyLock<HashSet<String>> = LazyLock::new(|| tract_onnx::onnx().op_register.0.into_keys().collect());

/// ONNX-ML operators that tract has: an operator of that name in another domain is another one.
const ML: [&str; 6] =
    ["ArrayFeatureExtractor", "CategoryMapper", "LinearClassifier", "LinearRegressor", "Normalizer", "TreeEnsembleClassifier"];

/// ONNX Runtime's own operators that tract reads as ONNX Runtime does.
const MICROSOFT: [&str; 10] = [
    "BiasGelu",
    "FastGelu",
    "GatherBlockQuantized",
    "Gelu",
    "MatMulNBits",
    "QuickGelu",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "RotaryEmbedding",
];

/// Every reason not to give the file to tract.
///
/// # Errors
/// [`LoadError::Invalid`] or [`LoadError::Read`] for a file that no engine could run.
pub(super) fn lint(file: &File) -> Result<Vec<Problem>, LoadError> {
    let mut lint = Lint { folder: Path::new(file.folder()), problems: Vec::new(), unknown: BTreeMap::new(), external: 0 };
    lint.versions(file)?;
    scope::check(file.graph())?;
    lint.graph(file, file.graph())?;
    for ((operator, domain_known), (node, count)) in std::mem::take(&mut lint.unknown) {
        let reason = match (domain_known, operator.as_str()) {
            (_, "Loop") => format!("this engine has no loops ({count} in the file)"),
            (true, _) => format!("this engine has no such operator ({count} in the file)"),
            (false, _) => format!("this engine has no operators of that domain ({count} in the file)"),
        };
        lint.problems.push(Problem { node, operator, reason });
    }
    Ok(lint.problems)
}

struct Lint<'a> {
    folder: &'a Path,
    problems: Vec<Problem>,
    /// Unregistered operators: whether the domain is known, the first node, and how many.
    unknown: BTreeMap<(String, bool), (String, usize)>,
    external: u64,
}

impl Lint<'_> {
    fn problem(&mut self, node: &str, operator: &str, reason: impl Into<String>) {
        self.problems.push(Problem { node: node.to_owned(), operator: operator.to_owned(), reason: reason.into() });
    }

    fn versions(&mut self, file: &File) -> Result<(), LoadError> {
        if let Some(version) = versions::opset(file)?.filter(|version| !OPSETS.contains(version)) {
            let (oldest, newest) = (OPSETS.start(), OPSETS.end());
            let reason = format!("operator set ai.onnx {version} is not supported; expected {oldest} to {newest}");
            self.problem("opset_import", "model", reason);
        }
        Ok(())
    }

    fn graph(&mut self, file: &File, graph: &GraphProto) -> Result<(), LoadError> {
        let weights: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        for (what, values) in [("input", &graph.input), ("output", &graph.output)] {
            for value in values.iter().filter(|value| !weights.contains(value.name.as_str())) {
                self.declared(what, value, std::ptr::eq(graph, file.graph()));
            }
        }
        for tensor in &graph.initializer {
            self.weight(&tensor.name, "initializer", tensor)?;
        }
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| values.name.as_str());
            self.problem(name, "initializer", "sparse initializers are not supported");
        }
        let (constants, ranks) = (Constants::of(graph), Ranks::of(graph));
        for node in &graph.node {
            if let Some(fault) = windows::fault(node, &ranks, &|at| constants.integers(node, at)) {
                return Err(LoadError::Invalid(format!("{} '{}': {fault}", operator_name(node), node_name(node))));
            }
            self.node(node, &constants)?;
            for body in bodies(node) {
                self.graph(file, body)?;
            }
        }
        Ok(())
    }

    /// An input or output: a tensor of a known datatype, and for the model's inputs, of a known rank.
    fn declared(&mut self, what: &str, value: &ValueInfoProto, top: bool) {
        let Some(kind) = &value.r#type else {
            if what == "input" && top {
                self.problem(&value.name, what, "it declares no type");
            }
            return;
        };
        let Some(type_proto::Value::TensorType(tensor)) = &kind.value else {
            // Of a body an empty type is how some exporters leave it out; what makes a sequence is refused as an operator.
            if !top {
                return;
            }
            return self.problem(&value.name, what, "it is not a tensor (sequences, maps and optional values are not supported)");
        };
        if tensor.elem_type != 0 && element_bytes(tensor.elem_type).is_none() {
            let name = datatype_name(tensor.elem_type);
            self.problem(&value.name, what, format!("datatype {name} is not supported by this engine"));
        } else if what == "input" && top && (tensor.elem_type == 0 || tensor.shape.is_none()) {
            self.problem(&value.name, what, "it declares no datatype or no shape; a request could not be checked");
        }
    }

    fn weight(&mut self, name: &str, what: &str, tensor: &TensorProto) -> Result<(), LoadError> {
        let Some(size) = element_bytes(tensor.data_type) else {
            let datatype = datatype_name(tensor.data_type);
            self.problem(name, what, format!("datatype {datatype} is not supported by this engine"));
            return Ok(());
        };
        if is_external(tensor) && tensor.raw_data.is_empty() {
            self.external = self.external.saturating_add(External::locate(tensor, self.folder)?.length);
            if self.external > MAX_EXTERNAL_BYTES {
                return Err(LoadError::Invalid(format!("the external data exceeds {MAX_EXTERNAL_BYTES} bytes")));
            }
        }
        weights::check(tensor, size, self.folder)
    }

    fn node(&mut self, node: &NodeProto, constants: &Constants<'_>) -> Result<(), LoadError> {
        let (name, operator) = (node_name(node), operator_name(node));
        // Before the register: what tract has, and answers wrongly.
        if let Some(reason) = rules::refusal(node, constants) {
            self.problem(name, &operator, reason);
            return Ok(());
        }
        if trees::is_tree(node) {
            let checked = trees::Source::read(node).and_then(|source| source.check());
            return checked.map_err(|reason| LoadError::Invalid(format!("{operator} '{name}': {reason}")));
        }
        let domain = full_domain(&node.domain);
        if let Some(own) = ops::find(domain, &node.op_type) {
            if let Some(fault) = own.fault(node) {
                self.problem(name, &operator, fault);
            }
            return Ok(());
        }
        let (domain_known, known) = match domain {
            "ai.onnx" => (true, !ML.contains(&node.op_type.as_str())),
            "ai.onnx.ml" => (true, false),
            "com.microsoft" => (true, MICROSOFT.contains(&node.op_type.as_str())),
            _ => (false, false),
        };
        if !known || !KNOWN.contains(&node.op_type) {
            self.unknown.entry((operator, domain_known)).or_insert_with(|| (name.to_owned(), 0)).1 += 1;
            return Ok(());
        }
        for attribute in &node.attribute {
            for tensor in attribute.t.iter().chain(&attribute.tensors) {
                self.weight(name, &operator, tensor)?;
            }
        }
        Ok(())
    }
}
