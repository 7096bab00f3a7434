//! The tract engine on real files: what it answers, what it refuses and in which words, and what it survives.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use modelyard_server::engine::tract::Tract;
use modelyard_server::engine::{Engine, LoadError, RunError, SampleError, Stop, load, measure, prove};
use modelyard_server::inspect::{inspect, print};
use modelyard_wire::{DataType, Tensor};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn model(name: &str) -> PathBuf {
    root().join("tests/models").join(name)
}

fn engine(name: &str) -> Box<dyn Engine> {
    load(&model(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn later() -> Stop {
    Stop::at(Instant::now() + Duration::from_secs(60))
}

fn run(engine: &dyn Engine, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    engine.run(inputs, &later())
}

fn refusal(path: &Path) -> String {
    match load(path) {
        Ok(_) => panic!("{} was loaded", path.display()),
        Err(error @ LoadError::Read { .. }) => format!("{error}: {}", std::error::Error::source(&error).unwrap()),
        Err(error) => error.to_string(),
    }
}

/// Element k is (k * 7919 mod 1009) / 1009, as in reference.py.
fn made_up(shape: &[usize]) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(|k: usize| (k * 7919 % 1009) as f32 / 1009.0).collect();
    Tensor::from_f32(shape.to_vec(), &values).unwrap()
}

#[test]
fn each_datatype_comes_back() {
    for datatype in DataType::ALL {
        let tensor = match datatype.size() {
            None => {
                let words = ["", "a", "zw\u{f6}lf", "a b", "\n", "1"];
                Tensor::strings(vec![2, 3], words.iter().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()).unwrap()
            }
            Some(size) => {
                let byte = |at: usize| if datatype == DataType::Bool { (at % 2) as u8 } else { (at * 37 + 255) as u8 };
                // One byte further than aligned: the wire promises nothing.
                let raw: Vec<u8> = (0..=6 * size).map(byte).collect();
                Tensor::new(datatype, vec![2, 3], Bytes::from(raw).slice(1..)).unwrap()
            }
        };
        let name = match datatype {
            DataType::Bytes => "identity_string.onnx".to_owned(),
            // tract has no BF16; see `what_is_refused`.
            DataType::Bf16 => continue,
            other => format!("identity_{}.onnx", other.as_str().to_lowercase()),
        };
        let engine = engine(&name);
        let signature = engine.signature();
        assert_eq!((signature.inputs[0].datatype, signature.outputs[0].datatype), (datatype, datatype));
        assert_eq!((&*signature.inputs[0].shape, &*signature.outputs[0].shape), (&[-1, -1][..], &[-1, -1][..]));
        assert!(signature.batched, "{name}");
        assert_eq!(run(&*engine, std::slice::from_ref(&tensor)).unwrap(), [tensor], "{name}");
    }
}

#[test]
fn answers_are_onnx_runtimes() {
    let reference: serde_json::Value = serde_json::from_str(include_str!("reference.json")).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let name = case["model"].as_str().unwrap();
        let rows = case["rows"].as_u64().unwrap() as usize;
        let engine = load(&root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let shape = |shape: &[i64]| shape.iter().map(|dim| usize::try_from(*dim).unwrap_or(rows)).collect::<Vec<_>>();
        let inputs: Vec<_> = engine.signature().inputs.iter().map(|spec| made_up(&shape(&spec.shape))).collect();
        // Twice: a state that is used again must not remember.
        for _ in 0..2 {
            let outputs = run(&*engine, &inputs).unwrap();
            for (output, expected) in outputs.iter().zip(case["outputs"].as_array().unwrap()) {
                let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
                let data: Vec<f64> = serde_json::from_value(expected["data"].clone()).unwrap();
                assert_eq!(output.shape(), shape, "{name}");
                let close = |(found, expected): (&f64, &f64)| (found - expected).abs() <= 1e-5 + 1e-4 * expected.abs();
                assert!(
                    output.to_f64().unwrap().iter().zip(&data).all(close),
                    "{name}: {:?}, expected {data:?}",
                    output.to_f64()
                );
            }
        }
    }
}

#[test]
fn a_folder_is_inspected_and_not_loaded() {
    assert!(refusal(&model("external")).contains("not a regular file"));
    let report = inspect(&model("external"));
    assert!(report.loadable, "{}", print(&report));
}

#[test]
fn what_is_refused() {
    for (name, words) in [
        ("identity_bf16.onnx", &["input 'x'", "BFLOAT16"][..]),
        (
            "tree_cycle.onnx",
            &["TreeEnsembleClassifier 'label'", "tree 0, node 2: nodes_truenodeids: leads to node 0", "reached twice"],
        ),
        ("tree_class_ids.onnx", &["TreeEnsembleClassifier 'label'", "tree 0, node 4: class_ids: 1000000; expected 0 to 2"]),
        ("unsupported_op.onnx", &["RoiAlign 'y'", "no such operator (1 in the file)"]),
        ("loop.onnx", &["Loop 'y'", "no loops"]),
        ("constant_huge.onnx", &["ConstantOfShape 'zeros'", "larger than"]),
        ("truncated.onnx", &["truncated.onnx is not an ONNX file, or is cut short"]),
        ("not_onnx.onnx", &["not_onnx.onnx is not an ONNX file"]),
        ("external_escape/model.onnx", &["'weights'", "../../../etc/passwd", "outside the model's folder"]),
        ("external_missing/model.onnx", &["cannot read", "weights.bin", "No such file"]),
        ("absent.onnx", &["cannot read", "absent.onnx"]),
    ] {
        let text = refusal(&model(name));
        words.iter().for_each(|word| assert!(text.contains(word), "{name}: {text}"));
        let report = inspect(&model(name));
        assert!(!report.loadable && !report.problems.is_empty(), "{name}");
        assert!(words.iter().all(|word| print(&report).contains(word)), "{name}: {}", print(&report));
    }
}

#[test]
fn files_of_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    for (head, words) in [
        (&b"\x80\x04\x95\0\0"[..], "model.onnx is a Python pickle (scikit-learn, joblib); export the model to ONNX"),
        (b"\x89HDF\r\n", "model.onnx is an HDF5 file (Keras); export the model to ONNX"),
        (b"PK\x03\x04...", "model.onnx is a zip archive; unpack it"),
        (b"", "model.onnx is empty: 0 bytes"),
    ] {
        std::fs::write(&path, head).unwrap();
        assert!(refusal(&path).contains(words), "{}", refusal(&path));
        assert!(print(&inspect(&path)).contains(words), "{}", print(&inspect(&path)));
    }
}

#[test]
fn data_that_cannot_be_computed_with_is_the_clients_fault() {
    let (gather, div) = (engine("gather.onnx"), engine("div.onnx"));
    let longs = |values: &[i64]| Tensor::from_i64(vec![values.len()], values).unwrap();
    let invalid = |engine: &dyn Engine, inputs: &[Tensor]| match run(engine, inputs) {
        Err(RunError::InvalidData(message)) => message,
        other => panic!("{other:?}"),
    };
    for _ in 0..3 {
        let message = invalid(&*gather, &[longs(&[3, 10, 4])]);
        assert!(message.contains("the model cannot compute with this data") && message.contains("Gather"), "{message}");
        invalid(&*gather, &[longs(&[3, -11, 4])]);
        assert_eq!(run(&*gather, &[longs(&[0, 9, 4])]).unwrap()[0].shape(), [3, 3]);
        let message = invalid(&*div, &[longs(&[7, 9]), longs(&[2, 0])]);
        assert!(message.contains("divide by zero"), "{message}");
        assert!(run(&*div, &[longs(&[i64::MIN, 9]), longs(&[-1, 1])]).is_ok());
        assert_eq!(run(&*div, &[longs(&[7, 9]), longs(&[2, 3])]).unwrap(), [longs(&[3, 3])]);
    }
    let message = invalid(&*engine("add.onnx"), &[made_up(&[0, 4]), made_up(&[0, 4])]);
    assert_eq!(message, "input 'a' is empty: shape [0, 4] has no elements");
    let message = invalid(&*engine("add.onnx"), &[made_up(&[2, 4]), made_up(&[3, 4])]);
    assert!(message.contains("Can not broadcast 3 against 2 (in Add 'sum')"), "{message}");
    let two = Tensor::new(DataType::Bool, vec![1, 3], Bytes::from_static(&[0, 1, 2])).unwrap();
    assert_eq!(invalid(&*engine("identity_bool.onnx"), &[two]), "input 'x': element 2 of BOOL is 2; expected 0 or 1");
    let bytes = Tensor::strings(vec![1, 1], vec![Bytes::from_static(b"\xff")]).unwrap();
    assert_eq!(invalid(&*engine("identity_string.onnx"), &[bytes]), "input 'x': element 0 of BYTES is not UTF-8");
}

#[test]
fn a_run_ends_between_operators() {
    let slow = engine("slow.onnx");
    let input = [made_up(&[1, 256])];
    let begun = Instant::now();
    let whole = run(&*slow, &input).unwrap();
    let full = begun.elapsed();
    let begun = Instant::now();
    let stopped = slow.run(&input, &Stop::at(begun + full / 8));
    assert_eq!(stopped, Err(RunError::DeadlineExceeded));
    assert!(begun.elapsed() < full, "{:?} of {full:?}", begun.elapsed());
    let stop = later();
    stop.gone.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(slow.run(&input, &stop), Err(RunError::Gone));
    assert_eq!(run(&*slow, &input).unwrap(), whole);
}

#[test]
fn plans_are_bounded() {
    let tract = Tract::load(&model("identity_fp32.onnx")).unwrap();
    for round in 0..2 {
        for width in 1..40 {
            let tensor = made_up(&[1 + round, width]);
            assert_eq!(run(&tract, std::slice::from_ref(&tensor)).unwrap(), [tensor]);
            assert!(tract.plan_count() <= 16);
        }
    }
    assert_eq!(tract.plan_count(), 16);
}

#[test]
fn threads_share_an_engine() {
    let conv = engine("conv.onnx");
    let alone: Vec<_> = (1..5).map(|rows| run(&*conv, &[made_up(&[rows, 1, 8, 8])]).unwrap()).collect();
    let conv = engine("conv.onnx");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (conv, alone) = (&conv, &alone);
            scope.spawn(move || {
                for turn in 0..50 {
                    let rows = 1 + (thread + turn / 10) % 4;
                    let outputs = run(&**conv, &[made_up(&[rows, 1, 8, 8])]).unwrap();
                    assert_eq!(outputs, alone[rows - 1]);
                }
            });
        }
    });
}

