use proptest::prelude::*;

use super::attributes::{put_ints, put_numbers, put_strings};
use super::forest::{Aggregate, Branch, Forest, Node, Test, Tree, Weight};
use super::{arrays, listed, merged, rounded};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, data_type};

/// A walk as the operators define it: the sums of both targets, and whether a leaf gave to each.
fn answer(forest: &Forest, row: &[f32]) -> Vec<(u32, bool)> {
    let mut sums = [(0.0_f32, false); 2];
    for tree in &forest.trees {
        let mut at = 0;
        let weights = loop {
            let branch = match &tree.nodes[at] {
                Node::Leaf(weights) => break weights,
                Node::Branch(branch) => branch,
            };
            let value = f64::from(row[usize::try_from(branch.feature).unwrap()]);
            let yes = match &branch.test {
                Test::AtMost(one) => value <= *one,
                Test::Below(one) => value < *one,
                Test::AtLeast(one) => value >= *one,
                Test::Above(one) => value > *one,
                Test::Equal(one) => value == *one,
                Test::Unequal(one) => value != *one,
                Test::Member(many) => many.contains(&value),
            };
            at = if yes || (value.is_nan() && branch.missing) { branch.yes } else { branch.no };
        };
        for weight in weights {
            let sum = &mut sums[usize::try_from(weight.target).unwrap()];
            *sum = (sum.0 + weight.value as f32, true);
        }
    }
    sums.iter().map(|(sum, scored)| (sum.to_bits(), *scored)).collect()
}

/// Numbers of few kinds, so that trees ask the same again.
fn number() -> impl Strategy<Value = f64> {
    (-3..4_i32).prop_map(|one| f64::from(one) / 2.0)
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        number().prop_map(Test::AtMost),
        number().prop_map(Test::Below),
        number().prop_map(Test::AtLeast),
        number().prop_map(Test::Above),
        number().prop_map(Test::Equal),
        number().prop_map(Test::Unequal),
        prop::collection::vec(number(), 1..3).prop_map(Test::Member),
    ]
}

/// A tree of up to `depth` questions, as a nest of lists.
#[derive(Clone, Debug)]
enum Nest {
    Leaf(i64, f64),
    Branch(i64, Test, bool, Box<(Nest, Nest)>),
}

fn nest() -> impl Strategy<Value = Nest> {
    let leaf = (0..2_i64, number()).prop_map(|(target, value)| Nest::Leaf(target, value));
    leaf.prop_recursive(6, 40, 2, |inner| {
        (0..2_i64, test(), any::<bool>(), inner.clone(), inner)
            .prop_map(|(feature, test, missing, yes, no)| Nest::Branch(feature, test, missing, Box::new((yes, no))))
    })
}

fn tree(id: i64, nest: &Nest) -> Tree {
    let mut open = vec![nest];
    let mut nodes = Vec::new();
    while let Some(next) = open.get(nodes.len()) {
        nodes.push(match next {
            Nest::Leaf(target, value) => Node::Leaf(vec![Weight { target: *target, value: *value }]),
            Nest::Branch(feature, test, missing, ways) => {
                let yes = open.len();
                open.extend([&ways.0, &ways.1]);
                Node::Branch(Branch { feature: *feature, test: test.clone(), missing: *missing, yes, no: yes + 1 })
            }
        });
    }
    Tree { id, nodes }
}

fn forests() -> impl Strategy<Value = Forest> {
    prop::collection::vec(nest(), 1..5).prop_map(|nests| {
        let trees = nests.iter().enumerate().map(|(id, nest)| tree(i64::try_from(id).unwrap(), nest)).collect();
        Forest { trees, aggregate: Aggregate::Sum, base: Vec::new() }
    })
}

/// Every value that a question names, those on either side, and none at all.
fn values() -> Vec<f32> {
    (-8..9_i32).map(|one| one as f32 / 4.0).chain([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]).collect()
}

