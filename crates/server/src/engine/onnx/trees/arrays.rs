//! TreeEnsemble (ai.onnx.ml 5): branches and leaves in arrays of their own, named by position.

use super::Source;
use super::numbers::Numbers;
use crate::engine::onnx::attributes::Attributes;
use crate::engine::trees::{Aggregate, Branch, Ensemble, Field, Finish, Kind, Node, Test, Transform, Tree, Weight};

/// Reads it.
pub(super) fn read(attributes: Attributes<'_>) -> Result<Source, String> {
    let arrays = Arrays::of(attributes)?;
    let targets = attributes.int("n_targets", 0)?;
    let targets = usize::try_from(targets).map_err(|_| format!("n_targets: {targets}; expected 1 or more"))?;
    let ensemble = Ensemble {
        trees: arrays.trees()?,
        weights: arrays.weights(targets)?,
        targets,
        aggregate: match attributes.int("aggregate_function", 1)? {
            0 => Aggregate::Average,
            1 => Aggregate::Sum,
            2 => Aggregate::Least,
            3 => Aggregate::Greatest,
            other => return Err(format!("aggregate_function: {other}; expected 0 (AVERAGE) to 3 (MAX)")),
        },
        ..Ensemble::default()
    };
    let transform = match attributes.int("post_transform", 0)? {
        0 => Transform::None,
        1 => Transform::Softmax,
        2 => Transform::Logistic,
        3 => Transform::SoftmaxZero,
        4 => Transform::Probit,
        other => return Err(format!("post_transform: {other}; expected 0 (NONE) to 4 (PROBIT)")),
    };
    let (finish, double) = (Finish::Values(transform), arrays.splits.double || arrays.leaf_weights.double);
    Ok(Source { ensemble, finish, labels: None, double, as_input: true, name_of })
}

const fn name_of(field: Field) -> &'static str {
    match field {
        Field::Trees => "tree_roots",
        Field::Targets => "n_targets",
        // This operator has none.
        Field::Base => "base",
        Field::Feature => "nodes_featureids",
        Field::Threshold => "nodes_splits",
        Field::Yes => "nodes_truenodeids",
        Field::No => "nodes_falsenodeids",
        Field::WeightTarget => "leaf_targetids",
    }
}

/// The arrays, each as long as those it belongs to.
struct Arrays<'a> {
    roots: &'a [i64],
    features: &'a [i64],
    splits: Numbers,
    /// By node: which numbers are members, where its test is MEMBER.
    tests: Vec<Test>,
    missing: &'a [i64],
    yes: Side<'a>,
    no: Side<'a>,
    leaf_targets: &'a [i64],
    leaf_weights: Numbers,
}

/// Where one answer leads, by node: to a leaf where `is_leaf` is not 0, to a node otherwise.
struct Side<'a> {
    field: &'static str,
    ids: &'a [i64],
    is_leaf: &'a [i64],
}

impl<'a> Arrays<'a> {
    fn of(attributes: Attributes<'a>) -> Result<Self, String> {
        let integers = |name| attributes.ints(name);
        let tensor = |name| Numbers::tensor(attributes, name);
        let (modes, splits) = (tensor("nodes_modes")?, tensor("nodes_splits")?);
        let yes = Side { field: "nodes_truenodeids", ids: integers("nodes_truenodeids")?, is_leaf: integers("nodes_trueleafs")? };
        let no =
            Side { field: "nodes_falsenodeids", ids: integers("nodes_falsenodeids")?, is_leaf: integers("nodes_falseleafs")? };
        let (features, missing) = (integers("nodes_featureids")?, integers("nodes_missing_value_tracks_true")?);
        let count = features.len();
        for (name, found) in [
            ("nodes_modes", modes.values.len()),
            ("nodes_splits", splits.values.len()),
            ("nodes_truenodeids", yes.ids.len()),
            ("nodes_trueleafs", yes.is_leaf.len()),
            ("nodes_falsenodeids", no.ids.len()),
            ("nodes_falseleafs", no.is_leaf.len()),
            ("nodes_missing_value_tracks_true", if missing.is_empty() { count } else { missing.len() }),
        ] {
            if found != count {
                return Err(format!("{name}: {found} entries; expected {count}, one for each of nodes_featureids"));
            }
        }
        let (leaf_targets, leaf_weights) = (integers("leaf_targetids")?, tensor("leaf_weights")?);
        if leaf_weights.values.len() != leaf_targets.len() {
            let (found, expected) = (leaf_weights.values.len(), leaf_targets.len());
            return Err(format!("leaf_weights: {found} entries; expected {expected}, one for each of leaf_targetids"));
        }
        let members = tensor("membership_values")?;
        let tests = tests(&modes.values, &splits.values, &members.values)?;
        Ok(Self { roots: integers("tree_roots")?, features, splits, tests, missing, yes, no, leaf_targets, leaf_weights })
    }

