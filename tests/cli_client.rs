//! `predict`, `evaluate`, `bench` and `inspect` as a person runs them: the real binary against a server of small models that was
//! written apart from the client.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "cli_client/address.rs"]
mod address;
#[path = "cli_client/bench.rs"]
mod bench;
#[path = "cli_client/evaluate.rs"]
mod evaluate;
#[path = "cli_client/fake.rs"]
mod fake;
#[path = "cli_client/predict.rs"]
mod predict;
#[path = "cli_client/tls.rs"]
mod tls;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;

use fake::Fake;
use serde_json::{Value, json};
use tls::Terminator;

const PROTOCOLS: [&str; 4] = ["json", "binary", "grpc", "tfs"];

fn modelyard(fake: &Fake, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard"));
    command.args(arguments).env("MODELYARD_URL", fake.url()).stdin(Stdio::null());
    command
}

fn run(fake: &Fake, arguments: &[&str]) -> Output {
    modelyard(fake, arguments).output().unwrap()
}

/// Standard output of a run that succeeds.
fn stdout(fake: &Fake, arguments: &[&str]) -> String {
    let output = run(fake, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a run that exits 1.
fn refusal(fake: &Fake, arguments: &[&str]) -> String {
    let output = run(fake, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

/// Standard error of a run that exits 2.
fn misuse(fake: &Fake, arguments: &[&str]) -> String {
    let output = run(fake, arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stderr).unwrap()
}

fn document(fake: &Fake, arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(fake, arguments)).unwrap()
}

fn file(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Softmax of (0, 1, 2).
const SOFTMAX: [f64; 3] = [0.090_030_573, 0.244_728_471, 0.665_240_956];

fn assert_softmax(outputs: &Value) {
    assert_eq!((&outputs[0]["name"], &outputs[0]["shape"]), (&json!("y"), &json!([1, 3])));
    for (found, expected) in outputs[0]["data"].as_array().unwrap().iter().zip(SOFTMAX) {
        assert!((found.as_f64().unwrap() - expected).abs() < 1e-6, "{outputs}");
    }
}

#[test]
fn every_protocol_and_every_file_gives_the_same_answer() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tensor = modelyard_wire::Tensor::from_f32(vec![1, 4], &[0.0, 0.0, 1.0, 2.0]).unwrap();
    let mut npy = Vec::new();
    modelyard::inputs::write_npy(&tensor, &mut npy).unwrap();
    let mut npz = std::io::Cursor::new(Vec::new());
    modelyard::inputs::write_npz([("x", &tensor)], &mut npz).unwrap();
    let files = [
        file(folder, "bare.json", "[0, 0, 1, 2]"),
        file(folder, "oip.json", r#"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[0,0,1,2]}]}"#),
        file(folder, "tfs.json", r#"{"instances":[[0,0,1,2]]}"#),
        file(folder, "a.npy", npy),
        file(folder, "a.npz", npz.into_inner()),
        file(folder, "a.csv", "a,b,c,d\n0,0,1,2\n"),
    ];
    for protocol in PROTOCOLS {
        for input in &files {
            let answer = document(&fake, &["predict", "tiny", "--protocol", protocol, "--input", input, "-o", "json"]);
            assert_softmax(&answer["outputs"]);
        }
    }
}

#[test]
fn an_answer_is_shown_by_class() {
    let fake = Fake::start();
    let mut child =
        modelyard(&fake, &["predict", "tiny", "--input", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"[[0,0,1,2],[3,0,0,0]]").unwrap();
    let shown = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].starts_with("  ox   ████████████████") && lines[1].ends_with(" 66.5 %"), "{shown}");
    assert!(lines[4].starts_with("  dog") || lines[5].starts_with("  cat"), "{shown}");
    assert_eq!(lines.len(), 8, "{shown}");
}

#[test]
fn a_picture_becomes_what_the_model_takes() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.png");
    image::GrayImage::from_pixel(56, 56, image::Luma([51])).save(&path).unwrap();
    let output = run(&fake, &["predict", "pixels", "--input", path.to_str().unwrap(), "-o", "json"]);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert_eq!(notes, "half.png: 56x56 resized to 28x28 grey, scaled to 0..1, shape [1, 784]\n");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!((answer["outputs"][0]["data"][0].as_f64().unwrap() - 0.2).abs() < 1e-4, "{answer}");
}

#[test]
fn faults_say_what_to_do() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let short = file(folder.path(), "short.json", "[1, 2, 3]");
    let error = refusal(&fake, &["predict", "tiny", "--input", &short]);
    assert!(error.contains("input 'x': shape [3] does not fit [-1, 4] (-1 is any size): a row has 4 values"), "{error}");
    let error = refusal(&fake, &["predict", "nosuch", "--zeros"]);
    assert_eq!(error, "error: the server has no model 'nosuch'; it has tiny, pixels, full, stalls\n");
    let error = refusal(&fake, &["predict", "nosuch", "--zeros", "--protocol", "grpc"]);
    assert_eq!(error, "error: the server has no model 'nosuch'\n");
    let error = refusal(&fake, &["predict", "tiny", "--zeros", "--url", "http://127.0.0.1:1"]);
    assert!(
        error.starts_with("error: cannot reach http://127.0.0.1:1: Connection refused") && error.contains("is the server up?")
    );
    run(&fake, &["predict", "full", "--zeros"]);
    let error = refusal(&fake, &["predict", "full", "--zeros"]);
    assert_eq!(error, "error: the server answered 503: the queue is full\n");
    let error = refusal(&fake, &["predict", "full", "--zeros", "--protocol", "grpc"]);
    assert_eq!(error, "error: the server answered UNAVAILABLE: the queue is full\n");
    let error = refusal(&fake, &["predict", "tiny", "--input", "nosuch.npy"]);
    assert!(error.starts_with("error: cannot read nosuch.npy: No such file"), "{error}");
    assert_eq!(run(&fake, &["predict", "tiny"]).status.code(), Some(2));
}

#[test]
fn a_shape_beyond_counting_is_refused() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967295, 4294967295, 999999), }";
    let npy = file(
        folder.path(),
        "big.npy",
        format!("\u{93}NUMPY\u{1}\0v\0{header:<117}\n").chars().map(|one| one as u8).collect::<Vec<_>>(),
    );
    let asked = ["--shape", "x=4294967295,4294967295,784"];
    let counted = "a row has 4 values, found more than can be counted\n";
    for (arguments, words) in [
        ([&["predict", "tiny", "--zeros"][..], &asked].concat(), counted),
        ([&["bench", "tiny"][..], &asked].concat(), counted),
        (vec!["predict", "tiny", "--input", &npy], "big.npy: the array: shape [4294967295, 4294967295, 999999] is too large\n"),
    ] {
        let error = refusal(&fake, &arguments);
        assert!(error.starts_with("error: ") && error.ends_with(words), "{arguments:?}: {error}");
    }
    let error = refusal(&fake, &["predict", "tiny", "--zeros", "--shape", "x=1,2"]);
    assert!(error.ends_with("a row has 4 values, found 2 in all\n"), "{error}");
}

