//! Exit codes tell a supervisor why; one bad model of several is no reason to exit.

use std::net::TcpListener;

use serde_json::json;

use crate::http::{get, post};
use crate::server::{Server, command, eventually, mnist, mnist_body, model, path};

/// Runs to the end with these arguments: the code, the log, the termination message, and whether ports were opened.
fn run(arguments: &[&str]) -> (i32, String, String, bool) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("termination"), "").unwrap();
    let mut child = command(folder.path()).args(arguments).spawn().unwrap();
    let status = eventually("it ends by itself", || child.try_wait().unwrap());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    (status.code().unwrap(), read("log"), read("termination"), folder.path().join("ports").exists())
}

#[test]
fn a_bad_configuration_is_64_before_any_port_opens() {
    for (arguments, part) in [
        (vec![], "--model"),
        (vec!["--model", "a"], "--model"),
        (vec!["--model", "a=ftp://bucket/a"], "--model a: expected file:"),
        (vec!["--config", "{}"], "models"),
        (vec!["--config", "@/no/such/file"], "/no/such/file"),
        (vec!["--config", r#"{"models":[{"name":"a","uri":"file:a"}],"serving":{"threads":0}}"#], "serving.threads"),
        (
            vec!["--config", r#"{"models":[{"name":"a","uri":"file:a"}],"serving":{"batching":{"maxSize":4,"maxDelay":"31s"}}}"#],
            "batching.maxDelay must be shorter than requestTimeout",
        ),
        (vec!["--model", "a=a", "--log-level", "a=b=c"], "--log-level"),
        (vec!["--no-such-flag"], "--no-such-flag"),
    ] {
        let (code, log, _, opened) = run(&arguments);
        assert_eq!((code, opened), (64, false), "{arguments:?}: {log}");
        assert!(log.contains(part), "{arguments:?}: {log}");
    }
}

#[test]
fn a_collector_that_cannot_be_sent_to_is_64_before_any_port_opens() {
    for (name, endpoint, part) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318", "TLS to the collector is not supported"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318", "expected http://HOST:PORT, found 'collector:4318'"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "expected http://HOST:PORT, found 'http://'"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(folder.path()).args(["--model", "a=a"]).env(name, endpoint).spawn().unwrap();
        let status = eventually("it ends by itself", || child.try_wait().unwrap());
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!((status.code(), folder.path().join("ports").exists()), (Some(64), false), "{endpoint}: {log}");
        assert!(log.contains(&format!("{name}: ")) && log.contains(part), "{endpoint}: {log}");
    }
}

#[test]
fn a_port_that_is_taken_is_64() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_modelyard-server"));
    command.args(["--host", "127.0.0.1", "--admin-port", "0", "--port", &port, "--model", "a=a", "--termination-log"]);
    let done = command.arg(folder.path().join("none")).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(64), "{said}");
    assert!(said.contains("--port") && said.contains(&port), "{said}");
}

#[test]
fn a_model_that_cannot_be_served_is_65_one_that_is_not_there_66_and_one_that_its_spec_does_not_fit_64() {
    let none = "0".repeat(64);
    let mnist = path("examples/mnist/model/model.onnx");
    let checked = json!({ "models": [{ "name": "a", "uri": format!("file:{}", mnist.display()), "sha256": none }] }).to_string();
    let uri = format!("file:{}", mnist.display());
    let named = json!({ "models": [{ "name": "a", "uri": uri, "classes": ["zero", "one"] }] }).to_string();
    let broken = format!("a={}", path("tests/models/not_onnx.onnx").display());
    let unsupported = format!("a={}", path("tests/models/unsupported_op.onnx").display());
    for (arguments, code, reason) in [
        (["--model", &broken], 65, "ModelInvalid"),
        (["--model", &unsupported], 65, "ModelUnsupported"),
        (["--config", &checked], 65, "ChecksumMismatch"),
        (["--config", &named], 64, "InvalidSpec"),
        (["--model", "a=/no/such/model.onnx"], 66, "ModelNotFound"),
    ] {
        let (found, log, termination, _) = run(&arguments);
        assert_eq!(found, code, "{arguments:?}: {log}");
        let written: serde_json::Value = serde_json::from_str(&termination).unwrap();
        assert_eq!(written["reason"], reason, "{termination}");
        assert!(written["message"].as_str().is_some_and(|message| message.len() > 10), "{termination}");
        if reason == "InvalidSpec" {
            let told = written["message"].as_str().unwrap();
            assert!(
                told.ends_with("classes: found 2 names, expected as many as an output has scores: 'probabilities' has 10"),
                "{told}"
            );
        }
    }
}

#[test]
fn one_model_that_fails_does_not_take_down_the_others() {
    let server = Server::start(&[model("unsupported_op"), mnist()], &json!({}));
    let ready = get(server.admin(), "/readyz").unwrap();
    assert_eq!(ready.status, 200);
    let failed = ready.json()["models"][0].clone();
    assert_eq!((failed["name"].as_str(), failed["reason"].as_str()), (Some("unsupported_op"), Some("ModelUnsupported")));
    assert_eq!((&failed["digest"], &failed["seconds"]), (&json!(null), &json!(null)));
    let loaded = ready.json()["models"][1].clone();
    assert_eq!(loaded["digest"].as_str().map(str::len), Some(64), "{loaded}");
    for phase in ["downloading", "loading", "warming"] {
        assert!(loaded["seconds"][phase].as_f64().is_some_and(|seconds| (0.0..60.0).contains(&seconds)), "{loaded}");
    }
    let answer = post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(get(server.address(), "/v2/models/unsupported_op/ready").unwrap().status, 503);
}

#[test]
fn a_log_that_cannot_be_written_costs_no_request() {
    let full = |command: &mut std::process::Command| {
        command.args(["--log-level", "debug"]).stderr(std::fs::File::options().write(true).open("/dev/full").unwrap());
    };
    let server = Server::start_with(&[mnist()], &json!({}), full);
    let answer = post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}
