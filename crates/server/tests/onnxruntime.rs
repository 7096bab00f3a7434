//! ONNX Runtime beside the engines within the server, on the models of the tests and examples: both answer alike, what it refuses is
//! told, and nothing that a request holds stops it.
//!
//! The library is the one that MODELYARD_ORT_LIB names: `MODELYARD_ORT_LIB=$(tools/onnxruntime) ORT_DISABLE_TELEMETRY=1
//! cargo test --workspace --test onnxruntime`, as `make test` does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::Bytes;
use modelyard_core::api::EngineName;
use modelyard_server::engine::choice::{Choice, Wanted, load};
use modelyard_server::engine::selfcheck::Outcome;
use modelyard_server::engine::{Engine, LoadError, RunError, Stop, onnxruntime, prove};
use modelyard_wire::{DataType, Tensor};
use prost::Message as _;

#[path = "graphs/mod.rs"]
mod graphs;

use graphs::{FLOAT, INT64, graph_of, model_of, node, number, port, with};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Whether there is a library to test; if not, the test's output says so.
fn is_here() -> bool {
    let absence = onnxruntime::absence();
    if let Some(absence) = &absence {
        println!("skipped: {absence}");
    }
    absence.is_none()
}

fn engine(name: &str, wanted: EngineName, threads: usize) -> Result<Box<dyn Engine>, LoadError> {
    Ok(load(&path(name), &Wanted { name: wanted, threads, ..Wanted::default() })?.engine)
}

fn later() -> Stop {
    Stop::at(Instant::now() + Duration::from_secs(60))
}

/// Inputs whose element k is (k * 7919 mod 1009) / 1009, or for whole numbers that modulo 8; free dimensions have `rows`.
fn inputs(engine: &dyn Engine, rows: usize) -> Vec<Tensor> {
    let tensor = |spec: &modelyard_server::signature::TensorSpec| {
        let shape: Vec<usize> = spec.shape.iter().map(|size| usize::try_from(*size).unwrap_or(rows)).collect();
        let count = shape.iter().product();
        let number = |k: usize| (k * 7919 % 1009) as f64 / 1009.0;
        let raw = |bytes: &dyn Fn(usize) -> Vec<u8>| Bytes::from((0..count).flat_map(bytes).collect::<Vec<u8>>());
        let raw = match spec.datatype {
            DataType::Fp32 => raw(&|k| (number(k) as f32).to_le_bytes().to_vec()),
            DataType::Fp64 => raw(&|k| number(k).to_le_bytes().to_vec()),
            other => {
                let size = other.size().unwrap();
                raw(&|k| ((k * 7 % 8) as u64).to_le_bytes()[..size].to_vec())
            }
        };
        Tensor::new(spec.datatype, shape, raw).unwrap()
    };
    engine.signature().inputs.iter().map(tensor).collect()
}

#[test]
fn both_answer_alike() {
    if !is_here() {
        return;
    }
    let models = [
        "examples/mnist/model/model.onnx",
        "examples/mnist-cnn/model/model.onnx",
        "examples/lstm/model/model.onnx",
        "tests/models/add.onnx",
        "tests/models/conv.onnx",
        "tests/models/gather.onnx",
        "tests/models/no_batch.onnx",
        "tests/models/scalar.onnx",
        "tests/models/two_outputs.onnx",
        "tests/models/tree_classifier.onnx",
        "tests/models/external/model.onnx",
    ];
    for name in models {
        let own = engine(name, EngineName::Tract, 1).unwrap();
        let other = engine(name, EngineName::OnnxRuntime, 1).unwrap();
        assert_eq!(other.facts().engine, "OnnxRuntime");
        let (ours, theirs) = (own.signature(), other.signature());
        assert_eq!(ours.inputs, theirs.inputs, "{name}");
        assert_eq!(ours.batched, theirs.batched, "{name}");
        for rows in [1, 3] {
            let inputs = inputs(&*own, rows);
            let expected = own.run(&inputs, &later()).unwrap();
            let found = other.run(&inputs, &later()).unwrap();
            assert_eq!(expected.len(), found.len(), "{name}");
            for (one, two) in expected.iter().zip(&found) {
                assert_eq!((one.datatype(), one.shape()), (two.datatype(), two.shape()), "{name}");
                let (one, two) = (one.to_f64().unwrap(), two.to_f64().unwrap());
                let worst = one.iter().zip(&two).map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f64::max);
                println!("{name} with {rows} rows: {worst:e}");
                assert!(worst < 1e-5, "{name}: {worst}");
            }
        }
    }
}

