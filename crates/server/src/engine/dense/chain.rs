//! Which graphs are one chain of fully connected layers, and the layers of those that are.

use std::collections::HashMap;
use std::path::Path;

use pulp::Arch;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::activation::Activation;
use super::matrix::{Matrix, Rows};
use crate::engine::LoadError;
use crate::engine::onnx::facts::full_domain;
use crate::engine::onnx::file::File;
use crate::engine::onnx::scope;
use crate::engine::onnx::versions::{self, OPSETS};
use crate::engine::onnx::weights;

/// A product, a bias, and what is done to the values then.
pub(super) struct Layer {
    matrix: Matrix,
    activations: Vec<Activation>,
}

impl Layer {
    /// Elements of a row that goes in.
    pub(super) const fn depth(&self) -> usize {
        self.matrix.depth()
    }

    /// Elements of a row that comes out.
    pub(super) const fn width(&self) -> usize {
        self.matrix.width()
    }

    /// Elements of a row as [`Layer::run`] leaves it: the rest fills up a vector.
    pub(super) const fn padded(&self) -> usize {
        self.matrix.padded()
    }

    /// Rows of `depth` through this layer into the first `count x padded` of `values`.
    pub(super) fn run(&self, rows: Rows<'_>, values: &mut [f32]) {
        self.matrix.run(rows, &self.activations, values);
    }
}

/// A layer as the file has it.
#[derive(Default)]
struct Plain {
    /// Row-major, `depth x width`.
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
    depth: usize,
    width: usize,
    activations: Vec<Activation>,
}

/// What one node of a chain does.
enum Step {
    Product(Plain),
    Bias(Vec<f32>),
    Activation(Activation),
    Nothing,
}

/// The layers between the graph's one input and its one output; `None` where anything else is in it.
///
/// # Errors
/// [`LoadError::Invalid`] or [`LoadError::Read`] for a file that no engine could run.
pub(super) fn of(file: &File, (input, output): (&str, &str)) -> Result<Option<Vec<Layer>>, LoadError> {
    let graph = file.graph();
    let Some(opset) = versions::opset(file)?.filter(|opset| OPSETS.contains(opset)) else { return Ok(None) };
    // What a chain of another kind costs here must be next to nothing: names first, then numbers.
    if !graph.sparse_initializer.is_empty() || !graph.node.iter().all(is_known) {
        return Ok(None);
    }
    scope::check(graph)?;
    let constants = Constants::of(graph, Path::new(file.folder()));
    let mut layers: Vec<Plain> = Vec::new();
    let (mut value, mut used) = (input, 0);
    while value != output {
        let mut readers = graph.node.iter().filter(|node| node.input.iter().any(|name| name == value));
        let (Some(node), None) = (readers.next(), readers.next()) else { return Ok(None) };
        let Some(step) = constants.step(node, value, opset)? else { return Ok(None) };
        match (step, layers.last_mut()) {
            (Step::Product(next), last) if last.as_ref().is_none_or(|last| last.width == next.depth) => layers.push(next),
            (Step::Bias(bias), Some(last)) if last.fits(&bias) => last.bias = Some(spread(bias, last.width)),
            (Step::Activation(activation), Some(last)) => last.activations.push(activation),
            (Step::Nothing, _) => {}
            _ => return Ok(None),
        }
        used += 1;
        let [next] = &node.output[..] else { return Ok(None) };
        value = next;
    }
    let whole = used == graph.node.iter().filter(|node| node.op_type != "Constant").count();
    Ok(whole.then(|| layers.into_iter().map(Plain::packed).collect()))
}

/// A node of the operators that a chain may have.
fn is_known(node: &NodeProto) -> bool {
    const KNOWN: [&str; 14] = [
        "Add",
        "Constant",
        "Dropout",
        "Elu",
        "Flatten",
        "Gemm",
        "Identity",
        "LeakyRelu",
        "LogSoftmax",
        "MatMul",
        "Relu",
        "Sigmoid",
        "Softmax",
        "Tanh",
    ];
    full_domain(&node.domain) == "ai.onnx" && KNOWN.contains(&node.op_type.as_str())
}

impl Plain {
    /// Whether these values can be the bias: nothing has been done to the product yet.
    fn fits(&self, bias: &[f32]) -> bool {
        self.bias.is_none() && self.activations.is_empty() && (bias.len() == 1 || bias.len() == self.width)
    }

    fn packed(self) -> Layer {
        let bias = self.bias.unwrap_or_else(|| vec![0.0; self.width]);
        Layer { matrix: Matrix::pack(Arch::new(), (&self.weights, &bias), self.depth), activations: self.activations }
    }
}

/// One value for each column.
fn spread(bias: Vec<f32>, width: usize) -> Vec<f32> {
    if bias.len() == width { bias } else { vec![bias[0]; width] }
}

/// The tensors that a file carries, by name.
struct Constants<'a> {
    tensors: HashMap<&'a str, &'a TensorProto>,
    folder: &'a Path,
}

