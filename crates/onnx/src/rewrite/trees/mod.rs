//! Tree ensembles: `TreeEnsembleClassifier`, `TreeEnsembleRegressor` (ai.onnx.ml 1 to 3) and `TreeEnsemble` (5).
//!
//! Merging changes no bit of an answer: what goes are ways that no row takes, questions whose answers lead to the same, and trees
//! that are another one again, where their sums are exact. Rounding leaves does change answers, by at most what is told.

mod arrays;
mod attributes;
mod forest;
mod listed;
mod merge;
mod reach;

use forest::{Forest, Node, Tree};
use merge::Shapes;

use crate::proto::{GraphProto, NodeProto};

/// What became of the leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rounded {
    /// Leaves and branches that are gone, and leaves that are others.
    pub(super) changed: usize,
    /// The most that a row's sum moved by, before what is done with sums.
    pub(super) most: f64,
}

fn read(node: &NodeProto) -> Option<Forest> {
    if node.domain() != "ai.onnx.ml" {
        return None;
    }
    let forest = match node.op_type() {
        "TreeEnsemble" => arrays::read(node),
        "TreeEnsembleClassifier" | "TreeEnsembleRegressor" => listed::read(node),
        _ => None,
    }?;
    let told = |tree: &Tree| {
        tree.nodes.iter().all(|node| {
            matches!(node, Node::Branch(one) if one.test.values().iter().all(|one| !one.is_nan()))
                || matches!(node, Node::Leaf(_))
        })
    };
    forest.trees.iter().all(told).then_some(forest)
}

fn write(node: &mut NodeProto, forest: &Forest) {
    if node.op_type() == "TreeEnsemble" { arrays::write(node, forest) } else { listed::write(node, forest) }
}

/// Takes away what makes no difference; how many nodes of trees that were, and lists that say nothing.
pub(super) fn merge(graph: &mut GraphProto) -> usize {
    let mut gone = 0;
    for node in &mut graph.node {
        let Some(forest) = read(node) else { continue };
        let (merged, lists) = (merged(&forest), node.attribute.len());
        let fewer = forest.count() - merged.count();
        let mut new = node.clone();
        write(&mut new, &merged);
        gone += fewer + (lists - new.attribute.len());
        if fewer > 0 || lists > new.attribute.len() {
            *node = new;
        }
    }
    gone
}

fn merged(forest: &Forest) -> Forest {
    let mut shapes = Shapes::default();
    let (trees, numbers): (Vec<Tree>, Vec<usize>) =
        forest.trees.iter().map(|tree| shapes.merged(&reach::reachable(tree))).unzip();
    let mut new = Forest { trees, ..forest.clone() };
    merge::fold_equal(&mut new, &numbers);
    // What all weights together say of a classifier must stay, even where only a leaf that nobody reaches said it.
    if new.sense() == forest.sense() { new } else { forest.clone() }
}

/// Rounds leaves to multiples of a power of two, so that `bits` hold the largest, and merges what became equal. `None` where there are
/// no trees.
pub(super) fn round(graph: &mut GraphProto, bits: u32) -> Option<Rounded> {
    let mut all: Option<Rounded> = None;
    for node in &mut graph.node {
        let Some(forest) = read(node) else { continue };
        let (rounded, found) = rounded(&forest, bits);
        let merged = merged(&rounded);
        let all = all.get_or_insert_default();
        all.changed += found.changed + rounded.count() - merged.count();
        all.most = all.most.max(found.most);
        write(node, &merged);
    }
    all
}

fn rounded(forest: &Forest, bits: u32) -> (Forest, Rounded) {
    let largest = forest.weights().map(|one| one.value.abs()).filter(|one| one.is_finite()).fold(0.0, f64::max);
    // Steps on either side of zero.
    let steps = f64::from((1_u32 << bits.saturating_sub(1)) - 1);
    let step = (largest / steps).log2().ceil().exp2();
    if !step.is_normal() || step < f64::from(f32::MIN_POSITIVE) {
        return (forest.clone(), Rounded::default());
    }
    let mut new = forest.clone();
    for weight in new.weights_mut().filter(|one| one.value.is_finite()) {
        // Adding zero makes -0 a plain zero.
        weight.value = (weight.value / step).round_ties_even() * step + 0.0;
    }
    if new.sense() != forest.sense() {
        // All that was negative became zero: the most negative stays on its side.
        let least = forest.weights().map(|one| one.value).fold(0.0, f64::min);
        new.weights_mut().zip(forest.weights()).filter(|(_, old)| old.value <= least).for_each(|(one, _)| one.value = -step);
    }
    let changed = new.weights().zip(forest.weights()).filter(|(one, old)| one.value.to_bits() != old.value.to_bits()).count();
    // For each tree, the most that one of its leaves moved by.
    let moved = |(one, old): (&Tree, &Tree)| {
        let leaf = |(one, old): (&Node, &Node)| match (one, old) {
            (Node::Leaf(one), Node::Leaf(old)) => one.iter().zip(old).map(|(a, b)| (a.value - b.value).abs()).fold(0.0, f64::max),
            _ => 0.0,
        };
        one.nodes.iter().zip(&old.nodes).map(leaf).fold(0.0, f64::max)
    };
    let each = new.trees.iter().zip(&forest.trees).map(moved);
    let most = match forest.aggregate {
        forest::Aggregate::Sum => each.sum(),
        forest::Aggregate::Average => each.sum::<f64>() / (forest.trees.len().max(1) as f64),
        forest::Aggregate::Extreme => each.fold(0.0, f64::max),
    };
    (new, Rounded { changed, most })
}

#[cfg(test)]
mod tests;
