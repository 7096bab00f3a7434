//! `TreeEnsembleClassifier` and `TreeEnsembleRegressor` (ai.onnx.ml 1 to 3): nodes and weights as parallel lists, named by tree and node.

use std::collections::HashMap;

use bytes::Bytes;

use super::attributes::{Numbers, ints, put_ints, put_numbers, put_strings, texts};
use super::forest::{Aggregate, Branch, Forest, Node, Test, Weight, ordered};
use crate::proto::NodeProto;

const MODES: [&str; 6] = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];
const LEAF: &[u8] = b"LEAF";

/// The lists of weights: `class_ids` of a classifier, `target_ids` of a regressor.
fn prefix(node: &NodeProto) -> &'static str {
    if node.op_type() == "TreeEnsembleClassifier" { "class" } else { "target" }
}

/// Reads the trees; `None` where they are written in a way that is not read here, or unsound.
pub(super) fn read(node: &NodeProto) -> Option<Forest> {
    let what = prefix(node);
    let (ids, names) = (ints(node, "nodes_treeids"), ints(node, "nodes_nodeids"));
    let (features, modes) = (ints(node, "nodes_featureids"), texts(node, "nodes_modes"));
    let (yes, no) = (ints(node, "nodes_truenodeids"), ints(node, "nodes_falsenodeids"));
    let (missing, values) = (ints(node, "nodes_missing_value_tracks_true"), Numbers::of(node, "nodes_values")?);
    let count = ids.len();
    let lengths = [names.len(), features.len(), modes.len(), yes.len(), no.len(), values.values.len()];
    if lengths.iter().any(|one| *one != count) || !(missing.is_empty() || missing.len() == count) {
        return None;
    }
    // Trees in the order of their first nodes, each node by its name.
    let (mut order, mut trees): (Vec<i64>, HashMap<i64, Vec<usize>>) = (Vec::new(), HashMap::new());
    for (at, id) in ids.iter().enumerate() {
        let nodes = trees.entry(*id).or_default();
        if nodes.is_empty() {
            order.push(*id);
        }
        nodes.push(at);
    }
    let mut leaves = weights(node, what)?;
    let mut forest = Forest { trees: Vec::new(), aggregate: aggregate(node)?, base: Numbers::of(node, "base_values")?.values };
    for id in order {
        let listed = &trees[&id];
        let places: HashMap<i64, usize> = listed.iter().enumerate().map(|(place, at)| (names[*at], place)).collect();
        let made = listed.iter().map(|at| {
            if modes[*at] == LEAF {
                return Some(Node::Leaf(leaves.remove(&(id, names[*at])).unwrap_or_default()));
            }
            let mode = MODES.iter().position(|mode| mode.as_bytes() == modes[*at])?;
            let test = Test::of(u8::try_from(mode).ok()?, values.values[*at])?;
            let (yes, no) = (*places.get(&yes[*at])?, *places.get(&no[*at])?);
            let missing = missing.get(*at).is_some_and(|one| *one != 0);
            Some(Node::Branch(Branch { feature: features[*at], test, missing, yes, no }))
        });
        let made: Vec<Node> = made.collect::<Option<_>>()?;
        forest.trees.push(ordered(id, &made, 0).filter(|_| places.len() == made.len())?);
    }
    // A weight of what is no leaf is one that nobody understands alike.
    leaves.is_empty().then_some(forest)
}

fn weights(node: &NodeProto, what: &str) -> Option<HashMap<(i64, i64), Vec<Weight>>> {
    let list = |name: &str| ints(node, &format!("{what}_{name}"));
    let (trees, nodes, targets, values) =
        (list("treeids"), list("nodeids"), list("ids"), Numbers::of(node, &format!("{what}_weights"))?.values);
    if [nodes.len(), targets.len(), values.len()].iter().any(|one| *one != trees.len()) {
        return None;
    }
    let mut found: HashMap<(i64, i64), Vec<Weight>> = HashMap::new();
    for (at, tree) in trees.iter().enumerate() {
        found.entry((*tree, nodes[at])).or_default().push(Weight { target: targets[at], value: values[at] });
    }
    Some(found)
}

fn aggregate(node: &NodeProto) -> Option<Aggregate> {
    match node.attribute_named("aggregate_function").map_or(b"SUM".as_slice(), |one| one.s()) {
        b"SUM" => Some(Aggregate::Sum),
        b"AVERAGE" => Some(Aggregate::Average),
        b"MIN" | b"MAX" => Some(Aggregate::Extreme),
        _ => None,
    }
}

/// Writes the trees in place of those that were read; nodes are named by their place. Lists that say nothing go.
pub(super) fn write(node: &mut NodeProto, forest: &Forest) {
    let what = prefix(node);
    let nodes = || {
        let whole = forest.trees.iter().flat_map(|tree| tree.nodes.iter().enumerate().map(move |(at, node)| (tree.id, at, node)));
        whole.map(|(id, at, node)| (id, place(at), node))
    };
    let branch = |take: &dyn Fn(&Branch) -> i64| -> Vec<i64> {
        nodes().map(|(_, _, node)| if let Node::Branch(branch) = node { take(branch) } else { 0 }).collect()
    };
    let (features, yes, no, missing) = (
        branch(&|one| one.feature),
        branch(&|one| place(one.yes)),
        branch(&|one| place(one.no)),
        branch(&|one| i64::from(one.missing)),
    );
    let modes = nodes().map(|(_, _, node)| match node {
        Node::Branch(branch) => Bytes::from_static(MODES[usize::from(branch.test.mode())].as_bytes()),
        Node::Leaf(_) => Bytes::from_static(LEAF),
    });
    let (modes, values): (Vec<Bytes>, Vec<f64>) = (modes.collect(), {
        let value = |node: &Node| if let Node::Branch(branch) = node { branch.test.values()[0] } else { 0.0 };
        nodes().map(|(_, _, node)| value(node)).collect()
    });
    let given = || nodes().flat_map(|(id, at, node)| given(node).iter().map(move |weight| (id, at, *weight)));
    let list = |name: &str| format!("{what}_{name}");
    put_ints(node, "nodes_treeids", nodes().map(|(id, _, _)| id).collect());
    put_ints(node, "nodes_nodeids", nodes().map(|(_, at, _)| at).collect());
    put_ints(node, "nodes_featureids", features);
    put_strings(node, "nodes_modes", modes);
    put_ints(node, "nodes_truenodeids", yes);
    put_ints(node, "nodes_falsenodeids", no);
    put_numbers(node, "nodes_values", &values);
    let tracked = missing.iter().any(|one| *one != 0);
    if tracked {
        put_ints(node, "nodes_missing_value_tracks_true", missing);
    }
    // Hit rates are a note of whoever grew the trees; no answer depends on them.
    node.attribute.retain(|one| one.name() != "nodes_hitrates" && !one.name().starts_with("nodes_hitrates_"));
    node.attribute.retain(|one| one.name() != "nodes_missing_value_tracks_true" || tracked);
    put_ints(node, &list("treeids"), given().map(|(id, _, _)| id).collect());
    put_ints(node, &list("nodeids"), given().map(|(_, at, _)| at).collect());
    put_ints(node, &list("ids"), given().map(|(_, _, weight)| weight.target).collect());
    put_numbers(node, &list("weights"), &given().map(|(_, _, weight)| weight.value).collect::<Vec<_>>());
}

fn given(node: &Node) -> &[Weight] {
    if let Node::Leaf(weights) = node { weights } else { &[] }
}

fn place(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}
