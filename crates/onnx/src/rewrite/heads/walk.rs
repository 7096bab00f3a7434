//! All tensors that have an attention's heads, and what has to change for fewer of them: from what the attention gives, through every node
//! that makes or reads one of these tensors, until weights make them and weights read them.

use std::collections::{HashMap, HashSet};

use super::find::{Seed, readers};
use super::relations::relate;
use crate::lint::Known;
use crate::names;
use crate::proto::{GraphProto, NodeProto, TensorProto};

/// Heads of one attention, at most, and places of a head, and parts beside each other.
pub(super) const MOST: usize = 1 << 16;

/// Where the heads lie in a tensor: in one dimension, of `outer` times all heads, each `block` places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lay {
    /// The dimension, counted from the end: 1 for the last.
    pub(super) back: usize,
    pub(super) outer: usize,
    /// 0 where it is not known yet: the weight at the end tells it.
    pub(super) block: usize,
}

impl Lay {
    pub(super) const fn new(back: usize, outer: usize, block: usize) -> Self {
        Self { back, outer, block }
    }

    /// The heads in a dimension of their own.
    pub(super) const fn own(back: usize) -> Self {
        Self::new(back, 1, 1)
    }

    const fn agrees(&self, other: &Self) -> bool {
        let blocks = self.block == other.block || self.block == 0 || other.block == 0;
        self.back == other.back && self.outer == other.outer && blocks
    }
}

/// What changes with the number of heads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// A weight, at an input of a node.
    Weight(Weight),
    /// An entry of a `Reshape`'s shape, counted from its end: `per` for each head.
    Size { node: usize, back: usize, per: usize },
    /// The sizes of a `Split`'s parts, all alike: `per` for each head.
    Split { node: usize, per: usize },
    /// An attribute that counts heads.
    Count { node: usize, attribute: &'static str },
}

/// A weight with a part for each head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) node: usize,
    pub(super) slot: usize,
    pub(super) name: String,
    pub(super) axis: usize,
    /// Places of a head beside each other along the axis.
    pub(super) block: usize,
    /// Whether it reads heads, and does not make them.
    pub(super) reads: bool,
}

/// An attention's heads.
pub(super) struct Block {
    pub(super) name: String,
    /// What it gives.
    pub(super) output: String,
    pub(super) heads: usize,
    pub(super) lays: HashMap<String, Lay>,
    pub(super) edits: Vec<Edit>,
}

impl Block {
    pub(super) fn weights(&self) -> impl Iterator<Item = &Weight> {
        self.edits.iter().filter_map(|edit| if let Edit::Weight(weight) = edit { Some(weight) } else { None })
    }
}

/// A graph, as the walk looks at it.
pub(super) struct View<'a> {
    pub(super) graph: &'a GraphProto,
    pub(super) makers: HashMap<&'a str, usize>,
    pub(super) readers: HashMap<&'a str, Vec<usize>>,
    pub(super) tensors: HashMap<&'a str, &'a TensorProto>,
    pub(super) known: HashMap<&'a str, Known>,
    pub(super) uses: HashMap<String, usize>,
}

impl<'a> View<'a> {
    pub(super) fn of(graph: &'a GraphProto, opset: i64) -> Self {
        let makers = graph.node.iter().enumerate().flat_map(|(at, node)| node.output.iter().map(move |name| (name.as_str(), at)));
        Self {
            graph,
            makers: makers.collect(),
            readers: readers(graph),
            tensors: graph.initializer.iter().map(|one| (one.name(), one)).collect(),
            known: crate::lint::known(graph, opset),
            uses: names::uses(graph),
        }
    }

    /// The size of a dimension, counted from the end; 1 where the tensor has not so many; `None` where it is not known.
    pub(super) fn size(&self, name: &str, back: usize) -> Option<usize> {
        let shape = self.known.get(name)?.shape.as_ref()?;
        match shape.len().checked_sub(back) {
            Some(at) => shape[at].and_then(|size| usize::try_from(size).ok()),
            None => Some(1),
        }
    }

    pub(super) fn rank(&self, name: &str) -> Option<usize> {
        self.known.get(name)?.shape.as_ref().map(Vec::len)
    }

    /// The constant at a node's input.
    pub(super) fn constant(&self, node: &NodeProto, slot: usize) -> Option<&'a TensorProto> {
        self.tensors.get(node.input_at(slot)?).copied()
    }

    pub(super) fn integers(&self, node: &NodeProto, slot: usize) -> Option<Vec<i64>> {
        self.constant(node, slot)?.integers()
    }
}

/// The state of a walk.
pub(super) struct Walk<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) heads: usize,
    pub(super) lays: HashMap<String, Lay>,
    open: Vec<String>,
    pub(super) edits: Vec<Edit>,
}

