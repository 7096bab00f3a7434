//! Where the channels of a layer go: from the node that makes them, through what treats each on its own, to the nodes that read them all.
//! If anything else touches them they stay as they are.

use std::collections::{HashMap, HashSet};

use super::channels::Known;
use crate::proto::{GraphProto, NodeProto, TensorProto};

/// A layer whose channels can be taken away.
pub(super) struct Group {
    pub(super) channels: usize,
    /// Weights that make the channels.
    pub(super) made: Vec<Cut>,
    /// Weights that read them.
    pub(super) read: Vec<Cut>,
    /// Weights that treat each on its own.
    pub(super) beside: Vec<Cut>,
    /// Convolutions with a group for each channel.
    pub(super) grouped: Vec<usize>,
    /// The tensors that have them.
    pub(super) names: HashSet<String>,
}

/// Along which axis the channels lie in a weight, each with `block` places beside each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) name: String,
    pub(super) axis: usize,
    pub(super) block: usize,
}

/// Where channels lie in a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Along {
    /// In the last dimension.
    Last,
    /// In the second of so many.
    Second(usize),
    /// In the second of two, each channel as several places.
    Flat,
}

/// Operators that treat each element on its own; further inputs are numbers for all.
pub(super) const ELEMENTWISE: [&str; 22] = [
    "Abs",
    "Celu",
    "Clip",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Mish",
    "Neg",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tanh",
    "ThresholdedRelu",
];
pub(super) const PAIRS: [&str; 7] = ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"];
const POOLS: [&str; 4] = ["AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"];

/// The layer that a node makes, if its channels can be taken away.
pub(super) fn group(graph: &GraphProto, producer: usize) -> Option<Group> {
    let known = Known::of(graph);
    let node = &graph.node[producer];
    let weight = known.own(node, 1)?;
    let (axis, along) = match node.op_type() {
        "Gemm" if is(node) => (usize::from(flag(node, "transB") == 0), Along::Last),
        "MatMul" if is(node) && weight.dims.len() == 2 => (1, Along::Last),
        "Conv" if is(node) && groups(node) == 1 => (0, Along::Second(weight.dims.len())),
        _ => return None,
    };
    let channels = *weight.shape().get(axis)?;
    let mut walk = Walk { known: &known, channels, along: HashMap::new(), group: empty(channels) };
    walk.group.made.push(cut(weight, axis));
    // A Gemm's third input is one for each column, or for all; a convolution's is one for each filter.
    if node.input_at(2).is_some() {
        walk.beside(node, 2, along, true)?;
    }
    walk.along.insert(node.output.first()?, along);
    for (at, node) in graph.node.iter().enumerate().skip(producer + 1) {
        walk.step(at, node)?;
    }
    let Walk { along, mut group, .. } = walk;
    // Whoever uses a tensor was seen here: no output of the graph does, and no graph within.
    let used = |name: &str| graph.node.iter().flat_map(|node| &node.input).filter(|input| *input == name).count();
    let whole = along.keys().all(|name| known.uses.get(*name).copied().unwrap_or(0) == used(name));
    group.names = along.into_keys().map(str::to_owned).collect();
    (whole && !group.read.is_empty()).then_some(group)
}

fn empty(channels: usize) -> Group {
    let names = HashSet::new();
    Group { channels, made: Vec::new(), read: Vec::new(), beside: Vec::new(), grouped: Vec::new(), names }
}

fn cut(tensor: &TensorProto, axis: usize) -> Cut {
    Cut { name: tensor.name().to_owned(), axis, block: 1 }
}

fn is(node: &NodeProto) -> bool {
    matches!(node.domain(), "" | "ai.onnx") && flag(node, "transA") == 0
}

fn flag(node: &NodeProto, name: &str) -> i64 {
    node.attribute_named(name).map_or(0, |one| one.i())
}

fn groups(node: &NodeProto) -> i64 {
    node.attribute_named("group").map_or(1, |one| one.i())
}

struct Walk<'a> {
    known: &'a Known<'a>,
    channels: usize,
    along: HashMap<&'a str, Along>,
    group: Group,
}

