//! `TreeEnsemble` (ai.onnx.ml 5): branches and leaves in arrays of their own, named by position. A leaf has one weight.

use super::attributes::{Numbers, ints, put_ints, put_numbers};
use super::forest::{Aggregate, Branch, Forest, Node, Test, Tree, Weight};
use crate::proto::NodeProto;

/// Reads the trees; `None` where they are written in a way that is not read here, or unsound.
pub(super) fn read(node: &NodeProto) -> Option<Forest> {
    let aggregate = match node.attribute_named("aggregate_function").map_or(1, |one| one.i()) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 | 3 => Aggregate::Extreme,
        _ => return None,
    };
    let arrays = Arrays::of(node)?;
    let mut taken = vec![false; arrays.features.len()];
    let tree = |(id, root): (usize, &i64)| arrays.tree(i64::try_from(id).ok()?, *root, &mut taken);
    let trees = ints(node, "tree_roots").iter().enumerate().map(tree).collect::<Option<_>>()?;
    Some(Forest { trees, aggregate, base: Vec::new() })
}

struct Arrays<'a> {
    features: &'a [i64],
    tests: Vec<Test>,
    missing: &'a [i64],
    /// The children of yes and of no, and whether each is a leaf.
    ways: [(&'a [i64], &'a [i64]); 2],
    targets: &'a [i64],
    weights: Vec<f64>,
}

impl<'a> Arrays<'a> {
    fn of(node: &'a NodeProto) -> Option<Self> {
        let features = ints(node, "nodes_featureids");
        let (modes, splits) = (Numbers::of(node, "nodes_modes")?.values, Numbers::of(node, "nodes_splits")?.values);
        let ways = [
            (ints(node, "nodes_truenodeids"), ints(node, "nodes_trueleafs")),
            (ints(node, "nodes_falsenodeids"), ints(node, "nodes_falseleafs")),
        ];
        let missing = ints(node, "nodes_missing_value_tracks_true");
        let (targets, weights) = (ints(node, "leaf_targetids"), Numbers::of(node, "leaf_weights")?.values);
        let members = Numbers::of(node, "membership_values")?.values;
        let count = features.len();
        let whole = ways.iter().all(|(ids, leaf)| ids.len() == count && leaf.len() == count)
            && (modes.len(), splits.len()) == (count, count)
            && (missing.is_empty() || missing.len() == count)
            && targets.len() == weights.len();
        // The members of one node after another, each list ended by NaN.
        let mut sets = members.split(|one| one.is_nan());
        let test = |(mode, split): (&f64, &f64)| match *mode as u8 {
            6 => sets.next().filter(|set| !set.is_empty()).map(|set| Test::Member(set.to_vec())),
            mode => Test::of(mode, *split),
        };
        let tests = modes.iter().zip(&splits).map(test).collect::<Option<Vec<_>>>()?;
        whole.then_some(Self { features, tests, missing, ways, targets, weights })
    }

    /// The nodes that a root leads to; a node belongs to one tree, once.
    fn tree(&self, id: i64, root: i64, taken: &mut [bool]) -> Option<Tree> {
        let mut take = |id: i64| {
            let at = usize::try_from(id).ok()?;
            (!std::mem::replace(taken.get_mut(at)?, true)).then_some(at)
        };
        let mut open = vec![Ok(take(root)?)];
        let mut nodes = Vec::new();
        while let Some(next) = open.get(nodes.len()) {
            let at = match next {
                Ok(at) => *at,
                Err(leaf) => {
                    let weight = Weight { target: *self.targets.get(*leaf)?, value: self.weights[*leaf] };
                    nodes.push(Node::Leaf(vec![weight]));
                    continue;
                }
            };
            let yes = open.len();
            for (ids, leaf) in &self.ways {
                open.push(if leaf[at] == 0 { Ok(take(ids[at])?) } else { Err(usize::try_from(ids[at]).ok()?) });
            }
            let missing = self.missing.get(at).is_some_and(|one| *one != 0);
            let test = self.tests[at].clone();
            nodes.push(Node::Branch(Branch { feature: self.features[at], test, missing, yes, no: yes + 1 }));
        }
        Some(Tree { id, nodes })
    }
}