#[test]
fn each_datatype_comes_back() {
    if !is_here() {
        return;
    }
    for datatype in DataType::ALL {
        let name = format!("tests/models/identity_{}.onnx", name_of(datatype));
        let engine = engine(&name, EngineName::OnnxRuntime, 1).unwrap_or_else(|error| panic!("{name}: {error}"));
        let tensor = match datatype.size() {
            None => {
                let words = ["", "a", "zw\u{f6}lf", "a b", "\n", "1"];
                Tensor::strings(vec![2, 3], words.iter().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()).unwrap()
            }
            Some(size) => {
                let byte = |at: usize| if datatype == DataType::Bool { (at % 2) as u8 } else { (at * 37 + 3) as u8 };
                // One byte further than aligned: the wire promises nothing.
                let raw: Vec<u8> = (0..=6 * size).map(byte).collect();
                Tensor::new(datatype, vec![2, 3], Bytes::from(raw).slice(1..)).unwrap()
            }
        };
        assert_eq!(engine.run(std::slice::from_ref(&tensor), &later()).unwrap(), [tensor], "{datatype}");
    }
}

fn name_of(datatype: DataType) -> String {
    if datatype == DataType::Bytes { "string".to_owned() } else { datatype.as_str().to_ascii_lowercase() }
}

#[test]
fn what_cannot_be_computed_with_is_the_clients_fault() {
    if !is_here() {
        return;
    }
    let gather = engine("tests/models/gather.onnx", EngineName::OnnxRuntime, 1).unwrap();
    let spec = &gather.signature().inputs[0];
    let shape: Vec<usize> = spec.shape.iter().map(|size| usize::try_from(*size).unwrap_or(1)).collect();
    let index = |at: i64| Tensor::from_i64(shape.clone(), &vec![at; shape.iter().product()]).unwrap();
    let refused = gather.run(&[index(1_000_000)], &later()).unwrap_err();
    assert!(matches!(&refused, RunError::InvalidData(message) if message.contains("Gather")), "{refused}");
    assert!(gather.run(&[index(3)], &later()).is_ok());
    let words = engine("tests/models/identity_string.onnx", EngineName::OnnxRuntime, 1).unwrap();
    for bytes in [&b"a\0b"[..], b"\xff"] {
        let tensor = Tensor::strings(vec![1, 1], vec![Bytes::from_static(bytes)]).unwrap();
        assert!(matches!(words.run(&[tensor], &later()), Err(RunError::InvalidData(_))));
    }
}

/// The least whole number divided by -1 ends the process in ONNX Runtime 1.32.
#[test]
fn a_division_that_would_end_the_process_is_refused() {
    if !is_here() {
        return;
    }
    let refused = engine("tests/models/div.onnx", EngineName::OnnxRuntime, 1).err().unwrap();
    assert!(matches!(&refused, LoadError::Unsupported(reason) if reason.contains("Div")), "{refused}");
    assert_eq!(engine("tests/models/div.onnx", EngineName::Auto, 1).unwrap().facts().engine, "Tract");
}

#[test]
fn by_itself_it_gets_what_the_others_refuse() {
    let others = ["loop", "identity_bf16"].map(|name| format!("tests/models/{name}.onnx"));
    for name in others {
        match engine(&name, EngineName::Auto, 1) {
            Ok(engine) if is_here() => {
                assert_eq!(engine.facts().engine, "OnnxRuntime", "{name}");
                assert!(engine.facts().engine_reason.contains("do not run it"), "{}", engine.facts().engine_reason);
            }
            Err(LoadError::Unsupported(reason)) if !is_here() => {
                assert!(reason.contains("modelyard-server-ort") && reason.contains("MODELYARD_ORT_LIB"), "{reason}");
            }
            other => panic!("{name}: {:?}", other.map(|engine| engine.facts().clone())),
        }
    }
}