    fn weights(&self, targets: usize) -> Result<Vec<Weight>, String> {
        let weight = |(at, (target, value)): (usize, (&i64, &f64))| match usize::try_from(*target) {
            Ok(target) if target < targets => Ok(Weight { target, value: *value }),
            _ => Err(format!("leaf {at}: leaf_targetids: {target}; expected 0 to {}", targets.saturating_sub(1))),
        };
        self.leaf_targets.iter().zip(&self.leaf_weights.values).enumerate().map(weight).collect()
    }

    fn trees(&self) -> Result<Vec<Tree>, String> {
        // No node belongs to two trees, nor twice to one.
        let mut taken = vec![false; self.features.len()];
        self.roots.iter().enumerate().map(|(at, root)| self.tree(at, *root, &mut taken)).collect()
    }

    /// The nodes that a root leads to, and a leaf for each way to one.
    fn tree(&self, number: usize, root: i64, taken: &mut [bool]) -> Result<Tree, String> {
        let id = i64::try_from(number).unwrap_or(i64::MAX);
        let mut tree = Tree { id, root: 0, nodes: Vec::new() };
        let mut take = |id: i64, from: &dyn Fn() -> String| {
            let at = usize::try_from(id).ok().filter(|at| *at < taken.len());
            let at = at.ok_or_else(|| format!("{}: leads to node {id}; there are {}", from(), self.features.len()))?;
            if std::mem::replace(&mut taken[at], true) {
                return Err(format!(
                    "{}: leads to node {id}, which is reached twice: trees have no cycles and share no nodes",
                    from()
                ));
            }
            Ok(at)
        };
        // Where each node of the tree comes from; its children are put behind those that are open already.
        let mut open = vec![Some(take(root, &|| format!("tree {number}: tree_roots"))?)];
        while tree.nodes.len() < open.len() {
            let Some(at) = open[tree.nodes.len()] else {
                // A leaf, already there.
                tree.nodes.push(Node { id: -1, kind: Kind::Leaf(0..0) });
                continue;
            };
            let id = i64::try_from(at).unwrap_or(i64::MAX);
            let feature = usize::try_from(self.features[at]);
            let feature = feature.map_err(|_| format!("tree {number}, node {id}: nodes_featureids: {}", self.features[at]))?;
            let yes = open.len();
            for side in [&self.yes, &self.no] {
                let from = || format!("tree {number}, node {id}: {}", side.field);
                open.push(if side.is_leaf[at] == 0 { Some(take(side.ids[at], &from)?) } else { None });
            }
            let missing = self.missing.get(at).is_some_and(|one| *one != 0);
            let branch = Branch { feature, test: self.tests[at].clone(), missing, yes, no: yes + 1 };
            tree.nodes.push(Node { id, kind: Kind::Branch(branch) });
        }
        self.fill_leaves(&mut tree)?;
        Ok(tree)
    }

    /// Gives the leaves of a tree their weights.
    fn fill_leaves(&self, tree: &mut Tree) -> Result<(), String> {
        for at in 0..tree.nodes.len() {
            let Node { id, kind: Kind::Branch(branch) } = &tree.nodes[at] else { continue };
            let (id, yes, no) = (*id, branch.yes, branch.no);
            for (side, child) in [(&self.yes, yes), (&self.no, no)] {
                let Node { kind: Kind::Leaf(_), .. } = &tree.nodes[child] else { continue };
                let found = usize::try_from(id).map_or(-1, |from| side.ids[from]);
                let leaf = usize::try_from(found).ok().filter(|leaf| *leaf < self.leaf_targets.len());
                let Some(leaf) = leaf else {
                    let (field, count) = (side.field, self.leaf_targets.len());
                    return Err(format!("tree {}, node {id}: {field}: leads to leaf {found}; there are {count}", tree.id));
                };
                tree.nodes[child] = Node { id: found, kind: Kind::Leaf(leaf..leaf + 1) };
            }
        }
        Ok(())
    }
}

/// The test of each node. The members of one MEMBER node after another are listed, each list ended by NaN.
fn tests(modes: &[f64], splits: &[f64], members: &[f64]) -> Result<Vec<Test>, String> {
    let mut sets = members.split(|value| value.is_nan());
    let test = |(at, (mode, split)): (usize, (&f64, &f64))| {
        Ok(match *mode as i64 {
            0 => Test::AtMost(*split),
            1 => Test::Below(*split),
            2 => Test::AtLeast(*split),
            3 => Test::Above(*split),
            4 => Test::Equal(*split),
            5 => Test::Unequal(*split),
            6 => match sets.next() {
                Some(set) if !set.is_empty() => Test::Member(set.to_vec()),
                _ => return Err(format!("node {at}: membership_values: the node has no members")),
            },
            other => return Err(format!("node {at}: nodes_modes: {other}; expected 0 (BRANCH_LEQ) to 6 (BRANCH_MEMBER)")),
        })
    };
    modes.iter().zip(splits).enumerate().map(test).collect()
}