#[test]
fn signatures() {
    let shown = |name: &str| {
        let engine = engine(name);
        let signature = engine.signature();
        let specs = [&signature.inputs, &signature.outputs].map(|specs| {
            specs.iter().map(|spec| format!("{} {} {:?}", spec.name, spec.datatype, spec.shape)).collect::<Vec<_>>().join(", ")
        });
        format!("{} -> {}; {}", specs[0], specs[1], if signature.batched { "batched" } else { "alone" })
    };
    assert_eq!(shown("add.onnx"), "a FP32 [-1, 4], b FP32 [-1, 4] -> sum FP32 [-1, 4]; batched");
    assert_eq!(shown("two_outputs.onnx"), "x FP32 [-1, 4] -> double FP32 [-1, 4], row_sum FP32 [-1]; batched");
    assert_eq!(shown("scalar.onnx"), "x FP32 [-1, 4] -> mean FP32 []; alone");
    assert_eq!(shown("no_batch.onnx"), "x FP32 [3] -> double FP32 [3]; alone");
    assert_eq!(shown("conv.onnx"), "image FP32 [-1, 1, 8, 8] -> scores FP32 [-1, 3]; batched");
    let conv = engine("conv.onnx");
    let facts = conv.facts();
    assert!(facts.convolutional && !engine("add.onnx").facts().convolutional);
    assert_eq!((facts.platform, facts.engine, facts.parameters), ("onnx_onnxv1", "Tract", 72));
    assert_eq!((facts.opsets.join(" "), facts.operators["MaxPool"]), ("ai.onnx 13".to_owned(), 1));
    let external = engine("external/model.onnx");
    let weights = model("external/weights.bin").metadata().unwrap().len();
    assert_eq!(external.facts().bytes, weights + model("external/model.onnx").metadata().unwrap().len());
}

