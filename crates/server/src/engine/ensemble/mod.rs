//! Trees: models that are one tree ensemble, run by our own kernel without a graph engine around it.
//!
//! [`graph`] tells which those are; everything else, trees among other operators included, is tract's, which calls the same
//! kernel.

use bytes::Bytes;
use modelyard_wire::{Data, DataType, Tensor};

use super::onnx::declared::{Declared, Dim, Port};
use super::onnx::facts;
use super::onnx::file::File;
use super::onnx::labels::Labels;
use super::onnx::scope;
use super::onnx::trees::Source;
use super::onnx::versions::{self, OPSETS};
use super::trees::{Answer, Model, Rows, Scores};
use super::{Engine, Facts, LoadError, RunError, Stop};
use crate::signature::{Signature, TensorSpec};

mod graph;

/// A tree ensemble.
pub(super) struct Trees {
    signature: Signature,
    facts: Facts,
    model: Model,
    labels: Option<Names>,
    /// What each output of the signature is.
    outputs: Vec<Kind>,
}

/// The classes' names, ready to be sent.
enum Names {
    Integers(Vec<i64>),
    Strings(Vec<Bytes>),
}

impl Names {
    fn of(labels: Labels) -> Self {
        match labels {
            Labels::Ints(labels) => Self::Integers(labels),
            Labels::Texts(labels) => Self::Strings(labels.into_iter().map(Bytes::from).collect()),
        }
    }

    fn texts(&self) -> Vec<String> {
        match self {
            Self::Integers(labels) => labels.iter().map(i64::to_string).collect(),
            Self::Strings(labels) => labels.iter().map(|label| String::from_utf8_lossy(label).into_owned()).collect(),
        }
    }
}

/// What an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Label,
    Scores32,
    Scores64,
}

impl Trees {
    /// The model of a file; `None` where the graph is anything but one tree ensemble over rows of numbers.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] that names the tree, node and attribute at fault.
    pub(super) fn of(file: &File) -> Result<Option<Self>, LoadError> {
        let declared = Declared::of(file.graph());
        let [input] = &declared.inputs[..] else { return Ok(None) };
        let (Some([rows, columns]), Some(datatype)) = (input.shape.as_deref(), input.datatype) else { return Ok(None) };
        if !matches!(datatype, DataType::Fp32 | DataType::Fp64 | DataType::Int32 | DataType::Int64) {
            return Ok(None);
        }
        let Some(found) = graph::find(file.graph(), &input.name) else { return Ok(None) };
        if versions::opset(file)?.is_some_and(|opset| !OPSETS.contains(&opset)) {
            return Ok(None);
        }
        scope::check(file.graph())?;
        let of_node = |reason: String| {
            let (operator, name) = (facts::operator_name(found.node), scope::node_name(found.node));
            LoadError::Invalid(format!("{operator} '{name}': {reason}"))
        };
        let source = Source::read(found.node).map_err(of_node)?;
        let seen = found.cast.unwrap_or(datatype);
        if found.cast.is_some() && !matches!(seen, DataType::Fp32 | DataType::Fp64) {
            return Ok(None);
        }
        let Some(outputs) = kinds(&source, &found.outputs, seen) else { return Ok(None) };
        let width = if let Dim::Fixed(width) = columns { Some(*width) } else { None };
        let model = source.model(seen == DataType::Fp64, width).map_err(of_node)?;
        let spec = Spec { declared: &declared, rows, labels: source.labels.as_ref(), width: model.width() };
        let inputs = vec![TensorSpec { name: input.name.clone(), datatype, shape: vec![fixed(rows), fixed(columns)] }];
        let signature = Signature { inputs, outputs: spec.outputs(&outputs), batched: !matches!(rows, Dim::Fixed(_)) };
        let labels = source.labels.map(Names::of);
        let mut facts = facts::collect(file, "Trees");
        if let (true, Some(labels)) = (facts.classes.is_empty(), &labels) {
            facts.classes = labels.texts();
        }
        Ok(Some(Self { signature, facts, model, labels, outputs }))
    }
}

/// What the outputs are declared by.
struct Spec<'a> {
    declared: &'a Declared,
    rows: &'a Dim,
    labels: Option<&'a Labels>,
    /// Scores of a row.
    width: usize,
}

impl Spec<'_> {
    fn outputs(&self, kinds: &[Kind]) -> Vec<TensorSpec> {
        let (rows, width) = (fixed(self.rows), i64::try_from(self.width).unwrap_or(-1));
        let output = |(kind, port): (&Kind, &Port)| {
            let (datatype, shape) = match (kind, self.labels) {
                (Kind::Label, Some(Labels::Texts(_))) => (DataType::Bytes, vec![rows]),
                (Kind::Label, _) => (DataType::Int64, vec![rows]),
                (Kind::Scores32, _) => (DataType::Fp32, vec![rows, width]),
                (Kind::Scores64, _) => (DataType::Fp64, vec![rows, width]),
            };
            TensorSpec { name: port.name.clone(), datatype, shape }
        };
        kinds.iter().zip(&self.declared.outputs).map(output).collect()
    }
}

/// A dimension as a signature has it.
fn fixed(dim: &Dim) -> i64 {
    if let Dim::Fixed(size) = dim { i64::try_from(*size).unwrap_or(-1) } else { -1 }
}