#[test]
fn a_file_is_inspected_by_the_servers_binary() {
    use std::os::unix::fs::PermissionsExt;
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let report = r#"{"file":"m.onnx","loadable":false,"signature":{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,4]}],"outputs":[],"batched":true},"problems":[{"node":"n","operator":"LSTM","reason":"no reverse"}]}"#;
    let binary = file(
        folder.path(),
        "modelyard-server",
        format!("#!/bin/sh\n[ \"$1\" = inspect ] && [ \"$3$4\" = -ojson ] && echo '{report}'\n"),
    );
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    let model = file(folder.path(), "m.onnx", "");
    let output = run(&fake, &["inspect", &model, "--server-bin", &binary]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "it will not run");
    assert!(shown.contains("x  FP32    [?, 4]") && shown.contains("- LSTM 'n': no reverse"), "{shown}");
    let output = run(&fake, &["inspect", &model, "--server-bin", &binary, "-o", "json"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), report);
    assert!(
        refusal(&fake, &["inspect", "nosuch.onnx"]).contains("no file nosuch.onnx; to ask a server about a model, say --url")
    );
    for (name, kind) in [("m.zip", ".zip"), ("m.tar", ".tar"), ("m.tar.gz", ".tar"), ("M.TGZ", ".tar")] {
        let error = refusal(&fake, &["inspect", &file(folder.path(), name, "PK"), "--server-bin", &binary]);
        assert!(error.contains(&format!("a {kind} archive is not read here; unpack it, and name the .onnx file")), "{error}");
    }
}