/// The trees as arrays have them: a root is a branch.
fn rooted(forest: &Forest) -> Forest {
    let mut rooted = forest.clone();
    for tree in rooted.trees.iter_mut().filter(|tree| tree.nodes.len() == 1) {
        let branch = Branch { feature: 0, test: Test::AtMost(0.0), missing: false, yes: 1, no: 2 };
        tree.nodes = vec![Node::Branch(branch), tree.nodes[0].clone(), tree.nodes[0].clone()];
    }
    rooted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn merging_changes_no_bit(forest in forests()) {
        let merged = merged(&forest);
        prop_assert!(merged.count() <= forest.count());
        for first in values() {
            for second in values() {
                prop_assert_eq!(answer(&forest, &[first, second]), answer(&merged, &[first, second]), "{} {} {:?}", first, second, merged);
            }
        }
        prop_assert_eq!(super::merged(&merged), merged, "a second time it finds nothing");
    }

    /// Written and read again they are the same trees; a tree of a leaf alone is a question that leads to it either way.
    #[test]
    fn arrays_come_back(forest in forests()) {
        let empty = |name: &str, kind: i32| AttributeProto {
            name: Some(name.into()),
            r#type: Some(4),
            t: Some(TensorProto::of_bytes(name.into(), kind, vec![0], vec![])),
            ..AttributeProto::default()
        };
        let kinds = [
            ("nodes_modes", data_type::UINT8),
            ("nodes_splits", data_type::DOUBLE),
            ("membership_values", data_type::DOUBLE),
            ("leaf_weights", data_type::FLOAT),
        ];
        let attribute = kinds.iter().map(|(name, kind)| empty(name, *kind)).collect();
        let mut node = NodeProto { op_type: Some("TreeEnsemble".into()), attribute, ..NodeProto::default() };
        arrays::write(&mut node, &forest);
        let read = arrays::read(&node).unwrap();
        // Merged: where a leaf that nobody reaches has to stay, nothing is.
        prop_assert_eq!(merged(&read), merged(&rooted(&forest)));
        for value in values() {
            prop_assert_eq!(answer(&read, &[value, 0.5]), answer(&forest, &[value, 0.5]));
        }
    }

    #[test]
    fn rounding_keeps_its_word(forest in forests(), bits in 2_u32..9) {
        let (new, told) = rounded(&forest, bits);
        for first in values() {
            let value = |sums: Vec<(u32, bool)>| sums.iter().map(|(bits, _)| f64::from(f32::from_bits(*bits))).collect::<Vec<_>>();
            let (before, after) = (value(answer(&forest, &[first, 0.5])), value(answer(&new, &[first, 0.5])));
            for (a, b) in before.iter().zip(after) {
                prop_assert!((a - b).abs() <= told.most + 1e-6, "{} {} {:?}", a, b, told);
            }
        }
        prop_assert!(super::merge::sums_exactly(&new));
        prop_assert_eq!(new.sense(), forest.sense());
    }
}

fn stump(id: i64, weights: [f64; 2]) -> Tree {
    let leaf = |value| Node::Leaf(vec![Weight { target: 0, value }]);
    let branch = Branch { feature: 0, test: Test::AtMost(1.0), missing: false, yes: 1, no: 2 };
    Tree { id, nodes: vec![Node::Branch(branch), leaf(weights[0]), leaf(weights[1])] }
}

fn sum(trees: Vec<Tree>) -> Forest {
    Forest { trees, aggregate: Aggregate::Sum, base: Vec::new() }
}

#[test]
fn equal_trees_are_one_where_sums_are_exact() {
    let exact = merged(&sum(vec![stump(0, [0.5, 1.25]), stump(1, [2.0, 0.0]), stump(2, [0.5, 1.25])]));
    assert_eq!(exact, sum(vec![stump(0, [1.0, 2.5]), stump(1, [2.0, 0.0])]));
    // Tenths are no multiples of one power of two that FP32 could add without rounding.
    let tenths = [f64::from(0.1_f32), f64::from(0.7_f32)];
    let inexact = sum(vec![stump(0, tenths), stump(1, [1e6, 0.0]), stump(2, tenths)]);
    assert_eq!(merged(&inexact), inexact);
    let average = Forest { aggregate: Aggregate::Average, ..sum(vec![stump(0, [0.5, 1.0]); 2]) };
    assert_eq!(merged(&average), average, "an average counts its trees");
    let extreme = Forest { aggregate: Aggregate::Extreme, ..sum(vec![stump(0, tenths), stump(1, tenths)]) };
    assert_eq!(merged(&extreme).trees, [stump(0, tenths)]);
}