/// Why heads cannot go.
pub(super) type Why = String;

impl Walk<'_> {
    pub(super) fn lay(&self, name: &str) -> Option<Lay> {
        self.lays.get(name).copied()
    }

    /// Says where a tensor has the heads.
    pub(super) fn put(&mut self, name: &str, lay: Lay) -> Result<(), Why> {
        if !(1..=MOST).contains(&lay.outer) || lay.block > MOST {
            return Err(format!("'{name}' would have {} parts of heads with {} places", lay.outer, lay.block));
        }
        match self.lays.get(name) {
            Some(known) if !known.agrees(&lay) => Err(format!("'{name}' would have its heads in two places")),
            Some(known) if known.block != 0 || lay.block == 0 => Ok(()),
            _ => {
                self.lays.insert(name.to_owned(), lay);
                self.open.push(name.to_owned());
                Ok(())
            }
        }
    }

    pub(super) fn edit(&mut self, edit: Edit) {
        if !self.edits.contains(&edit) {
            self.edits.push(edit);
        }
    }

    /// A weight at a node's input that has the heads along an axis.
    pub(super) fn weight(&mut self, (node, slot, axis): (usize, usize, usize), lay: Lay, reads: bool) -> Result<(), Why> {
        let of = &self.view.graph.node[node];
        let is_weight = |one: &&TensorProto| one.is_floats() && one.count() != Some(0);
        let Some(tensor) = self.view.constant(of, slot).filter(is_weight) else {
            return Err(format!("input {slot} of {} is no FP32 weight", shown(of)));
        };
        let (name, size) = (tensor.name().to_owned(), tensor.shape().get(axis).copied().unwrap_or(0));
        let block = size / (self.heads * lay.outer);
        if block == 0 || block * self.heads * lay.outer != size || (lay.block != 0 && lay.block != block) {
            return Err(format!("weight '{name}' has {size} places, which {} heads do not share", self.heads));
        }
        // A bias may stand for several, of which each gets its own.
        if tensor.dims.len() > 1 && self.view.uses.get(&name) != Some(&1) {
            return Err(format!("weight '{name}' is used elsewhere too"));
        }
        self.edit(Edit::Weight(Weight { node, slot, name, axis, block, reads }));
        Ok(())
    }
}

pub(super) fn shown(node: &NodeProto) -> String {
    format!("{} '{}'", node.op_type(), node.label())
}

/// Follows the heads from a seed.
pub(super) fn block(view: &View<'_>, seed: &Seed) -> Result<Block, Why> {
    let heads = seed.count(view)?;
    if !(2..=MOST).contains(&heads) {
        return Err(match heads {
            1 => "it has one head of keys (none can go)".to_owned(),
            _ => format!("it would have {heads} heads; expected 2 to {MOST}"),
        });
    }
    let mut walk = Walk { view, heads, lays: HashMap::new(), open: Vec::new(), edits: Vec::new() };
    seed.begin(&mut walk)?;
    while let Some(name) = walk.open.pop() {
        let maker = walk.view.makers.get(name.as_str()).copied();
        let Some(maker) = maker else { return Err(format!("'{name}', which has the heads, is made by no node")) };
        relate(&mut walk, maker)?;
        let readers: Vec<usize> = walk.view.readers.get(name.as_str()).cloned().unwrap_or_default();
        readers.iter().try_for_each(|reader| relate(&mut walk, *reader))?;
    }
    whole(&walk)?;
    let Walk { lays, edits, .. } = walk;
    Ok(Block { name: seed.name.clone(), output: seed.output.clone(), heads, lays, edits })
}

/// Whether nobody but the nodes that were seen knows of the heads, and weights are on both sides.
fn whole(walk: &Walk<'_>) -> Result<(), Why> {
    let inputs = walk.view.graph.node.iter().flat_map(|node| &node.input).filter(|name| walk.lays.contains_key(*name));
    let mut seen: HashMap<&str, usize> = HashMap::new();
    inputs.for_each(|name| *seen.entry(name).or_default() += 1);
    let mut names: Vec<&String> = walk.lays.keys().collect();
    names.sort();
    for name in names {
        if walk.view.uses.get(name).copied().unwrap_or(0) != seen.get(name.as_str()).copied().unwrap_or(0) {
            return Err(format!("'{name}', which has the heads, is an output of the model or used by a graph within"));
        }
    }
    let sides: HashSet<bool> =
        walk.edits.iter().filter_map(|edit| if let Edit::Weight(weight) = edit { Some(weight.reads) } else { None }).collect();
    if sides.len() < 2 {
        return Err("no weights make the heads, or none read them".to_owned());
    }
    Ok(())
}