impl<'a> Walk<'a> {
    /// Follows the channels through a node; `None` where they cannot be taken away.
    fn step(&mut self, at: usize, node: &'a NodeProto) -> Option<()> {
        let has = |name: &String| self.along.contains_key(name.as_str());
        if !node.input.iter().any(has) {
            return Some(());
        }
        let [output] = &*node.output else { return None };
        if !matches!(node.domain(), "" | "ai.onnx") {
            return None;
        }
        let operator = node.op_type();
        if PAIRS.contains(&operator) {
            let along = self.pair(node)?;
            self.along.insert(output, along);
            return Some(());
        }
        // All others take the channels first, and nowhere else.
        if node.input.iter().skip(1).any(has) {
            return None;
        }
        let along = *self.along.get(node.input_at(0)?)?;
        let next = match (operator, along) {
            (_, _) if ELEMENTWISE.contains(&operator) => along,
            (_, Along::Second(_)) if POOLS.contains(&operator) => along,
            ("Flatten", Along::Second(_)) if node.attribute_named("axis").is_none_or(|one| one.i() == 1) => Along::Flat,
            ("Reshape", Along::Second(_)) if self.flattens(node) => Along::Flat,
            ("BatchNormalization", Along::Second(_)) if flag(node, "training_mode") == 0 => {
                (1..=4).try_for_each(|input| self.beside(node, input, along, false))?;
                along
            }
            ("Conv", Along::Second(_)) if groups(node) == i64::try_from(self.channels).ok()? && self.channels > 1 => {
                self.depthwise(at, node)?;
                along
            }
            ("Conv", Along::Second(_)) if groups(node) == 1 => return self.reads(node, 1, along),
            ("Gemm", Along::Last | Along::Flat) if is(node) => {
                return self.reads(node, usize::from(flag(node, "transB") != 0), along);
            }
            ("MatMul", Along::Last | Along::Flat) => return self.reads(node, 0, along),
            _ => return None,
        };
        self.along.insert(output, next);
        Some(())
    }

    /// Of two tensors, both with the channels, or one a constant.
    fn pair(&mut self, node: &'a NodeProto) -> Option<Along> {
        let mut found = None;
        for name in &node.input {
            let Some(along) = self.along.get(name.as_str()) else { continue };
            if found.is_some_and(|found| found != *along) {
                return None;
            }
            found = Some(*along);
        }
        for at in 0..node.input.len() {
            if !self.along.contains_key(node.input[at].as_str()) {
                self.beside(node, at, found?, true)?;
            }
        }
        found
    }

    /// A constant beside the channels: one number for each, which is cut as they are, or where `broadcast` one for all.
    fn beside(&mut self, node: &NodeProto, at: usize, along: Along, broadcast: bool) -> Option<()> {
        let tensor = self.known.tensors.get(node.input_at(at)?)?;
        if broadcast && tensor.count() == Some(1) && self.channels > 1 {
            return Some(());
        }
        let tensor = self.known.own(node, at)?;
        let dims = tensor.shape();
        // From the right: a convolution's channels stand before its other dimensions, but for its own and a normalisation's weights.
        let plain = matches!(node.op_type(), "Conv" | "BatchNormalization");
        let axis = match along {
            Along::Last => dims.len().checked_sub(1)?,
            Along::Second(_) if plain => 0,
            Along::Second(rank) if dims.len() <= rank => (dims.len() + 1).checked_sub(rank)?,
            _ => return None,
        };
        let alone = dims.iter().enumerate().all(|(at, dim)| *dim == if at == axis { self.channels } else { 1 });
        if !alone {
            return None;
        }
        self.group.beside.push(cut(tensor, axis));
        Some(())
    }

    /// A convolution of each channel by itself.
    fn depthwise(&mut self, at: usize, node: &NodeProto) -> Option<()> {
        let weight = self.known.own(node, 1)?;
        if weight.shape().first() != Some(&self.channels) || weight.dims.get(1) != Some(&1) {
            return None;
        }
        if node.input_at(2).is_some() {
            self.beside(node, 2, Along::Second(weight.dims.len()), false)?;
        }
        self.group.beside.push(cut(weight, 0));
        self.group.grouped.push(at);
        Some(())
    }

    /// A weight that reads all channels, along `axis`.
    fn reads(&mut self, node: &NodeProto, axis: usize, along: Along) -> Option<()> {
        let weight = self.known.own(node, 1)?;
        let dims = weight.shape();
        let rank = if let Along::Second(rank) = along { rank } else { 2 };
        let block = dims.get(axis)?.checked_div(self.channels)?;
        let fits = dims.len() == rank && block * self.channels == dims[axis] && (block == 1 || along == Along::Flat);
        self.group.read.push(Cut { block, ..cut(weight, axis) });
        fits.then_some(())
    }

    /// Whether a `Reshape` leaves rows as they are and puts all else into one dimension, however large that is.
    fn flattens(&self, node: &NodeProto) -> bool {
        let shape = node.input_at(1).and_then(|name| self.known.tensors.get(name)).and_then(|one| one.integers());
        flag(node, "allowzero") == 0 && shape.as_deref() == Some(&[0, -1])
    }
}