/// A map comes as a text, which ONNX Runtime does not read: `Auto` leaves the model within the server, and who names the other is told.
#[test]
fn maps_stay_within_the_server() {
    let cases = std::fs::read_to_string(path("crates/server/tests/ml/reference.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&cases).unwrap();
    let case = cases.iter().find(|case| case["name"] == "DictVectorizer, strings to floats").unwrap();
    let model = base64::prelude::BASE64_STANDARD.decode(case["model"].as_str().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model).unwrap();
    let wanted = |name| Wanted { name, ..Wanted::default() };
    let own = load(&file, &wanted(EngineName::Auto)).unwrap();
    assert_eq!(own.engine.facts().engine, "Tract");
    if is_here() {
        let other = load(&file, &wanted(EngineName::OnnxRuntime)).err().unwrap().to_string();
        assert!(
            other.contains("DictVectorizer 'n': its map comes as a text") && other.contains("leave engine.name out"),
            "{other}"
        );
    }
}

/// A decoder's past has no tokens before the first one.
#[test]
fn a_dimension_other_than_the_rows_may_be_empty() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    let joined = with(node("Concat", &["past", "new"], &["present"]), "axis", number(1));
    let inputs = vec![port("past", FLOAT, &[-1, -2, 2]), port("new", FLOAT, &[-1, 1, 2])];
    let graph = graph_of(vec![joined], inputs, vec![port("present", FLOAT, &[-1, -3, 2])]);
    std::fs::write(&file, model_of(graph).encode_to_vec()).unwrap();
    let engines = if is_here() { &[EngineName::Tract, EngineName::OnnxRuntime][..] } else { &[EngineName::Tract] };
    for name in engines {
        let engine = load(&file, &Wanted { name: *name, ..Wanted::default() }).unwrap().engine;
        let f32s = |shape: &[usize], values: &[f32]| Tensor::from_f32(shape.to_vec(), values).unwrap();
        let first = engine.run(&[f32s(&[1, 0, 2], &[]), f32s(&[1, 1, 2], &[1.0, 2.0])], &later()).unwrap();
        assert_eq!(first, [f32s(&[1, 1, 2], &[1.0, 2.0])], "{name:?}");
        let second = engine.run(&[first[0].clone(), f32s(&[1, 1, 2], &[3.0, 4.0])], &later()).unwrap();
        assert_eq!(second, [f32s(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0])], "{name:?}");
        let none = engine.run(&[f32s(&[0, 1, 2], &[]), f32s(&[0, 1, 2], &[])], &later());
        let Err(RunError::InvalidData(said)) = none else { panic!("{none:?}") };
        assert_eq!(said, "input 'past' is empty: shape [0, 1, 2] has no elements");
    }
}

/// scikit-learn's estimators, which the engines within the server compute by operators of their own: ONNX Runtime takes them as they are, and
/// under Auto both are compared.
#[test]
fn estimators_have_either_engine() {
    if !is_here() {
        return;
    }
    let cases: Vec<serde_json::Value> = serde_json::from_str(include_str!("ml/reference.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    for name in [
        "GaussianNB, float32",
        "KNeighborsClassifier, float64",
        "KNeighborsRegressor, float32",
        "KNNImputer",
        "OneHotEncoder",
        "OrdinalEncoder",
        "scalers, PCA",
    ] {
        let case = cases.iter().find(|case| case["name"] == format!("whole, {name}")).unwrap();
        let model = base64::prelude::BASE64_STANDARD.decode(case["model"].as_str().unwrap()).unwrap();
        std::fs::write(&file, model).unwrap();
        std::fs::write(folder.path().join("sample.json"), case["sample"].to_string()).unwrap();
        for engine in [EngineName::OnnxRuntime, EngineName::Tract, EngineName::Auto] {
            let loaded = load(&file, &Wanted { name: engine, ..Wanted::default() }).unwrap();
            assert!(engine == EngineName::Auto || loaded.choice.engine == engine, "{name}: {:?}", loaded.choice);
            let proof = prove(&*loaded.engine, folder.path());
            assert!(matches!(proof, Ok(Some(_))), "{name}, {engine:?}: {proof:?}");
        }
    }
}

/// Without a number of boxes ONNX keeps none, and tract all: the engine that knows it gets the model.
#[test]
fn boxes_without_a_number_are_onnx_runtimes() {
    let boxes = node("NonMaxSuppression", &["boxes", "scores"], &["kept"]);
    let inputs = vec![port("boxes", FLOAT, &[1, 3, 4]), port("scores", FLOAT, &[1, 1, 3])];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model_of(graph_of(vec![boxes], inputs, vec![port("kept", INT64, &[-1, 3])])).encode_to_vec()).unwrap();
    let alone = load(&file, &Wanted { name: EngineName::Tract, ..Wanted::default() }).err().unwrap();
    assert!(matches!(&alone, LoadError::Unsupported(reason) if reason.contains("max_output_boxes_per_class")), "{alone}");
    if !is_here() {
        return;
    }
    let chosen = load(&file, &Wanted::default()).unwrap();
    let reason = &chosen.choice.reason;
    assert!(chosen.choice.engine == EngineName::OnnxRuntime && reason.contains("max_output_boxes_per_class"), "{reason}");
    let corners = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9], [2.0, 2.0, 3.0, 3.0]].concat();
    let inputs = [Tensor::from_f32(vec![1, 3, 4], &corners).unwrap(), Tensor::from_f32(vec![1, 1, 3], &[0.9, 0.8, 0.7]).unwrap()];
    let kept = chosen.engine.run(&inputs, &later()).unwrap();
    assert_eq!(kept, [Tensor::from_i64(vec![0, 3], &[]).unwrap()]);
}

