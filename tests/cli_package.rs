//! `package` as a person runs it: real files, and the server's binary that loads them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const MNIST: &str = "examples/mnist/model";
const EXTERNAL: &str = "tests/models/external";

fn package(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard"));
    command.arg("package").args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The report of what was written.
fn written(arguments: &[&str]) -> Value {
    let output = package(&[arguments, &["--report", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(arguments: &[&str]) -> String {
    let output = package(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn names(report: &Value) -> Vec<&str> {
    report["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect()
}

/// A copy of a folder that a test may change.
fn copied(from: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_folder_and_an_archive_hold_what_belongs_to_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("digits");
    let report = written(&[MNIST, "-o", text(&out)]);
    assert_eq!(names(&report), ["README.md", "model.onnx", "sample.json"]);
    assert_eq!((report["outputsProved"].as_u64(), report["sha256"].as_str().map(str::len)), (Some(1), Some(64)));
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(card.starts_with("# digits\n") && card.contains("| FP32 | [-1, 784] |"), "{card}");
    assert!(report["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains("no README.md")), "{report:#}");

    // The same files are the same archive, and its sum is the one that a server compares.
    let sums: Vec<Value> =
        ["a.tar.gz", "b.tgz"].map(|name| written(&[text(&out), "-o", text(&folder.path().join(name))])["sha256"].clone()).into();
    assert_eq!(sums[0], sums[1]);
    assert_ne!(sums[0], report["sha256"]);
    let uri = format!("file:{}", folder.path().join("a.tar.gz").display());
    let pulled = folder.path().join("pulled");
    let pull = Command::new(env!("CARGO_BIN_EXE_modelyard"))
        .args(["pull", &uri, "--sha256", sums[0].as_str().unwrap(), "-o", text(&pulled)])
        .env("MODELYARD_CACHE_DIR", folder.path().join("cache"))
        .output()
        .unwrap();
    assert!(pull.status.success(), "{}", String::from_utf8_lossy(&pull.stderr));
    for name in names(&report) {
        assert_eq!(fs::read(pulled.join(name)).unwrap(), fs::read(out.join(name)).unwrap(), "{name}");
    }
    // Nothing is left of the making.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
}

#[test]
fn what_the_model_keeps_elsewhere_comes_along_and_what_is_strange_does_not() {
    let source = copied(EXTERNAL);
    fs::write(source.path().join("train.py"), "pass").unwrap();
    let model = fs::read_dir(EXTERNAL)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "onnx"));
    fs::rename(source.path().join(model.unwrap().file_name().unwrap()), source.path().join("mine.onnx")).unwrap();
    fs::write(source.path().join("steps.yaml"), "postprocess:\n  - {op: Rename, columns: [sum], to: [total]}\n").unwrap();
    let out = tempfile::tempdir().unwrap();
    let report = written(&[text(source.path()), "-o", text(&out.path().join("made"))]);
    let found = names(&report);
    assert!(found.contains(&"model.onnx") && found.contains(&"steps.yaml") && found.len() == 4, "{found:?}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("left out: train.py") && notes.contains("no sample.json"), "{notes}");

    fs::write(source.path().join("steps.yaml"), "preprocess:\n  - {op: Drop, columns: [sum], k: 3}\n").unwrap();
    let said = refusal(&[text(source.path()), "-o", text(&out.path().join("other"))]);
    assert!(said.contains("steps.yaml: preprocess[0].k: "), "{said}");
}

#[test]
fn what_no_server_would_serve_is_not_written() {
    let source = copied(MNIST);
    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("made");
    let sample = source.path().join("sample.json");
    let mut wrong: Value = serde_json::from_slice(&fs::read(&sample).unwrap()).unwrap();
    wrong["response"]["outputs"][0]["data"][0] = json!(7.5);
    fs::write(&sample, wrong.to_string()).unwrap();
    let said = refusal(&[text(source.path()), "-o", text(&to)]);
    assert!(said.contains("sample: the model answers its sample wrongly") && said.contains("7.5"), "{said}");
    // Another sample may do.
    let model = source.path().join("model.onnx");
    let right = format!("{MNIST}/sample.json");
    fs::remove_file(&sample).unwrap();
    assert_eq!(written(&[text(&model), "--sample", &right, "-o", text(&out.path().join("right"))])["outputsProved"], 1);
    fs::write(&sample, wrong.to_string()).unwrap();
    let said = refusal(&[text(&model), "-o", text(&to)]);
    assert!(said.contains("answers its sample wrongly"), "{said}");
    for (arguments, words) in [
        (vec!["tests/models/unsupported_op.onnx", "-o", text(&to)], "would not serve it"),
        (vec!["tests/models/external_missing", "-o", text(&to)], "would not serve it"),
        (vec!["examples", "-o", text(&to)], "expected a .onnx file"),
        (vec!["nowhere", "-o", text(&to)], "no file or folder nowhere"),
        (vec![MNIST, "-o", text(out.path())], "is there already"),
        (vec![MNIST, "--card", "nowhere.md", "-o", text(&to)], "README.md: no file nowhere.md"),
    ] {
        let said = refusal(&arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1, "only what was right is there");
}

#[test]
fn what_no_registry_can_have_is_refused_before_one_is_asked() {
    let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    registry.set_nonblocking(true).unwrap();
    let host = registry.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let digest = format!("digits@sha256:{}", "0".repeat(64));
    for (command, name, words) in [
        (
            "push",
            "Team/digits:1",
            "the repository 'Team/digits' is illegal; expected parts with '/' between them, each of lower-case",
        ),
        ("push", "digits:.1", "the tag '.1' is illegal; expected 1 to 128 letters, digits"),
        ("push", &digest, "expected oci://HOST/REPOSITORY:TAG to push to, found the digest"),
        ("pull", "Team/digits:1", "the repository 'Team/digits' is illegal"),
        ("pull", "digits@sha256:12", "the digest 'sha256:12' is illegal; expected sha256: and 64 hexadecimal digits"),
    ] {
        let uri = format!("oci://{host}/{name}");
        let mut told = Command::new(env!("CARGO_BIN_EXE_modelyard"));
        match command {
            "push" => told.args(["push", "examples/mnist/model", &uri]),
            _ => told.args(["pull", &uri, "-o"]).arg(folder.path().join("digits")),
        };
        let output = told.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(words) && said.contains(&uri), "{command} {uri}: {said}");
    }
    assert_eq!(registry.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody asked");
}
