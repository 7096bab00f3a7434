//! Tree ensembles in ONNX's words: the nodes TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble, read and checked.

use tract_onnx::pb::NodeProto;

use crate::engine::onnx::facts::full_domain;
use crate::engine::trees::{Ensemble, Fault, Field, Finish, Model, Precision};

mod arrays;
mod attributes;
mod classes;
mod listed;

pub(in crate::engine) use attributes::Attributes;

/// What a tree node of a graph holds.
pub(in crate::engine) struct Source {
    ensemble: Ensemble,
    finish: Finish,
    /// The classes' names; `None` for a regressor.
    pub(in crate::engine) labels: Option<Labels>,
    /// Whether thresholds or weights are FP64, whatever the input is.
    double: bool,
    /// Whether the values leave in the input's datatype; FP32 otherwise.
    pub(in crate::engine) as_input: bool,
    /// The format's name of a field.
    name_of: fn(Field) -> &'static str,
}

/// Names of classes, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Labels {
    Integers(Vec<i64>),
    Strings(Vec<String>),
}

impl Labels {
    /// Classes that have no names but their numbers.
    pub(in crate::engine) fn numbered(count: usize) -> Self {
        Self::Integers((0..count).map(|class| i64::try_from(class).unwrap_or(0)).collect())
    }

    /// How many there are.
    pub(in crate::engine) const fn len(&self) -> usize {
        match self {
            Self::Integers(labels) => labels.len(),
            Self::Strings(labels) => labels.len(),
        }
    }
}

/// Whether a node is one of those read here.
pub(in crate::engine) fn is_tree(node: &NodeProto) -> bool {
    full_domain(&node.domain) == "ai.onnx.ml" && OPERATORS.contains(&node.op_type.as_str())
}

/// The operators read here.
pub(in crate::engine) const OPERATORS: [&str; 3] = ["TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"];

impl Source {
    /// Reads a node's attributes.
    ///
    /// # Errors
    /// What is wrong with which attribute, of which tree and node.
    pub(in crate::engine) fn read(node: &NodeProto) -> Result<Self, String> {
        match node.op_type.as_str() {
            "TreeEnsemble" => arrays::read(Attributes(node)),
            "TreeEnsembleClassifier" => listed::classifier(Attributes(node)),
            _ => listed::regressor(Attributes(node)),
        }
    }

    /// Checks and prepares it for input of FP64 (`double`) or of another datatype, with `columns` values a row where that is known.
    ///
    /// # Errors
    /// What is wrong with which attribute, of which tree and node.
    pub(in crate::engine) fn model(&self, double: bool, columns: Option<usize>) -> Result<Model, String> {
        let precision = if double || self.double { Precision::Double } else { Precision::Single };
        Model::build(&self.ensemble, self.finish, precision, columns).map_err(|fault| self.explain(&fault))
    }

    /// Values of a row's answer.
    pub(in crate::engine) const fn width(&self) -> usize {
        self.finish.width(self.ensemble.targets)
    }

    /// Checks it, for input of any width.
    ///
    /// # Errors
    /// As [`Source::model`].
    pub(in crate::engine) fn check(&self) -> Result<(), String> {
        self.ensemble.check(None).map_err(|fault| self.explain(&fault))
    }

    /// A fault in the format's words.
    fn explain(&self, fault: &Fault) -> String {
        let field = (self.name_of)(fault.field);
        match fault.node {
            Some((tree, node)) => format!("tree {tree}, node {node}: {field}: {}", fault.said),
            None => format!("{field}: {}", fault.said),
        }
    }
}