#[test]
fn a_measurement_is_told() {
    if !is_here() {
        return;
    }
    let chosen = engine("examples/mnist-cnn/model/model.onnx", EngineName::Auto, 1).unwrap();
    assert!(chosen.facts().engine_reason.starts_with("measured: a row takes tract"), "{}", chosen.facts().engine_reason);
    let dense = engine("examples/mnist/model/model.onnx", EngineName::Auto, 1).unwrap();
    assert_eq!(dense.facts().engine, "Dense");
}

/// Under Auto both plans of tract and both engines are compared, and what one process has chosen the next takes over.
#[test]
fn a_choice_is_handed_on_and_not_made_again() {
    if !is_here() {
        return;
    }
    let cnn = path("examples/mnist-cnn/model/model.onnx");
    let first = load(&cnn, &Wanted::default()).unwrap();
    let alike = |outcome: &Outcome| matches!(outcome, Outcome::Alike { runs: 1.., .. });
    assert!(first.checked.len() == 2 && first.checked.iter().all(alike), "{:?}", first.checked);
    for (engine, name) in [(EngineName::OnnxRuntime, "OnnxRuntime"), (EngineName::Tract, "Tract")] {
        let choice = Choice { engine, reason: "measured: elsewhere".to_owned() };
        let wanted = Wanted { choice: Some(choice.clone()), self_check: false, ..Wanted::default() };
        let second = load(&cnn, &wanted).unwrap();
        assert_eq!((second.choice, second.checked), (choice, Vec::new()));
        let facts = second.engine.facts();
        assert_eq!((facts.engine, &*facts.engine_reason), (name, "measured: elsewhere"));
    }
}

#[test]
fn hostile_files_are_refused() {
    if !is_here() {
        return;
    }
    for name in ["external_escape/model", "external_missing/model", "not_onnx", "truncated", "tree_class_ids"] {
        let outcome = engine(&format!("tests/models/{name}.onnx"), EngineName::OnnxRuntime, 1);
        let refused = outcome.err().unwrap_or_else(|| panic!("{name} was loaded"));
        assert!(refused.to_string().len() > 10, "{name}: {refused}");
    }
}

#[test]
fn a_run_stops_when_nobody_waits() {
    if !is_here() {
        return;
    }
    let slow = engine("tests/models/slow.onnx", EngineName::OnnxRuntime, 1).unwrap();
    let inputs = inputs(&*slow, 1);
    let begun = Instant::now();
    slow.run(&inputs, &later()).unwrap();
    let full = begun.elapsed();
    println!("a whole run takes {full:?}");
    assert_eq!(slow.run(&inputs, &Stop::at(Instant::now() + full / 8)), Err(RunError::DeadlineExceeded));
    let stop = later();
    stop.gone.store(true, Ordering::Relaxed);
    assert_eq!(slow.run(&inputs, &stop), Err(RunError::Gone));
    // The session is as good as before.
    slow.run(&inputs, &later()).unwrap();
}

#[test]
fn threads_share_its_sessions() {
    if !is_here() {
        return;
    }
    let engine = engine("examples/mnist-cnn/model/model.onnx", EngineName::OnnxRuntime, 2).unwrap();
    let inputs = inputs(&*engine, 2);
    let expected = engine.run(&inputs, &later()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(engine.run(&inputs, &later()).unwrap(), expected);
                }
            });
        }
    });
}