/// The arrays as they are put together.
#[derive(Default)]
struct Made {
    roots: Vec<i64>,
    features: Vec<i64>,
    modes: Vec<f64>,
    splits: Vec<f64>,
    members: Vec<f64>,
    missing: Vec<i64>,
    ways: [(Vec<i64>, Vec<i64>); 2],
    targets: Vec<i64>,
    weights: Vec<f64>,
}

impl Made {
    fn leaf(&mut self, weights: &[Weight]) -> i64 {
        let at = place(self.targets.len());
        // Read as one weight each, and only merged since.
        if let [weight, ..] = weights {
            self.targets.push(weight.target);
            self.weights.push(weight.value);
        }
        at
    }

    fn branch(&mut self, branch: &Branch) -> usize {
        let at = self.features.len();
        self.features.push(branch.feature);
        self.modes.push(f64::from(branch.test.mode()));
        if let Test::Member(values) = &branch.test {
            self.members.extend(values.iter().copied().chain([f64::NAN]));
            self.splits.push(0.0);
        } else {
            self.splits.extend(branch.test.values());
        }
        self.missing.push(i64::from(branch.missing));
        self.ways.iter_mut().for_each(|(ids, leaf)| {
            ids.push(0);
            leaf.push(1);
        });
        at
    }

    fn tree(&mut self, tree: &Tree) {
        self.roots.push(place(self.features.len()));
        if let Some(Node::Leaf(weights)) = tree.nodes.first() {
            // A root is a branch: one that leads to the leaf whatever is asked.
            let leaf = self.leaf(weights);
            let at = self.branch(&Branch { feature: 0, test: Test::AtMost(0.0), missing: false, yes: 0, no: 0 });
            self.ways.iter_mut().for_each(|(ids, _)| ids[at] = leaf);
            return;
        }
        let places: Vec<Option<usize>> = tree
            .nodes
            .iter()
            .map(|node| if let Node::Branch(branch) = node { Some(self.branch(branch)) } else { None })
            .collect();
        for (node, at) in tree.nodes.iter().zip(&places) {
            let (Node::Branch(branch), Some(at)) = (node, at) else { continue };
            for (side, child) in [branch.yes, branch.no].into_iter().enumerate() {
                let (id, leaf) = match (&tree.nodes[child], places[child]) {
                    (Node::Leaf(weights), _) => (self.leaf(weights), 1),
                    (Node::Branch(_), found) => (place(found.unwrap_or_default()), 0),
                };
                (self.ways[side].0[*at], self.ways[side].1[*at]) = (id, leaf);
            }
        }
    }
}

/// Writes the trees in place of those that were read.
pub(super) fn write(node: &mut NodeProto, forest: &Forest) {
    let mut made = Made::default();
    forest.trees.iter().for_each(|tree| made.tree(tree));
    let Made { roots, features, modes, splits, members, missing, ways: [yes, no], targets, weights } = made;
    put_ints(node, "tree_roots", roots);
    put_ints(node, "nodes_featureids", features);
    put_numbers(node, "nodes_modes", &modes);
    put_numbers(node, "nodes_splits", &splits);
    if node.attribute_named("membership_values").is_some() {
        put_numbers(node, "membership_values", &members);
    }
    put_ints(node, "nodes_truenodeids", yes.0);
    put_ints(node, "nodes_trueleafs", yes.1);
    put_ints(node, "nodes_falsenodeids", no.0);
    put_ints(node, "nodes_falseleafs", no.1);
    let tracked = missing.iter().any(|one| *one != 0);
    if tracked {
        put_ints(node, "nodes_missing_value_tracks_true", missing);
    }
    let silent = |name: &str| {
        name == "nodes_hitrates"
            || (name == "nodes_missing_value_tracks_true" && !tracked)
            || (name == "membership_values" && members.is_empty())
    };
    node.attribute.retain(|one| !silent(one.name()));
    put_ints(node, "leaf_targetids", targets);
    put_numbers(node, "leaf_weights", &weights);
}

fn place(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}
