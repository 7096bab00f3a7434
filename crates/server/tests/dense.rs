//! The engine of fully connected chains, beside tract on the same files: the same signature, the same numbers.

#![allow(clippy::unwrap_used)]

mod graphs;

use std::time::{Duration, Instant};

use graphs::{FLOAT, float, graph_of, model_of, node, number, opened, port, weights, with};
use modelyard_server::engine::tract::Tract;
use modelyard_server::engine::{Engine, RunError, Stop, load};
use modelyard_wire::Tensor;
use proptest::prelude::*;
use prost::Message;
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto};

/// Numbers between -1 and 1 that differ.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|at| (((at + 1) * 7919 + seed * 104_729) % 2001) as f32 / 1000.0 - 1.0).collect()
}

fn later() -> Stop {
    Stop::at(Instant::now() + Duration::from_secs(60))
}

fn run(engine: &dyn Engine, rows: usize, depth: usize) -> Tensor {
    let input = Tensor::from_f32(vec![rows, depth], &numbers(rows * depth, rows)).unwrap();
    engine.run(&[input], &later()).unwrap().remove(0)
}

#[track_caller]
fn assert_near(found: &Tensor, expected: &Tensor) {
    assert_eq!(found.shape(), expected.shape());
    let (found, expected) = (found.to_f64().unwrap(), expected.to_f64().unwrap());
    // Sums of large terms may come to little: what rounding leaves is measured by the largest.
    let largest = expected.iter().fold(1.0, |largest: f64, one| largest.max(one.abs()));
    for (a, b) in found.into_iter().zip(expected) {
        assert!((a - b).abs() <= 2e-5 * largest, "{a} {b}");
    }
}

/// A layer of a made-up network: how its product is written, its width, what follows.
#[derive(Clone, Debug)]
struct Layer {
    product: &'static str,
    width: usize,
    follows: &'static str,
}

fn layer() -> impl Strategy<Value = Layer> {
    let product = prop::sample::select(vec!["MatMul", "MatMul+Add", "Add+MatMul", "Gemm", "Gemm+C", "Gemm+T"]);
    let activations =
        vec!["", "Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Identity", "Flatten", "Dropout"];
    (product, 1_usize..40, prop::sample::select(activations)).prop_map(|(product, width, follows)| Layer {
        product,
        width,
        follows,
    })
}

/// The network of these layers over rows of `depth`.
fn network(depth: usize, layers: &[Layer], opset: i64) -> ModelProto {
    let (mut nodes, mut tensors): (Vec<NodeProto>, Vec<TensorProto>) = (Vec::new(), Vec::new());
    let (mut value, mut inner) = ("x".to_owned(), depth);
    for (at, layer) in layers.iter().enumerate() {
        let (w, b, product, sum) = (format!("w{at}"), format!("b{at}"), format!("product{at}"), format!("sum{at}"));
        let (k, n) = (inner as i64, layer.width as i64);
        let shape = if layer.product == "Gemm+T" { [n, k] } else { [k, n] };
        tensors.push(weights(&w, &shape, &numbers(inner * layer.width, at)));
        let biases = if at % 2 == 0 { layer.width } else { 1 };
        tensors.push(weights(&b, &[biases as i64], &numbers(biases, at)));
        let add = |one: &str, other: &str| node("Add", &[one, other], &[&sum]);
        let scaled = |node| with(with(node, "alpha", float(0.5)), "beta", float(2.0));
        match layer.product {
            "MatMul" => nodes.push(node("MatMul", &[&value, &w], &[&sum])),
            "MatMul+Add" => nodes.extend([node("MatMul", &[&value, &w], &[&product]), add(&product, &b)]),
            "Add+MatMul" => nodes.extend([node("MatMul", &[&value, &w], &[&product]), add(&b, &product)]),
            "Gemm" => nodes.push(node("Gemm", &[&value, &w], &[&sum])),
            "Gemm+C" => nodes.push(scaled(node("Gemm", &[&value, &w, &b], &[&sum]))),
            _ => nodes.push(with(node("Gemm", &[&value, &w, &b], &[&sum]), "transB", number(1))),
        }
        (value, inner) = (sum.clone(), layer.width);
        if !layer.follows.is_empty() {
            let after = format!("after{at}");
            nodes.push(node(layer.follows, &[&value], &[&after]));
            value = after;
        }
    }
    let mut graph = graph_of(nodes, vec![port("x", FLOAT, &[-1, depth as i64])], vec![port(&value, FLOAT, &[-1, inner as i64])]);
    graph.initializer = tensors;
    let mut model = model_of(graph);
    model.opset_import[0].version = opset;
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn chains_answer_as_tract_does(
        depth in 1_usize..50,
        layers in prop::collection::vec(layer(), 1..4),
        opset in prop::sample::select(vec![9, 11, 13, 18, 21]),
        rows in prop::sample::select(vec![1, 2, 3, 7, 50, 100]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, network(depth, &layers, opset).encode_to_vec()).unwrap();
        let (ours, tract) = (load(&path).unwrap(), Tract::load(&path).unwrap());
        prop_assert_eq!(ours.facts().engine, "Dense");
        prop_assert_eq!(ours.signature(), tract.signature());
        assert_near(&run(&*ours, rows, depth), &run(&tract, rows, depth));
    }
}