impl<'a> Constants<'a> {
    fn of(graph: &'a GraphProto, folder: &'a Path) -> Self {
        let stored = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
        let constants = graph.node.iter().filter(|node| node.op_type == "Constant").filter_map(|node| {
            let value = node.attribute.iter().find(|attribute| attribute.name == "value")?;
            Some((node.output.first()?.as_str(), value.t.as_ref()?))
        });
        Self { tensors: stored.chain(constants).collect(), folder }
    }

    /// What `node` does to `value`; `None` where that is no step of a chain.
    fn step(&self, node: &NodeProto, value: &str, opset: i64) -> Result<Option<Step>, LoadError> {
        let attributes = Attributes(node);
        if node.op_type == "Add" {
            let [one, other] = &node.input[..] else { return Ok(None) };
            let bias = if one == value { other } else { one };
            return Ok(self.row(bias)?.map(Step::Bias));
        }
        if node.input.first().is_none_or(|first| first != value) {
            return Ok(None);
        }
        let activation = match node.op_type.as_str() {
            "MatMul" => return Ok(self.product(node, &GemmAttributes::default())?.map(Step::Product)),
            "Gemm" => return Ok(self.product(node, &GemmAttributes::of(attributes))?.map(Step::Product)),
            "Relu" => Activation::Relu,
            "LeakyRelu" => Activation::LeakyRelu(attributes.float("alpha", 0.01)),
            "Elu" => Activation::Elu(attributes.float("alpha", 1.0)),
            "Sigmoid" => Activation::Sigmoid,
            "Tanh" => Activation::Tanh,
            // Before 13 the default axis was the first after the batch; of two axes that is the last.
            "Softmax" if attributes.is_last_axis(opset) => Activation::Softmax,
            "LogSoftmax" if attributes.is_last_axis(opset) => Activation::LogSoftmax,
            "Identity" => return Ok(Some(Step::Nothing)),
            // Inference: nothing is dropped unless a third input says that this is training.
            "Dropout" if node.input.len() < 3 => return Ok(Some(Step::Nothing)),
            "Flatten" if attributes.int("axis", 1) == 1 => return Ok(Some(Step::Nothing)),
            _ => return Ok(None),
        };
        Ok((node.input.len() == 1).then_some(Step::Activation(activation)))
    }

    fn product(&self, node: &NodeProto, gemm: &GemmAttributes) -> Result<Option<Plain>, LoadError> {
        let Some(tensor) = node.input.get(1).and_then(|name| self.tensors.get(name.as_str())) else { return Ok(None) };
        let [rows, columns] = tensor.dims[..] else { return Ok(None) };
        let (Ok(rows), Ok(columns)) = (usize::try_from(rows), usize::try_from(columns)) else { return Ok(None) };
        if rows == 0 || columns == 0 || gemm.transposes_input {
            return Ok(None);
        }
        let Some(mut weights) = weights::floats(tensor, self.folder)? else { return Ok(None) };
        let (mut depth, mut width) = (rows, columns);
        if gemm.transposes_weights {
            weights = (0..columns).flat_map(|column| weights.iter().skip(column).step_by(columns).copied()).collect();
            (depth, width) = (columns, rows);
        }
        weights.iter_mut().for_each(|weight| *weight *= gemm.alpha);
        let mut plain = Plain { weights, depth, width, ..Plain::default() };
        if let Some(name) = node.input.get(2).filter(|name| !name.is_empty()) {
            match self.row(name)? {
                Some(bias) if plain.fits(&bias) => {
                    plain.bias = Some(spread(bias, width).into_iter().map(|one| one * gemm.beta).collect());
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(plain))
    }

    /// A constant that is the same for every row: `[n]`, `[1, n]` or a scalar.
    fn row(&self, name: &str) -> Result<Option<Vec<f32>>, LoadError> {
        match self.tensors.get(name) {
            Some(tensor) if matches!(tensor.dims[..], [] | [(1..)] | [1, (1..)]) => weights::floats(tensor, self.folder),
            _ => Ok(None),
        }
    }
}

/// `alpha A B + beta C`, with A and B as they are or transposed.
struct GemmAttributes {
    alpha: f32,
    beta: f32,
    transposes_input: bool,
    transposes_weights: bool,
}

impl Default for GemmAttributes {
    fn default() -> Self {
        Self { alpha: 1.0, beta: 1.0, transposes_input: false, transposes_weights: false }
    }
}

impl GemmAttributes {
    fn of(attributes: Attributes<'_>) -> Self {
        Self {
            alpha: attributes.float("alpha", 1.0),
            beta: attributes.float("beta", 1.0),
            transposes_input: attributes.int("transA", 0) != 0,
            transposes_weights: attributes.int("transB", 0) != 0,
        }
    }
}

/// A node's attributes.
#[derive(Clone, Copy)]
struct Attributes<'a>(&'a NodeProto);

impl Attributes<'_> {
    fn int(self, name: &str, default: i64) -> i64 {
        self.0.attribute.iter().find(|attribute| attribute.name == name).map_or(default, |attribute| attribute.i)
    }

    fn float(self, name: &str, default: f32) -> f32 {
        self.0.attribute.iter().find(|attribute| attribute.name == name).map_or(default, |attribute| attribute.f)
    }

    fn is_last_axis(self, opset: i64) -> bool {
        matches!(self.int("axis", if opset < 13 { 1 } else { -1 }), 1 | -1)
    }
}
