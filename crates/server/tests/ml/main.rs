//! The operators of ours, one node at a time: answers against ONNX Runtime's or worked by hand (reference.py writes both), and
//! what each says of a wrong attribute or of data that it cannot compute with.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use base64::Engine as _;
use graphs::{FLOAT, graph_of, model_of, node, number, opened, port, with};
use modelyard_server::engine::{Stop, load, prove};
use modelyard_wire::{DataType, Tensor};
use serde_json::Value;
use tract_onnx::pb::{AttributeProto, TensorProto, ValueInfoProto};

mod faults;
#[path = "../graphs/mod.rs"]
mod graphs;
mod maps;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

fn stop() -> Stop {
    Stop::at(Instant::now() + Duration::from_secs(60))
}

/// Every case, as a model with its sample: what differs is listed.
#[test]
fn answers_are_onnx_runtimes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut wrong = Vec::new();
    for case in cases() {
        let model = base64::prelude::BASE64_STANDARD.decode(case["model"].as_str().unwrap()).unwrap();
        std::fs::write(&path, model).unwrap();
        std::fs::write(folder.path().join("sample.json"), case["sample"].to_string()).unwrap();
        let said = match load(&path) {
            Err(error) => error.to_string(),
            Ok(engine) => match prove(&*engine, folder.path()) {
                Ok(Some(_)) => continue,
                other => format!("{other:?}"),
            },
        };
        wrong.push(format!("{}: {said}", case["name"]));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases().len(), wrong.join("\n"));
}

/// A table of any width goes to a scaler of four columns: the width is found out, and other widths are refused.
#[test]
fn free_widths_are_found_out() {
    let offset = AttributeProto { floats: vec![1.0; 4], r#type: 6, ..AttributeProto::default() };
    let scaler = with(node("ai.onnx.ml:Scaler", &["x"], &["y"]), "offset", offset);
    let model = model_of(graph_of(vec![scaler], vec![port("x", FLOAT, &[-1, -2])], vec![port("y", FLOAT, &[-1, -2])]));
    let engine = opened(&model).unwrap();
    assert!(engine.signature().batched);
    let row = |width: usize| Tensor::from_f32(vec![1, width], &vec![1.5; width]).unwrap();
    assert_eq!(engine.run(&[row(4)], &stop()).unwrap(), [Tensor::from_f32(vec![1, 4], &[0.5; 4]).unwrap()]);
    let said = engine.run(&[row(3)], &stop()).unwrap_err().to_string();
    assert!(said.contains("inputs of shape [1, 3]") && said.contains("offset and scale have 4 values"), "{said}");
}

/// A sequence of tensors leaves as an output for each.
#[test]
fn sequences_are_spread() {
    let nodes = vec![node("Neg", &["x"], &["a"]), node("SequenceConstruct", &["a", "x"], &["both"])];
    let both = ValueInfoProto { name: "both".to_owned(), ..ValueInfoProto::default() };
    let engine = opened(&model_of(graph_of(nodes, vec![port("x", FLOAT, &[-1, 2])], vec![both]))).unwrap();
    let names: Vec<&str> = engine.signature().outputs.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["both_0", "both_1"]);
    let x = Tensor::from_f32(vec![1, 2], &[1.0, -2.0]).unwrap();
    let answer = engine.run(std::slice::from_ref(&x), &stop()).unwrap();
    assert_eq!(answer, [Tensor::from_f32(vec![1, 2], &[-1.0, 2.0]).unwrap(), x]);
}

/// Great scores and none at all: neither overflows.
#[test]
fn logarithms_of_sums_do_not_overflow() {
    for (keep, shape) in [(1, vec![2, 1]), (0, vec![2])] {
        let reduce = with(node("ReduceLogSumExp", &["x", "axes"], &["y"]), "keepdims", number(keep));
        let mut graph = graph_of(vec![reduce], vec![port("x", FLOAT, &[-1, 2])], vec![port("y", FLOAT, &[-1])]);
        let axes =
            TensorProto { name: "axes".to_owned(), dims: vec![1], data_type: 7, int64_data: vec![-1], ..TensorProto::default() };
        graph.initializer.push(axes);
        let engine = opened(&model_of(graph)).unwrap();
        let x = Tensor::from_f32(vec![2, 2], &[200.0, 200.0, f32::NEG_INFINITY, f32::NEG_INFINITY]).unwrap();
        let found = engine.run(&[x], &stop()).unwrap();
        assert_eq!(found[0].shape(), shape);
        let found = found[0].to_f64().unwrap();
        assert!((found[0] - (200.0 + 2.0_f64.ln())).abs() < 1e-4 && found[1] == f64::NEG_INFINITY, "{found:?}");
    }
}

/// Changed files load and run or are refused, in bounded time; nothing aborts.
#[test]
fn changed_bytes_are_survived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let end = Instant::now() + Duration::from_secs(20);
    let mut dice = 7_u64;
    let mut roll = |sides: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % sides
    };
    let (mut changed, mut loaded) = (0, 0);
    for case in cases() {
        let good = base64::prelude::BASE64_STANDARD.decode(case["model"].as_str().unwrap()).unwrap();
        std::fs::write(folder.path().join("sample.json"), case["sample"].to_string()).unwrap();
        for _ in 0..4 {
            let mut bytes = good.clone();
            for _ in 0..=roll(3) {
                let at = roll(bytes.len());
                bytes[at] = roll(256) as u8;
            }
            std::fs::write(&path, &bytes).unwrap();
            changed += 1;
            if let Ok(engine) = load(&path) {
                loaded += 1;
                drop(prove(&*engine, folder.path()));
            }
        }
        if Instant::now() > end {
            break;
        }
    }
    assert!(changed > 200 && loaded > 50, "{loaded} of {changed} loaded");
}

/// Labels and probabilities, batched, in the types that a client expects.
#[test]
fn classifiers_declare_labels_and_scores() {
    let label = |case: &Value| {
        let model = base64::prelude::BASE64_STANDARD.decode(case["model"].as_str().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model.onnx"), model).unwrap();
        let engine = load(&folder.path().join("model.onnx")).unwrap();
        let signature = engine.signature().clone();
        (signature.batched, signature.outputs[0].datatype, signature.outputs[1].shape.clone())
    };
    let find = |name: &str| label(cases().iter().find(|case| case["name"] == name).unwrap());
    assert_eq!(find("LinearClassifier, one score, LOGISTIC"), (true, DataType::Int64, vec![-1, -1]));
    assert_eq!(find("LinearClassifier, three classes, NONE"), (true, DataType::Bytes, vec![-1, -1]));
    assert_eq!(find("SVMClassifier, RBF, 3 classes, probabilities, NONE"), (true, DataType::Bytes, vec![-1, -1]));
}