#[test]
fn two_questions_with_one_answer_between_are_one() {
    let weight = |value| Node::Leaf(vec![Weight { target: 0, value }]);
    let branch = |limit, missing, yes, no| Node::Branch(Branch { feature: 0, test: Test::AtMost(limit), missing, yes, no });
    let tree = |nodes| sum(vec![Tree { id: 0, nodes }]);
    for (first, second, missing) in [(true, false, true), (false, true, true), (false, false, false)] {
        let up = tree(vec![branch(1.0, first, 1, 2), weight(5.0), branch(2.0, second, 3, 4), weight(5.0), weight(7.0)]);
        assert_eq!(merged(&up), tree(vec![branch(2.0, missing, 1, 2), weight(5.0), weight(7.0)]));
    }
    for (first, second, missing) in [(true, false, false), (false, true, false), (true, true, true)] {
        let down = tree(vec![branch(2.0, first, 1, 2), branch(1.0, second, 3, 4), weight(7.0), weight(5.0), weight(7.0)]);
        assert_eq!(merged(&down), tree(vec![branch(1.0, missing, 1, 2), weight(5.0), weight(7.0)]));
    }
}

#[test]
fn the_only_negative_weight_stays_though_nobody_reaches_it() {
    let weight = |value| Node::Leaf(vec![Weight { target: 0, value }]);
    let branch = |test, yes, no| Node::Branch(Branch { feature: 0, test, missing: false, yes, no });
    let nodes =
        |hidden| vec![branch(Test::AtMost(1.0), 1, 2), branch(Test::AtMost(2.0), 3, 4), weight(1.0), weight(0.5), weight(hidden)];
    let forest = |hidden| sum(vec![Tree { id: 0, nodes: nodes(hidden) }]);
    assert_eq!(merged(&forest(3.0)).count(), 3);
    assert_eq!(merged(&forest(-3.0)), forest(-3.0), "whether none is negative decides what a classifier's column means");
}

#[test]
fn lists_come_and_go_as_they_are() {
    let mut node =
        NodeProto { op_type: Some("TreeEnsembleRegressor".into()), domain: Some("ai.onnx.ml".into()), ..NodeProto::default() };
    // Trees and nodes by names of their own, the second tree a leaf alone, and a branch with the same leaf twice.
    put_ints(&mut node, "nodes_treeids", vec![7, 7, 7, 9]);
    put_ints(&mut node, "nodes_nodeids", vec![3, 1, 8, 0]);
    put_ints(&mut node, "nodes_featureids", vec![2, 0, 0, 0]);
    put_strings(&mut node, "nodes_modes", ["BRANCH_LT", "LEAF", "LEAF", "LEAF"].map(|one| one.as_bytes().to_vec().into()).into());
    put_ints(&mut node, "nodes_truenodeids", vec![8, 0, 0, 0]);
    put_ints(&mut node, "nodes_falsenodeids", vec![1, 0, 0, 0]);
    put_numbers(&mut node, "nodes_values", &[0.25, 0.0, 0.0, 0.0]);
    put_numbers(&mut node, "nodes_hitrates", &[1.0; 4]);
    put_ints(&mut node, "target_treeids", vec![9, 7, 7]);
    put_ints(&mut node, "target_nodeids", vec![0, 8, 1]);
    put_ints(&mut node, "target_ids", vec![0; 3]);
    put_numbers(&mut node, "target_weights", &[4.0, 1.0, 2.0]);
    let read = listed::read(&node).unwrap();
    let leaf = |value| Node::Leaf(vec![Weight { target: 0, value }]);
    assert_eq!(read.trees[0].nodes[1..], [leaf(1.0), leaf(2.0)]);
    assert_eq!(read.trees[1], Tree { id: 9, nodes: vec![leaf(4.0)] });
    let mut graph = GraphProto { node: vec![node.clone()], ..GraphProto::default() };
    assert_eq!(super::merge(&mut graph), 1, "hit rates say nothing");
    assert_eq!(listed::read(&graph.node[0]), Some(read));
    put_ints(&mut node, "nodes_falsenodeids", vec![3, 0, 0, 0]);
    assert_eq!(listed::read(&node), None, "a cycle is left to those who refuse it");
}