/// One layer with ReLU, of which `change` makes something else.
fn changed(change: impl FnOnce(&mut ModelProto)) -> Result<Box<dyn Engine>, String> {
    let layers = [Layer { product: "MatMul+Add", width: 3, follows: "Relu" }];
    let mut model = network(4, &layers, 18);
    change(&mut model);
    opened(&model)
}

fn engine_of(change: impl FnOnce(&mut ModelProto)) -> &'static str {
    changed(change).unwrap().facts().engine
}

#[test]
fn what_is_no_chain_is_anothers() {
    let graph = |model: &mut ModelProto| model.graph.take().unwrap();
    assert_eq!(engine_of(|_| ()), "Dense");
    let two_outputs = engine_of(|model| model.graph.as_mut().unwrap().output.push(port("sum0", FLOAT, &[-1, 3])));
    assert_eq!(two_outputs, "Tract");
    let residual = engine_of(|model| {
        let graph = model.graph.as_mut().unwrap();
        graph.node.push(node("Add", &["after0", "sum0"], &["z"]));
        graph.output = vec![port("z", FLOAT, &[-1, 3])];
    });
    assert_eq!(residual, "Tract");
    let other_operator = engine_of(|model| model.graph.as_mut().unwrap().node[2].op_type = "Abs".to_owned());
    assert_eq!(other_operator, "Tract");
    let softmax_of_columns = engine_of(|model| {
        let node = &mut model.graph.as_mut().unwrap().node[2];
        *node = with(graphs::node("Softmax", &["sum0"], &["after0"]), "axis", number(0));
    });
    assert_eq!(softmax_of_columns, "Tract");
    let bias_of_each_row = engine_of(|model| {
        let mut changed = graph(model);
        changed.input[0] = port("x", FLOAT, &[2, 4]);
        changed.output[0] = port("after0", FLOAT, &[2, 3]);
        changed.initializer[1] = weights("b0", &[2, 3], &numbers(6, 0));
        model.graph = Some(changed);
    });
    assert_eq!(bias_of_each_row, "Tract");
}

#[test]
fn a_fixed_number_of_rows_is_not_batched() {
    let fixed = changed(|model| {
        let graph = model.graph.as_mut().unwrap();
        (graph.input[0], graph.output[0]) = (port("x", FLOAT, &[2, 4]), port("after0", FLOAT, &[2, 3]));
    });
    let fixed = fixed.unwrap();
    assert_eq!((fixed.facts().engine, fixed.signature().batched), ("Dense", false));
    assert_eq!(fixed.signature().outputs[0].shape, [2, 3]);
}

#[test]
fn broken_files_are_refused() {
    let refusal = |change: fn(&mut ModelProto)| changed(change).err().unwrap();
    let short = refusal(|model| model.graph.as_mut().unwrap().initializer[0].raw_data.truncate(8));
    assert!(short.contains("initializer 'w0' of shape [4, 3] needs 48 bytes, found 8"), "{short}");
    let twice = refusal(|model| {
        let graph = model.graph.as_mut().unwrap();
        let again = graph.node[0].clone();
        graph.node.push(again);
    });
    assert!(twice.contains("'product0' is defined twice"), "{twice}");
    let outside = refusal(|model| {
        let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
        let entry = |key: &str, value: &str| tract_onnx::pb::StringStringEntryProto { key: key.into(), value: value.into() };
        (tensor.raw_data, tensor.data_location) = (Vec::new(), Some(1));
        tensor.external_data = vec![entry("location", "../../etc/passwd")];
    });
    assert!(outside.contains("is outside the model's folder"), "{outside}");
}

#[test]
fn weights_may_lie_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let layers = [Layer { product: "Gemm+T", width: 5, follows: "Tanh" }];
    let mut model = network(7, &layers, 18);
    let expected = run(&*opened(&model).unwrap(), 3, 7);
    let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
    let mut beside = vec![9; 16];
    beside.append(&mut tensor.raw_data);
    std::fs::write(folder.path().join("w.bin"), &beside).unwrap();
    let entry = |key: &str, value: &str| tract_onnx::pb::StringStringEntryProto { key: key.into(), value: value.into() };
    tensor.external_data = vec![entry("location", "w.bin"), entry("offset", "16"), entry("length", "140")];
    tensor.data_location = Some(1);
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    let engine = load(&path).unwrap();
    assert_eq!(engine.facts().engine, "Dense");
    assert_eq!(run(&*engine, 3, 7), expected);
}

#[test]
fn a_run_ends_when_nobody_waits() {
    let engine = changed(|_| ()).unwrap();
    let input = Tensor::from_f32(vec![1, 4], &numbers(4, 0)).unwrap();
    let late = engine.run(std::slice::from_ref(&input), &Stop::at(Instant::now()));
    assert_eq!(late, Err(RunError::DeadlineExceeded));
    let empty = Tensor::from_f32(vec![0, 4], &[]).unwrap();
    let refused = engine.run(&[empty], &later()).unwrap_err();
    assert_eq!(refused, RunError::InvalidData("input 'x' is empty: shape [0, 4] has no elements".to_owned()));
}