#[test]
fn a_sample_proves_or_refuses() {
    let folder = root().join("examples/mnist/model");
    let mnist = load(&folder.join("model.onnx")).unwrap();
    let proof = prove(&*mnist, &folder).unwrap().unwrap();
    assert!(proof.outputs == 1 && proof.nanos > 0);
    assert_eq!(prove(&*mnist, &root()).unwrap(), None);
    let text = std::fs::read_to_string(folder.join("sample.json")).unwrap();
    let mut sample: serde_json::Value = serde_json::from_str(&text).unwrap();
    sample["response"]["outputs"][0]["data"][3] = 0.75.into();
    let other = tempfile::tempdir().unwrap();
    let refused = |sample: &serde_json::Value| {
        std::fs::write(other.path().join("sample.json"), sample.to_string()).unwrap();
        prove(&*mnist, other.path()).unwrap_err()
    };
    let error = refused(&sample);
    assert!(matches!(error, SampleError::Mismatch(_)));
    let text = error.to_string();
    assert!(text.contains("output 'probabilities' element 3 is 0.") && text.contains("expected 0.75 within 0.0001"), "{text}");
    sample["request"]["inputs"][0]["name"] = "image".into();
    assert!(refused(&sample).to_string().contains("unknown input 'image'; the model has 'pixels'"));
    sample["response"] = serde_json::json!({});
    assert!(refused(&sample).to_string().contains("sample.json is not a sample: missing field `outputs`"));
}

