//! `optimize` as a person runs it: real files, and real servers to measure with.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const MNIST: &str = "examples/mnist/model/model.onnx";
const HELD_OUT: &str = "examples/mnist/heldout.npz";

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
        (vec![&*file("empty.onnx", b""), "-o", &out], "it has no graph"),
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
