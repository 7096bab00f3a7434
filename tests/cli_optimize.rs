//! `optimize` as a person runs it: real files, and real servers to measure with.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use modelyard_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, ValueInfoProto,
};
use serde_json::Value;

const MNIST: &str = "examples/mnist/model/model.onnx";
const HELD_OUT: &str = "examples/mnist/heldout.npz";
const CNN: &str = "examples/mnist-cnn/model/model.onnx";

fn optimize(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard"));
    command.arg("optimize").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn report(arguments: &[&str], code: i32) -> Value {
    let output = optimize(&[arguments, &["--report", "json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(arguments: &[&str]) -> String {
    let output = optimize(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn weights_of_eight_bits_keep_the_accuracy_and_a_quarter_of_the_size() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("small.onnx");
    let out = out.to_str().unwrap();
    // Of a debug build only the figures count, not its times.
    let told = report(&[MNIST, "-o", out, "--weights", "int8", "--data", HELD_OUT, "--min-accuracy", "0.92", "--force"], 0);
    let steps = told["steps"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["original", "clean", "int8"]);
    assert!(
        steps.iter().all(|step| step["metric"] == "accuracy" && step["microsecondsPerRun"].as_f64().unwrap() > 0.0),
        "{told:#}"
    );
    assert_eq!(steps[0]["figure"], steps[1]["figure"], "what is exact changes no answer");
    let (before, after) = (steps[0]["figure"].as_f64().unwrap(), steps[2]["figure"].as_f64().unwrap());
    assert!((before - after).abs() < 0.005, "{told:#}");
    let size = std::fs::metadata(out).unwrap().len();
    assert_eq!(steps[2]["bytes"], size);
    assert!(size < std::fs::metadata(MNIST).unwrap().len() / 3, "{size}");
    assert_eq!(told["written"], true);
}

#[test]
fn what_falls_below_the_limit_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("none.onnx");
    let told = report(&[MNIST, "-o", out.to_str().unwrap(), "--prune", "0.98", "--data", HELD_OUT, "--min-accuracy", "0.9"], 1);
    assert_eq!((told["written"].as_bool(), out.exists()), (Some(false), false));
    assert!(told["refusal"].as_str().unwrap().starts_with("accuracy is 0."), "{told:#}");
}

#[test]
fn without_data_it_is_smaller_and_nothing_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("half.onnx");
    let output = optimize(&[MNIST, "-o", out.to_str().unwrap(), "--weights", "f16"]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with("step") && table.contains("\nf16 ") && table.contains("written: "), "{table}");
    assert!(!table.contains("us/run"), "{table}");
    assert!(std::fs::metadata(&out).unwrap().len() < std::fs::metadata(MNIST).unwrap().len() * 6 / 10);
}

#[test]
fn refusals_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let out = file("out.onnx", b"kept");
    for (arguments, words) in [
        (vec!["examples/mnist/model", "-o", &out], "is a folder; name the .onnx file in it"),
        (vec!["absent.onnx", "-o", &out], "cannot read absent.onnx"),
        (vec![&*file("text.onnx", b"hello, world"), "-o", &out], "text.onnx is no ONNX file"),
        (vec![&*file("empty.onnx", b""), "-o", &out], "empty.onnx is empty: 0 bytes"),
        (vec!["examples/credit/model/model.ubj", "-o", &out], "model.ubj is XGBoost's own file, which is served as it is"),
        (vec![&*file("boosted.onnx", b"tree\nversion=v4\n"), "-o", &out], "boosted.onnx is LightGBM's own file"),
        (vec![&*file("forest.pkl", b"\x80\x04\x95\0"), "-o", &out], "forest.pkl is a Python pickle"),
        (vec![MNIST, "-o", "absent/out.onnx"], "nothing was written to absent/out.onnx"),
        (vec![MNIST, "-o", &out, "--data", HELD_OUT, "--metric", "r2"], "there is no figure 'r2' here; there are accuracy, "),
        (vec![MNIST, "-o", &out, "--data", "absent.npz"], "absent.npz"),
        (vec![MNIST, "-o", &out, "--data", HELD_OUT, "--server-bin", "/absent/server"], "cannot run /absent/server"),
    ] {
        let said = refusal(&arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read(Path::new(&out)).unwrap(), b"kept", "what was there stays");
    let wrong = optimize(&[MNIST, "-o", &out, "--prune", "1.5"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("expected a number between 0 and 1, found '1.5'"));
}

#[test]
fn int8_on_both_sides_keeps_the_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("int8.onnx");
    let out = out.to_str().unwrap();
    for (model, arguments, operator) in [
        (CNN, vec!["--quantize", "static", "--percentile", "99.99"], "QuantizeLinear"),
        (MNIST, vec!["--quantize", "dynamic"], "MatMulInteger"),
    ] {
        let told = report(&[&[model, "-o", out, "--data", HELD_OUT, "--force"], &*arguments].concat(), 0);
        let steps = told["steps"].as_array().unwrap();
        let figures: Vec<f64> = steps.iter().map(|step| step["figure"].as_f64().unwrap()).collect();
        assert!((figures[0] - figures[2]).abs() < 0.01, "{told:#}");
        assert_eq!(steps[2]["engines"][0]["engine"], "Tract", "{told:#}");
        let written = modelyard_onnx::read(Path::new(out)).unwrap();
        assert!(written.graph.unwrap().node.iter().any(|node| node.op_type() == operator), "{arguments:?}");
    }
}

#[test]
fn channels_go_from_the_file_and_answers_are_compared_without_truths() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("narrow.onnx");
    let out = out.to_str().unwrap();
    let arguments = [CNN, "-o", out, "--prune-channels", "0.5", "--data", HELD_OUT, "--metric", "cosine", "--force"];
    let told = report(&arguments, 0);
    let steps = told["steps"].as_array().unwrap();
    let same = |step: &Value| step["figure"].as_f64().is_some_and(|figure| (figure - 1.0).abs() < 1e-9);
    assert!(same(&steps[0]) && same(&steps[1]), "what is exact answers the same: {told:#}");
    assert!(steps[2]["figure"].as_f64().unwrap() > 0.3, "{told:#}");
    assert_eq!(steps[2]["changed"], 8 + 16, "half of 16 and of 32 filters");
    assert!(steps[2]["bytes"].as_u64() < steps[0]["bytes"].as_u64().map(|bytes| bytes / 2), "{told:#}");
    let sound = inspect(out);
    assert_eq!(sound.status.code(), Some(0), "{}", String::from_utf8_lossy(&sound.stdout));
}

/// Attention over the rows of MNIST's images: 4 heads of 7 places, of which nothing reads the second.
fn attention() -> ModelProto {
    let node = |operator: &str, inputs: &[&str], output: &str| NodeProto {
        op_type: Some(operator.into()),
        input: inputs.iter().map(|one| (*one).to_owned()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    };
    let order = |axes: &[i64]| AttributeProto {
        name: Some("perm".into()),
        r#type: Some(7),
        ints: axes.to_vec(),
        ..AttributeProto::default()
    };
    let sizes = |name: &str, values: &[i64]| {
        let raw = values.iter().flat_map(|one| one.to_le_bytes()).collect();
        TensorProto::of_bytes(name.into(), 7, vec![i64::try_from(values.len()).unwrap()], raw)
    };
    let mut nodes = vec![node("Reshape", &["x", "rows"], "r")];
    let mut tensors = vec![
        sizes("rows", &[-1, 28, 28]),
        sizes("apart", &[0, 28, 4, 7]),
        sizes("together", &[0, 28, 28]),
        sizes("flat", &[0, -1]),
    ];
    for (at, (name, axes)) in [("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])].into_iter().enumerate() {
        let [weight, made, parts, turned] = ["w", "1", "2", "3"].map(|end| format!("{name}{end}"));
        let values: Vec<f32> = (0..784_usize).map(|place| ((place * (at + 3)) % 17) as f32 / 40.0 - 0.2).collect();
        tensors.push(TensorProto::of_floats(weight.clone(), vec![28, 28], &values));
        nodes.push(node("MatMul", &["r", &weight], &made));
        nodes.push(node("Reshape", &[&made, "apart"], &parts));
        nodes.push(NodeProto { attribute: vec![order(&axes)], ..node("Transpose", &[&parts], &turned) });
    }
    let read: Vec<f32> = (0..784_usize).map(|at| if at / 28 / 7 == 1 { 0.0 } else { (at % 13) as f32 / 30.0 - 0.2 }).collect();
    tensors.push(TensorProto::of_floats("o".into(), vec![28, 28], &read));
    nodes.push(node("MatMul", &["q3", "k3"], "scores"));
    nodes.push(node("Softmax", &["scores"], "shares"));
    nodes.push(node("MatMul", &["shares", "v3"], "found"));
    nodes.push(NodeProto { attribute: vec![order(&[0, 2, 1, 3])], ..node("Transpose", &["found"], "beside") });
    nodes.push(node("Reshape", &["beside", "together"], "joined"));
    nodes.push(node("MatMul", &["joined", "o"], "z"));
    nodes.push(node("Reshape", &["z", "flat"], "y"));
    let mut model = modelyard_onnx::read(Path::new(MNIST)).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let (input, output) = (graph.input[0].name().to_owned(), graph.output[0].name().to_owned());
    nodes[0].input[0] = input;
    nodes.last_mut().unwrap().output[0] = output;
    // 784 numbers where the original has ten.
    graph.output[0].r#type.clone_from(&graph.input[0].r#type);
    (graph.node, graph.initializer, graph.value_info) = (nodes, tensors, Vec::new());
    model
}

#[test]
fn the_head_that_no_answer_misses_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (folder.path().join("model.onnx"), folder.path().join("fewer.onnx"));
    modelyard_onnx::write(&attention(), &model).unwrap();
    let (model, out) = (model.to_str().unwrap(), out.to_str().unwrap());
    let data = ["--data", HELD_OUT, "--metric", "cosine", "--force"];
    let told = report(&[&[model, "-o", out, "--prune-heads", "0.25"], &data[..]].concat(), 0);
    let step = &told["steps"][2];
    assert_eq!((&step["step"], &step["changed"]), (&Value::from("heads"), &Value::from(1)), "{told:#}");
    assert!(step["note"].as_str().unwrap().contains("of 4 heads 3 are left"), "{told:#}");
    let engines = step["engines"].as_array().unwrap();
    assert!(!engines.is_empty() && engines.iter().all(|one| one["figure"].as_f64().unwrap() > 1.0 - 1e-10), "{told:#}");
    let graph = modelyard_onnx::read(Path::new(out)).unwrap().graph.unwrap();
    let dims = |name: &str| graph.initializer.iter().find(|one| one.name() == name).unwrap().dims.clone();
    assert_eq!((dims("qw"), dims("kw"), dims("vw"), dims("o")), (vec![28, 21], vec![28, 21], vec![28, 21], vec![21, 28]));
    assert_eq!(inspect(out).status.code(), Some(0));
    let few = report(&[&[model, "-o", out, "--prune-heads", "0.75", "--min-accuracy", "0.999999"], &data[..4]].concat(), 1);
    assert!(few["refusal"].as_str().unwrap().contains("below 0.999999"), "{few:#}");
    assert!(refusal(&[model, "-o", out, "--prune-heads", "0.1"]).contains("a share of 0.1 of 4 heads is less than one head"));
}

#[test]
fn what_does_not_apply_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("none.onnx");
    let out = out.to_str().unwrap();
    let said = refusal(&[MNIST, "-o", out, "--leaves", "8"]);
    assert!(said.contains("leaves: the model has none of what it applies to: TreeEnsembleClassifier"), "{said}");
    let said = refusal(&[MNIST, "-o", out, "--prune-heads", "0.5"]);
    assert!(said.contains("heads: the model has none of what it applies to: attention of several heads"), "{said}");
    for (arguments, words) in [
        (vec!["--prune-heads", "1"], "expected a number between 0 and 1, found '1'"),
        (vec!["--quantize", "static"], "--quantize static takes the ranges of activations from --data"),
        (vec!["--percentile", "99"], "--quantize <QUANTIZE>"),
        (vec!["--quantize", "dynamic", "--weights", "int8"], "cannot be used with"),
        (vec!["--quantize", "static", "--percentile", "10"], "expected a number from 50 to 100, found '10'"),
        (vec!["--leaves", "1"], "2..=16"),
    ] {
        let wrong = optimize(&[&[MNIST, "-o", out], &*arguments].concat());
        let said = String::from_utf8(wrong.stderr).unwrap();
        assert_eq!(wrong.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

/// The sides of a weight, and how many there are: 128 MiB of FP32, and 80 000 KiB for all that the command may write to.
const WIDTH: i64 = 2048;
const LAYERS: u16 = 8;

/// Products by one weight after another, `w0` first.
fn products(initializer: Vec<TensorProto>) -> ModelProto {
    let value = |name: String| vec![ValueInfoProto { name: Some(name), ..ValueInfoProto::default() }];
    let node = |layer: u16| NodeProto {
        op_type: Some("MatMul".into()),
        input: vec![format!("x{layer}"), format!("w{layer}")],
        output: vec![format!("x{}", layer + 1)],
        ..NodeProto::default()
    };
    let (input, output) = (value("x0".into()), value(format!("x{LAYERS}")));
    let graph = GraphProto { node: (0..LAYERS).map(node).collect(), initializer, input, output, ..GraphProto::default() };
    let opset_import = vec![OperatorSetIdProto { version: Some(17), ..OperatorSetIdProto::default() }];
    ModelProto { ir_version: Some(8), opset_import, graph: Some(graph), ..ModelProto::default() }
}

/// Optimises a file of less memory than its weights take; the size of what comes of it.
fn optimised_in_little_memory(model: &Path, weights: &str) -> u64 {
    let out = model.with_file_name("out.onnx");
    let command = "ulimit -d 80000; exec \"$0\" optimize \"$1\" -o \"$2\" --weights \"$3\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", command, env!("CARGO_BIN_EXE_modelyard")]).arg(model).arg(&out).arg(weights);
    let ran = bash.stdin(Stdio::null()).output().unwrap();
    assert!(ran.status.success(), "{weights}: {}", String::from_utf8_lossy(&ran.stderr));
    std::fs::metadata(&out).unwrap().len()
}

/// Weights in lists of numbers, of more than the memory that the command may have, in one file.
#[test]
fn lists_beyond_the_memory_go_through() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("large.onnx");
    let weight = |layer: u16| {
        let float_data = (0..WIDTH * WIDTH).map(|at| if at == 0 { f32::from(layer) + 1.0 } else { 0.0 }).collect();
        let (name, dims) = (Some(format!("w{layer}")), vec![WIDTH, WIDTH]);
        TensorProto { name, data_type: Some(1), dims, float_data, ..TensorProto::default() }
    };
    let whole = products((0..LAYERS).map(weight).collect());
    std::fs::write(&model, prost::Message::encode_to_vec(&whole)).unwrap();
    let before = std::fs::metadata(&model).unwrap().len();
    for (weights, share) in [("f32", 1), ("int8", 4)] {
        let size = optimised_in_little_memory(&model, weights);
        assert!((before / share..before / share + (1 << 20)).contains(&size), "{weights}: {size} of {before}");
    }
}

/// A model whose weights are more than the memory that the command may have: `tests/optimize/large.py` does so with 3 GiB.
#[test]
fn weights_beyond_the_memory_go_through() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("large.onnx");
    let length = u64::try_from(WIDTH * WIDTH * 4).unwrap();
    let data = std::fs::File::create(folder.path().join("large.data")).unwrap();
    data.set_len(length * u64::from(LAYERS)).unwrap();
    let entry = |key: &str, value: String| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
    let weight = |layer: u16| {
        let offset = u64::from(layer) * length;
        // Weights that differ: equal ones would become one.
        std::os::unix::fs::FileExt::write_all_at(&data, &(f32::from(layer) + 1.0).to_le_bytes(), offset).unwrap();
        TensorProto {
            name: Some(format!("w{layer}")),
            data_type: Some(1),
            dims: vec![WIDTH, WIDTH],
            data_location: Some(1),
            external_data: vec![
                entry("location", "large.data".into()),
                entry("offset", offset.to_string()),
                entry("length", length.to_string()),
            ],
            ..TensorProto::default()
        }
    };
    let whole = products((0..LAYERS).map(weight).collect());
    modelyard_onnx::write(&whole, &model).unwrap();
    for (weights, bytes) in [("f32", length), ("int8", length / 4)] {
        let (size, least) = (optimised_in_little_memory(&model, weights), bytes * u64::from(LAYERS));
        assert!((least..least + (1 << 20)).contains(&size), "{weights}: {size}");
    }
}

fn inspect(file: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_modelyard")).args(["inspect", file, "--check"]).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_check_says_all_that_is_wrong_and_needs_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut model = modelyard_onnx::read(Path::new(MNIST)).unwrap();
    let graph = model.graph.as_mut().unwrap();
    graph.node.swap(0, 1);
    graph.node[2].attribute.push(AttributeProto {
        name: Some("alpha".into()),
        r#type: Some(1),
        f: Some(1.0),
        ..AttributeProto::default()
    });
    modelyard_onnx::write(&model, &path).unwrap();
    // The folder stands for the one file in it.
    let found = inspect(folder.path().to_str().unwrap());
    let said = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.status.code(), Some(1), "{said}");
    for words in [
        "error: Add 'hidden_sum': input[0] 'hidden_product': MatMul 'hidden_product' makes it, which comes later",
        "error: Relu 'hidden': attribute 'alpha': ai.onnx 13 has no such attribute",
        "model.onnx: unsound: 2 errors, 0 warnings",
    ] {
        assert!(said.contains(words), "{words} in\n{said}");
    }
    let sound = inspect("examples/mnist/model");
    assert_eq!(sound.status.code(), Some(0));
    assert!(String::from_utf8(sound.stdout).unwrap().contains("sound: 0 errors, 0 warnings"));
    let absent = inspect("absent.onnx");
    assert_eq!(absent.status.code(), Some(1));
    assert!(String::from_utf8(absent.stderr).unwrap().contains("cannot read absent.onnx"));
}