#[test]
fn runs_are_measured_within_bounds() {
    let measured = measure(&*engine("conv.onnx"));
    assert!(measured.one.unwrap() > Duration::ZERO && measured.eight.unwrap() > Duration::ZERO);
    let fixed = measure(&*engine("no_batch.onnx"));
    assert!(fixed.one.is_some() && fixed.eight.is_none());
    assert!(measure(&*engine("div.onnx")).one.is_some());
    let slow = engine("slow.onnx");
    let begun = Instant::now();
    measure(&*slow).one.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// The same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Changed files load, run or are refused; nothing escapes, and nothing else fails.
#[test]
fn changed_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let end = Instant::now() + Duration::from_secs(15);
    let mut dice = Dice(7);
    let (mut cases, mut loaded) = (0, 0);
    for name in [
        "conv.onnx",
        "two_outputs.onnx",
        "qdq_softmax.onnx",
        "lstm_reverse.onnx",
        "gather.onnx",
        "loop.onnx",
        "tree_classifier.onnx",
    ] {
        let good = std::fs::read(model(name)).unwrap();
        for _ in 0..100 {
            let mut bytes = good.clone();
            for _ in 0..=dice.roll(3) {
                let at = dice.roll(bytes.len());
                bytes[at] = dice.roll(256) as u8;
            }
            std::fs::write(&path, &bytes).unwrap();
            cases += 1;
            if let Ok(engine) = load(&path) {
                loaded += 1;
                measure(&*engine);
            }
            if Instant::now() > end {
                break;
            }
        }
    }
    assert!(cases > 200 && loaded > 20, "{loaded} of {cases} loaded");
}