/// A model whose file names no tensors.
pub(super) struct Plain {
    pub(super) model: Model,
    /// Values of a row.
    pub(super) width: usize,
    /// The classes, for a classifier.
    pub(super) labels: Option<Labels>,
    pub(super) facts: Facts,
}

impl Trees {
    /// The engine of such a model: `input`, and `label` and `probabilities` or `variable`, as skl2onnx names them.
    pub(super) fn plain(Plain { model, width, labels, mut facts }: Plain) -> Self {
        let spec = |name: &str, datatype, shape: &[usize]| {
            let dims = shape.iter().map(|dim| i64::try_from(*dim).unwrap_or(-1));
            TensorSpec { name: name.to_owned(), datatype, shape: std::iter::once(-1).chain(dims).collect() }
        };
        let scores = if labels.is_some() { "probabilities" } else { "variable" };
        let mut outputs = vec![spec(scores, DataType::Fp32, &[model.width()])];
        let mut kinds = vec![Kind::Scores32];
        if let Some(labels) = &labels {
            let datatype = if matches!(labels, Labels::Texts(_)) { DataType::Bytes } else { DataType::Int64 };
            outputs.insert(0, spec("label", datatype, &[]));
            kinds.insert(0, Kind::Label);
        }
        let labels = labels.map(Names::of);
        facts.classes = labels.as_ref().map(Names::texts).unwrap_or_default();
        let signature = Signature { inputs: vec![spec("input", DataType::Fp32, &[width])], outputs, batched: true };
        Self { signature, facts, model, labels, outputs: kinds }
    }
}

/// What the graph's outputs are; `None` where a cast makes of one what is not made here.
fn kinds(source: &Source, outputs: &[(usize, Option<DataType>)], seen: DataType) -> Option<Vec<Kind>> {
    let own = if source.as_input && seen == DataType::Fp64 { Kind::Scores64 } else { Kind::Scores32 };
    let kind = |(output, cast): &(usize, Option<DataType>)| match (&source.labels, output, cast) {
        (Some(Labels::Ints(_)), 0, None | Some(DataType::Int64)) => Some(Kind::Label),
        (Some(Labels::Texts(_)), 0, None | Some(DataType::Bytes)) => Some(Kind::Label),
        (Some(_), 0, _) => None,
        (Some(_), 1, None) | (None, 0, None) => Some(own),
        (_, _, Some(DataType::Fp32)) => Some(Kind::Scores32),
        (_, _, Some(DataType::Fp64)) => Some(Kind::Scores64),
        _ => None,
    };
    outputs.iter().map(kind).collect()
}

impl Engine for Trees {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        let [input] = inputs else { return Err(RunError::Internal(format!("one input is expected, found {}", inputs.len()))) };
        let Data::Raw(raw) = input.data() else { return Err(RunError::Internal("the input holds strings".to_owned())) };
        let name = &self.signature.inputs[0].name;
        let [rows, width] = input.shape() else { return Err(RunError::Internal("the input is no matrix".to_owned())) };
        if input.is_empty() {
            return Err(RunError::empty(name, input.shape()));
        }
        if *width < self.model.columns() {
            let expected = self.model.columns();
            return Err(RunError::InvalidData(format!("input '{name}': rows of {width} values; the trees ask for {expected}")));
        }
        let go_on = || stop.reason().is_none();
        let answer = match input.datatype() {
            DataType::Fp32 => self.model.run(Rows::Raw32(raw.as_chunks().0), *width, &go_on),
            DataType::Fp64 => self.model.run(Rows::Raw64(raw.as_chunks().0), *width, &go_on),
            _ => self.model.run(Rows::F64(&input.to_f64().unwrap_or_default()), *width, &go_on),
        };
        let Some(answer) = answer else { return Err(stop.reason().unwrap_or(RunError::DeadlineExceeded)) };
        self.outputs(answer, *rows)
    }
}

impl Trees {
    fn outputs(&self, Answer { best, scores }: Answer, rows: usize) -> Result<Vec<Tensor>, RunError> {
        let shape = vec![rows, self.model.width()];
        let output = |kind: &Kind| match (kind, &self.labels) {
            (Kind::Label, Some(Names::Integers(labels))) => {
                Tensor::from_i64(vec![rows], &best.iter().map(|at| labels[*at]).collect::<Vec<_>>())
            }
            (Kind::Label, Some(Names::Strings(labels))) => {
                Tensor::strings(vec![rows], best.iter().map(|at| labels[*at].clone()).collect())
            }
            (Kind::Label, None) => Tensor::from_i64(vec![rows], &[]),
            (Kind::Scores32, _) => Tensor::new(DataType::Fp32, shape.clone(), Bytes::from(bytes32(&scores))),
            (Kind::Scores64, _) => Tensor::new(DataType::Fp64, shape.clone(), Bytes::from(bytes64(&scores))),
        };
        let outputs = self.outputs.iter().map(output).collect::<Result<_, _>>();
        outputs.map_err(|error| RunError::Internal(error.to_string()))
    }
}

fn bytes32(scores: &Scores) -> Vec<u8> {
    match scores {
        Scores::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Scores::F64(values) => values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
    }
}

fn bytes64(scores: &Scores) -> Vec<u8> {
    match scores {
        Scores::F32(values) => values.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect(),
        Scores::F64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}
