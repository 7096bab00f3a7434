//! The operators of ours, one node at a time: answers against ONNX Runtime's or worked by hand (reference.py writes both), and
//! what each says of a wrong attribute or of data that it cannot compute with.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use base64::Engine as _;
use modelyard_server::engine::{Stop, load, prove};
use modelyard_wire::DataType;
use serde_json::Value;

mod faults;
#[path = "../graphs/mod.rs"]
mod graphs;

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