#[test]
fn a_served_model_is_inspected() {
    let fake = Fake::start();
    let shown = stdout(&fake, &["inspect", "--url", &fake.url(), "tiny"]);
    for words in ["format     onnx_onnxv1", "classes    cat, dog, ox", "x  FP32    [?, 4]", "engine     fake", "batching   no"] {
        assert!(shown.contains(words), "{words} in\n{shown}");
    }
    let found = document(&fake, &["inspect", "--url", &fake.url(), "pixels", "-o", "json"]);
    assert_eq!((&found["metadata"]["name"], &found["config"]), (&json!("pixels"), &Value::Null));
}

#[test]
fn https_is_spoken_where_the_certificate_is_trusted() {
    let fake = Fake::start();
    let front = Terminator::start(fake.address, &[b"h2", b"http/1.1"]);
    let (url, folder) = (front.url("localhost"), tempfile::tempdir().unwrap());
    let trusted = file(folder.path(), "ca.pem", &front.certificate);
    let input = file(folder.path(), "in.json", "[[0, 1, 2, 0]]");
    let predict = ["predict", "tiny", "--input", &input, "--url", &url];
    for protocol in PROTOCOLS {
        stdout(&fake, &[&predict[..], &["--protocol", protocol, "--ca-file", &trusted]].concat());
    }
    let by_environment = modelyard(&fake, &predict).env("SSL_CERT_FILE", &trusted).output().unwrap();
    assert!(by_environment.status.success(), "{}", String::from_utf8_lossy(&by_environment.stderr));
    let data = evaluate::dataset(folder.path());
    let common = ["tiny", "--url", &url, "--ca-file", &trusted];
    stdout(&fake, &[&["evaluate", "--data", &data, "--labels", "animal"][..], &common].concat());
    stdout(&fake, &[&["bench", "-n", "8", "--warm-up", "0"][..], &common].concat());
    assert!(stdout(&fake, &[&["inspect"][..], &common].concat()).contains(&format!("tiny at {url}")));
    let saved = folder.path().join("request.json").display().to_string();
    let command = stdout(&fake, &[&predict[..], &["--save-request", &saved, "--ca-file", &trusted]].concat());
    assert!(command.contains(&format!("--cacert {trusted}")) && command.contains(&url), "{command}");

    // Who is not trusted, is named otherwise, is no authority, or speaks no TLS, is refused with the reason.
    let (other, none) = (front.url("127.0.0.1"), file(folder.path(), "none.pem", "nothing"));
    let grpc = ["--protocol", "grpc"];
    let [old, silent] = [&[&b"http/1.1"[..]][..], &[]].map(|offered| Terminator::start(fake.address, offered));
    let (old_trusted, silent_trusted) =
        (file(folder.path(), "old.pem", &old.certificate), file(folder.path(), "silent.pem", &silent.certificate));
    let plain = format!("https://{}", fake.address);
    for (url, more, words) in [
        (&url, &[][..], "UnknownIssuer; --ca-file FILE, or SSL_CERT_FILE, names"),
        (&other, &["--ca-file", &trusted], "not valid for name"),
        (&url, &["--ca-file", &none], "none.pem: expected certificates in PEM, found none"),
        (&url, &["--ca-file", "nowhere.pem"], "--ca-file nowhere.pem: "),
        (&plain, &["--ca-file", &trusted], "does the server speak plain http?"),
        (&fake.url(), &["--ca-file", &trusted], "is for https"),
        (&old.url("localhost"), &[&grpc[..], &["--ca-file", &old_trusted]].concat(), "gRPC needs HTTP/2"),
        (&silent.url("localhost"), &[&grpc[..], &["--ca-file", &silent_trusted]].concat(), "gRPC needs HTTP/2"),
    ] {
        let error = refusal(&fake, &[&["predict", "tiny", "--input", &input, "--url", url][..], more].concat());
        assert!(error.contains(words), "{url} {more:?}: {error}");
    }
}
