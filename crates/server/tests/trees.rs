//! Tree ensembles from ONNX files: what they answer, in our own engine and among other operators, and which files are refused.

#![allow(clippy::unwrap_used)]

mod graphs;

use std::time::{Duration, Instant};

use bytes::Bytes;
use graphs::{
    DOUBLE, FLOAT, INT64, STRING, UINT8, doubles, floats, graph_of, integers, model_of, node, number, opened, port, tensor, text,
    texts, weights, with,
};
use modelyard_server::engine::{Engine, RunError, Stop};
use modelyard_wire::{Data, DataType, Tensor};
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, TensorProto};

fn run(engine: &dyn Engine, input: Tensor) -> Result<Vec<Tensor>, RunError> {
    engine.run(&[input], &Stop::at(Instant::now() + Duration::from_secs(60)))
}

fn matrix(columns: usize, values: &[f32]) -> Tensor {
    Tensor::from_f32(vec![values.len() / columns, columns], values).unwrap()
}

/// Two trees over two features. The first: x0 <= 0 gives `a`; else x1 > 1 (missing: yes) gives `b`, else `c`. The second: x0 < 2
/// gives `d`, else `e`.
fn two_trees(operator: &str, what: &str, given: &[(&str, &[f32])]) -> NodeProto {
    let mut found = node(&format!("ai.onnx.ml:{operator}"), &["x"], &["label", "scores"]);
    for (name, values) in [
        ("nodes_treeids", &[0, 0, 0, 0, 0, 1, 1, 1][..]),
        ("nodes_nodeids", &[0, 1, 2, 3, 4, 0, 1, 2]),
        ("nodes_featureids", &[0, 0, 1, 0, 0, 0, 0, 0]),
        ("nodes_truenodeids", &[1, 0, 3, 0, 0, 1, 0, 0]),
        ("nodes_falsenodeids", &[2, 0, 4, 0, 0, 2, 0, 0]),
        ("nodes_missing_value_tracks_true", &[0, 0, 1, 0, 0, 0, 0, 0]),
    ] {
        found = with(found, name, integers(values));
    }
    found = with(found, "nodes_values", floats(&[0.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0]));
    found = with(found, "nodes_modes", texts(&["BRANCH_LEQ", "LEAF", "BRANCH_GT", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"]));
    let leaves = [("a", 0, 1), ("b", 0, 3), ("c", 0, 4), ("d", 1, 1), ("e", 1, 2)];
    let (mut trees, mut nodes, mut ids, mut values) = (vec![], vec![], vec![], vec![]);
    for (name, tree, leaf) in leaves {
        for (id, value) in given.iter().find(|(given, _)| *given == name).unwrap().1.iter().enumerate() {
            trees.push(tree);
            nodes.push(leaf);
            ids.push(id as i64);
            values.push(*value);
        }
    }
    for (name, list) in [("treeids", &trees), ("nodeids", &nodes), ("ids", &ids)] {
        found = with(found, &format!("{what}_{name}"), integers(list));
    }
    with(found, &format!("{what}_weights"), floats(&values))
}

const SINGLE: [(&str, &[f32]); 5] = [("a", &[1.0]), ("b", &[2.0]), ("c", &[4.0]), ("d", &[8.0]), ("e", &[16.0])];

fn regressor(more: &[(&str, AttributeProto)]) -> NodeProto {
    let mut found = two_trees("TreeEnsembleRegressor", "target", &SINGLE);
    found.output = vec!["y".to_owned()];
    more.iter().fold(with(found, "n_targets", number(1)), |found, (name, value)| with(found, name, value.clone()))
}

fn regression(node: NodeProto) -> ModelProto {
    model_of(graph_of(vec![node], vec![port("x", FLOAT, &[-1, 2])], vec![port("y", FLOAT, &[-1, 1])]))
}

const ROWS: [f32; 10] = [0.0, 0.0, 1.0, 1.5, 1.0, 1.0, 2.0, f32::NAN, f32::NAN, 0.0];

#[test]
fn regressors_answer_by_their_aggregate() {
    for (aggregate, base, expected) in [
        ("SUM", None, [9.0, 10.0, 12.0, 18.0, 20.0]),
        ("SUM", Some(0.5), [9.5, 10.5, 12.5, 18.5, 20.5]),
        ("AVERAGE", Some(0.5), [5.0, 5.5, 6.5, 9.5, 10.5]),
        ("MIN", None, [1.0, 2.0, 4.0, 2.0, 4.0]),
        ("MAX", Some(1.0), [9.0, 9.0, 9.0, 17.0, 17.0]),
    ] {
        let base: Vec<_> = base.map(|base| ("base_values", floats(&[base]))).into_iter().collect();
        let alone = regression(regressor(&[&[("aggregate_function", text(aggregate))], &base[..]].concat()));
        let mut among = alone.clone();
        let graph = among.graph.as_mut().unwrap();
        graph.node[0].output = vec!["t".to_owned()];
        graph.node.push(node("Mul", &["t", "two"], &["y"]));
        graph.initializer.push(weights("two", &[1], &[2.0]));
        let (alone, among) = (opened(&alone).unwrap(), opened(&among).unwrap());
        assert_eq!((alone.facts().engine, among.facts().engine), ("Trees", "Tract"));
        assert_eq!(alone.signature(), among.signature());
        assert_eq!(run(&*alone, matrix(2, &ROWS)).unwrap()[0].to_f64().unwrap(), expected, "{aggregate}");
        assert_eq!(run(&*among, matrix(2, &ROWS)).unwrap()[0].to_f64().unwrap(), expected.map(|one| one * 2.0), "{aggregate}");
    }
}

fn classifier(given: &[(&str, &[f32])], labels: (&str, AttributeProto), more: &[(&str, AttributeProto)]) -> NodeProto {
    let found = with(two_trees("TreeEnsembleClassifier", "class", given), labels.0, labels.1);
    more.iter().fold(found, |found, (name, value)| with(found, name, value.clone()))
}

/// As skl2onnx writes it: a label that is cast, and maps that no protocol carries.
fn classification(tree: NodeProto, label: i32, labels: (&str, AttributeProto)) -> ModelProto {
    let cast = with(node("Cast", &["label"], &["output_label"]), "to", number(label.into()));
    let zip = with(node("ai.onnx.ml:ZipMap", &["scores"], &["output_probability"]), labels.0, labels.1);
    let mut maps = port("output_probability", FLOAT, &[]);
    maps.r#type = None;
    let outputs = vec![port("output_label", label, &[-1]), maps];
    model_of(graph_of(vec![tree, cast, zip], vec![port("x", FLOAT, &[-1, 2])], outputs))
}

fn strings(tensor: &Tensor) -> Vec<String> {
    let Data::Strings(all) = tensor.data() else { panic!("{tensor:?}") };
    all.iter().map(|one| String::from_utf8(one.to_vec()).unwrap()).collect()
}

#[test]
fn classifiers_answer_labels_and_scores() {
    let given: [(&str, &[f32]); 5] = [
        ("a", &[1.0, 0.0, 0.0]),
        ("b", &[0.0, 1.0, 0.0]),
        ("c", &[0.0, 0.0, 1.0]),
        ("d", &[0.25, 0.0, 0.25]),
        ("e", &[0.0, 0.5, 0.0]),
    ];
    let names = || ("classlabels_strings", texts(&["oak", "elm", "ash"]));
    let model = classification(classifier(&given, names(), &[]), STRING, names());
    let expected = [[1.25, 0.0, 0.25], [0.25, 1.0, 0.25], [0.25, 0.0, 1.25], [0.0, 1.5, 0.0], [0.0, 0.5, 1.0]].concat();
    // Alone; and among others, where a node that the tree engine does not know keeps tract busy.
    let mut among = model.clone();
    let graph = among.graph.as_mut().unwrap();
    graph.node[0].input = vec!["copy".to_owned()];
    graph.node.insert(0, node("Abs", &["minus"], &["copy"]));
    graph.node.insert(0, node("Abs", &["x"], &["minus"]));
    for (engine, model) in [("Trees", &model), ("Tract", &among)] {
        let opened = opened(model).unwrap();
        let outputs = run(&*opened, matrix(2, &ROWS)).unwrap();
        assert_eq!(opened.facts().engine, engine);
        assert_eq!(opened.facts().classes, ["oak", "elm", "ash"]);
        assert!(opened.signature().batched);
        let specs: Vec<_> = opened.signature().outputs.iter().map(|spec| (&*spec.name, spec.datatype, &*spec.shape)).collect();
        assert_eq!(
            specs,
            [("output_label", DataType::Bytes, &[-1][..]), ("output_probability", DataType::Fp32, &[-1, 3])],
            "{engine}"
        );
        assert_eq!(strings(&outputs[0]), ["oak", "elm", "ash", "elm", "ash"], "{engine}");
        assert_eq!(outputs[1].to_f64().unwrap(), expected, "{engine}");
    }
}

#[test]
fn two_classes_with_one_column_of_weights() {
    let labels = || ("classlabels_int64s", integers(&[10, 20]));
    let positive: [(&str, &[f32]); 5] = [("a", &[0.25]), ("b", &[0.125]), ("c", &[0.5]), ("d", &[0.25]), ("e", &[0.5])];
    let mixed: [(&str, &[f32]); 5] = [("a", &[-1.0]), ("b", &[1.0]), ("c", &[-0.5]), ("d", &[0.25]), ("e", &[0.0])];
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    let sums = [0.5, 0.375, 0.75, 0.625, 1.0];
    for (given, transform, base, expected, best) in [
        // A sum of one half is not enough.
        (positive, "NONE", 0.0, sums.map(|sum| [1.0 - sum, sum]), [10, 10, 20, 20, 20]),
        (positive, "NONE", 0.25, sums.map(|sum| [0.75 - sum, sum + 0.25]), [20, 20, 20, 20, 20]),
        (positive, "LOGISTIC", 0.0, sums.map(|sum| [logistic(-sum), logistic(sum)]), [10, 10, 20, 20, 20]),
        (mixed, "NONE", 0.0, [-0.75, 1.25, -0.25, 1.0, -0.5].map(|sum| [-sum, sum]), [10, 20, 10, 20, 10]),
        (mixed, "LOGISTIC", 0.5, [-0.25, 1.75, 0.25, 1.5, 0.0].map(|sum| [logistic(-sum), logistic(sum)]), [10, 20, 20, 20, 10]),
    ] {
        let more = [("post_transform", text(transform)), ("base_values", floats(&[base]))];
        let model = classification(classifier(&given, labels(), &more), INT64, labels());
        let outputs = run(&*opened(&model).unwrap(), matrix(2, &ROWS)).unwrap();
        assert_eq!(outputs[0].to_f64().unwrap(), best.map(f64::from), "{transform}");
        let found = outputs[1].to_f64().unwrap();
        let close = found.iter().zip(expected.concat()).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close, "{transform}: {found:?}, expected {expected:?}");
    }
}

#[test]
fn thresholds_of_fp64_are_exact() {
    // Between 0.1 and its FP32 there is a number that only FP64 tells apart.
    let mut tree = regressor(&[]);
    tree.attribute.retain(|attribute| !["nodes_values", "target_weights"].contains(&attribute.name.as_str()));
    let threshold = 0.1_f64;
    tree = with(tree, "nodes_values_as_tensor", tensor(doubles("v", &[threshold, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0])));
    tree = with(tree, "target_weights_as_tensor", tensor(doubles("w", &[1.0, 2.0, 4.0, 8.0, 16.0])));
    let mut model = regression(tree);
    model.graph.as_mut().unwrap().input[0] = port("x", DOUBLE, &[-1, 2]);
    let engine = opened(&model).unwrap();
    let values = [threshold, 0.0, threshold.next_up(), 0.0, f64::from(0.1_f32), 0.0];
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let input = Tensor::new(DataType::Fp64, vec![3, 2], Bytes::from(raw)).unwrap();
    let output = &run(&*engine, input).unwrap()[0];
    assert_eq!((output.datatype(), output.to_f64().unwrap()), (DataType::Fp32, vec![9.0, 12.0, 12.0]));
}

/// One tree in the arrays of ai.onnx.ml 5: x0 among {1, 3} gives 1 to target 0; else x1 >= 0 gives 2 to target 1, else 4.
fn arrays() -> NodeProto {
    let bytes = |values: &[u8]| TensorProto {
        dims: vec![values.len() as i64],
        data_type: UINT8,
        raw_data: values.to_vec(),
        ..TensorProto::default()
    };
    let list = |values: &[f32]| weights("", &[values.len() as i64], values);
    let mut found = node("ai.onnx.ml:TreeEnsemble", &["x"], &["y"]);
    for (name, values) in [
        ("tree_roots", &[0][..]),
        ("nodes_featureids", &[0, 1]),
        ("nodes_truenodeids", &[0, 1]),
        ("nodes_trueleafs", &[1, 1]),
        ("nodes_falsenodeids", &[1, 2]),
        ("nodes_falseleafs", &[0, 1]),
        ("leaf_targetids", &[0, 1, 1]),
    ] {
        found = with(found, name, integers(values));
    }
    for (name, value) in [
        ("nodes_modes", bytes(&[6, 2])),
        ("nodes_splits", list(&[0.0, 0.0])),
        ("membership_values", list(&[1.0, 3.0, f32::NAN])),
        ("leaf_weights", list(&[1.0, 2.0, 4.0])),
    ] {
        found = with(found, name, tensor(value));
    }
    with(found, "n_targets", number(2))
}

fn fifth(node: NodeProto) -> ModelProto {
    let mut model = model_of(graph_of(vec![node], vec![port("x", FLOAT, &[-1, 2])], vec![port("y", FLOAT, &[-1, 2])]));
    model.opset_import[1].version = 5;
    model
}

#[test]
fn members_of_sets() {
    let engine = opened(&fifth(arrays())).unwrap();
    let input = matrix(2, &[1.0, -1.0, 3.0, 1.0, 2.0, 0.0, 2.0, -1.0, f32::NAN, f32::NAN]);
    let output = &run(&*engine, input).unwrap()[0];
    assert_eq!(output.to_f64().unwrap(), [1.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 4.0, 0.0, 4.0]);
    let average = with(with(arrays(), "aggregate_function", number(0)), "post_transform", number(2));
    let output = &run(&*opened(&fifth(average)).unwrap(), matrix(2, &[1.0, 0.0])).unwrap()[0];
    assert!((output.to_f64().unwrap()[0] - 0.731_058_6).abs() < 1e-6);
}

fn changed(mut node: NodeProto, name: &str, value: AttributeProto) -> NodeProto {
    node.attribute.retain(|attribute| attribute.name != name);
    if value == AttributeProto::default() { node } else { with(node, name, value) }
}

#[test]
fn faults_are_refused_by_tree_node_and_attribute() {
    let none = AttributeProto::default;
    let begun = Instant::now();
    for (name, value, words) in [
        ("nodes_truenodeids", integers(&[1, 0, 0, 0, 0, 1, 0, 0]), "tree 0, node 2: nodes_truenodeids: leads to node 0, which"),
        (
            "nodes_falsenodeids",
            integers(&[1, 0, 4, 0, 0, 2, 0, 0]),
            "tree 0, node 0: nodes_falsenodeids: leads to node 1, which is reached twice",
        ),
        (
            "nodes_falsenodeids",
            integers(&[2, 0, 99, 0, 0, 2, 0, 0]),
            "tree 0, node 2: nodes_falsenodeids: leads to node 99, which the tree has not",
        ),
        ("nodes_featureids", integers(&[2, 0, 1, 0, 0, 0, 0, 0]), "tree 0, node 0: nodes_featureids: 2; expected 0 to 1"),
        ("nodes_featureids", integers(&[-1, 0, 1, 0, 0, 0, 0, 0]), "tree 0, node 0: nodes_featureids: -1"),
        ("nodes_values", floats(&[f32::NAN, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0]), "tree 0, node 0: nodes_values: NaN"),
        ("nodes_values", floats(&[1.0]), "nodes_values: 1 entries; expected 8"),
        ("nodes_values", none(), "nodes_values: 0 entries; expected 8"),
        ("nodes_modes", none(), "nodes_modes: 0 entries; expected 8"),
        ("nodes_nodeids", none(), "nodes_nodeids is empty: there is no tree"),
        ("nodes_nodeids", integers(&[0, 1, 2, 3, 3, 0, 1, 2]), "tree 0, node 3: nodes_nodeids: the node is listed twice"),
        ("target_nodeids", integers(&[1, 3, 4, 1, 7]), "tree 1, node 7: target_nodeids: no such node"),
        ("target_ids", integers(&[0, 0, 1_000_000_000, 0, 0]), "tree 0, node 4: target_ids: 1000000000; expected 0 to 0"),
        ("target_ids", integers(&[0, 0, -1, 0, 0]), "tree 0, node 4: target_ids: -1"),
        ("target_weights", none(), "target_weights: 0 entries; expected 5"),
        ("n_targets", number(1_000_000_000_000), "n_targets: 1000000000000; expected 1 to 65536"),
        ("n_targets", number(-4), "n_targets: -4"),
        ("n_targets", number(0), "target_ids: 0; expected"),
        ("base_values", floats(&[1.0, 2.0]), "base_values: 2 values; expected 1"),
        ("aggregate_function", text("MEDIAN"), "aggregate_function: 'MEDIAN'"),
        ("post_transform", text("TANH"), "post_transform: 'TANH'"),
    ] {
        let tree = changed(regressor(&[]), name, value.clone());
        let mut among = regression(tree.clone());
        among.graph.as_mut().unwrap().node[0].input[0] = "z".to_owned();
        among.graph.as_mut().unwrap().node.insert(0, node("Abs", &["x"], &["z"]));
        for model in [regression(tree), among] {
            let said = opened(&model).err().unwrap();
            assert!(
                said.contains(words) && said.contains("TreeEnsembleRegressor 'y'") || said.contains("the trees ask for 3"),
                "{name}: {said}"
            );
        }
    }
    let labels = || ("classlabels_int64s", integers(&[0, 1]));
    let unnamed = changed(classifier(&SINGLE, labels(), &[]), "classlabels_int64s", none());
    let said = opened(&classification(unnamed, INT64, labels())).err().unwrap();
    assert!(said.contains("classlabels_int64s and classlabels_strings are both empty"), "{said}");
    for (name, value, words) in [
        ("tree_roots", integers(&[7]), "tree 0: tree_roots: leads to node 7; there are 2"),
        ("tree_roots", integers(&[0, 0]), "tree 1: tree_roots: leads to node 0, which is reached twice"),
        ("tree_roots", none(), "tree_roots: there is no tree"),
        ("nodes_falsenodeids", integers(&[0, 2]), "tree 0, node 0: nodes_falsenodeids: leads to node 0, which is reached twice"),
        ("nodes_truenodeids", integers(&[3, 1]), "tree 0, node 0: nodes_truenodeids: leads to leaf 3; there are 3"),
        ("leaf_targetids", integers(&[0, 1, 2]), "leaf 2: leaf_targetids: 2; expected 0 to 1"),
        ("membership_values", none(), "node 0: membership_values: the node has no members"),
        ("leaf_weights", none(), "leaf_weights: 0 entries; expected 3"),
    ] {
        let said = opened(&fifth(changed(arrays(), name, value))).err().unwrap();
        assert!(said.contains(words), "{name}: {said}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn rows_that_are_too_short_are_the_clients_fault() {
    let mut model = regression(regressor(&[]));
    model.graph.as_mut().unwrap().input[0] = port("x", FLOAT, &[-1, -2]);
    let engine = opened(&model).unwrap();
    let said = run(&*engine, matrix(1, &[0.0, 1.0])).unwrap_err();
    assert_eq!(said, RunError::InvalidData("input 'x': rows of 1 values; the trees ask for 2".to_owned()));
    assert_eq!(run(&*engine, matrix(3, &[0.0; 3])).unwrap()[0].to_f64().unwrap(), [9.0]);
    let empty = run(&*engine, matrix(2, &[])).unwrap_err();
    assert_eq!(empty, RunError::InvalidData("input 'x' is empty: shape [0, 2] has no elements".to_owned()));
    let stopped = engine.run(&[matrix(2, &[0.0; 2])], &Stop::at(Instant::now()));
    assert_eq!(stopped, Err(RunError::DeadlineExceeded));
}

#[test]
fn integers_are_compared_as_numbers() {
    let mut model = regression(regressor(&[]));
    model.graph.as_mut().unwrap().input[0] = port("x", INT64, &[-1, 2]);
    let engine = opened(&model).unwrap();
    assert_eq!(engine.facts().engine, "Trees");
    let output = run(&*engine, Tensor::from_i64(vec![2, 2], &[0, 0, 3, 2]).unwrap()).unwrap();
    assert_eq!(output[0].to_f64().unwrap(), [9.0, 18.0]);
}

#[test]
fn casts_around_a_tree_are_part_of_it() {
    let mut tree = regressor(&[]);
    (tree.input, tree.output) = (vec!["near".to_owned()], vec!["sums".to_owned()]);
    let cast = |from: &str, to: &str, kind: i32| with(node("Cast", &[from], &[to]), "to", number(kind.into()));
    let nodes = vec![cast("x", "near", FLOAT), tree, cast("sums", "copy", DOUBLE), node("Identity", &["copy"], &["y"])];
    let model = model_of(graph_of(nodes, vec![port("x", DOUBLE, &[-1, 2])], vec![port("y", DOUBLE, &[-1, 1])]));
    let engine = opened(&model).unwrap();
    assert_eq!(engine.facts().engine, "Trees");
    // Rounded to FP32 this is 0, which is at most 0.
    let raw: Vec<u8> = [1e-60_f64, 0.0, 1e-30, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let output = &run(&*engine, Tensor::new(DataType::Fp64, vec![2, 2], Bytes::from(raw)).unwrap()).unwrap()[0];
    assert_eq!((output.datatype(), output.to_f64().unwrap()), (DataType::Fp64, vec![9.0, 10.0]));
}
