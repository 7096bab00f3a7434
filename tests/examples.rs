//! Every example is checked as `modelyard validate` checks it, and served by `modelyard local` as it lies there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may")]

#[path = "local/client.rs"]
#[allow(dead_code, reason = "shared with the tests of local mode")]
mod client;
#[path = "local/session.rs"]
#[allow(dead_code, reason = "shared with the tests of local mode")]
mod session;

use std::path::PathBuf;
use std::process::Command;

use client::ask;
use http::Method;
use serde_json::Value;
use session::{Session, one, repository};

/// The YAML files of examples/, and whether the model that each names is there.
fn examples() -> Vec<(PathBuf, bool)> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(repository("examples")).unwrap() {
        let Ok(files) = std::fs::read_dir(folder.unwrap().path()) else { continue };
        let files = files.map(|file| file.unwrap().path());
        found.extend(files.filter(|file| file.extension().is_some_and(|kind| kind == "yaml")).map(|file| {
            let there = file.with_file_name("model/model.onnx").exists();
            (file, there)
        }));
    }
    assert!(found.len() >= 4, "{found:?}");
    found
}

#[test]
fn each_is_valid() {
    for (file, _) in examples() {
        let checked = Command::new(env!("CARGO_BIN_EXE_modelyard")).arg("validate").arg(&file).output().unwrap();
        assert!(checked.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&checked.stdout));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_served_and_answers_its_sample() {
    for (file, there) in examples() {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if !there {
            println!("{name} is not served here: its model is fetched by a script (see its README), and was not");
            continue;
        }
        let mut session = Session::launch(tempfile::tempdir().unwrap(), &file, &[]);
        let ready = session.until_ready(&name);
        assert_eq!(one(&ready, &name)["status"]["readyOfWanted"], "1/1");
        let Ok(sample) = std::fs::read(file.with_file_name("model/sample.json")) else { continue };
        let sample: Value = serde_json::from_slice(&sample).unwrap();
        let url = format!("{}/v2/models/{name}/infer", session.url);
        let (status, answer) = ask(Method::POST, &url, &sample["request"]).await.unwrap();
        assert_eq!(status, 200, "{name}: {answer}");
        let numbers = |body: &Value| -> Vec<f64> {
            body["outputs"][0]["data"].as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect()
        };
        let (found, expected) = (numbers(&answer), numbers(&sample["response"]));
        assert_eq!(found.len(), expected.len(), "{name}");
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4), "{name}: {found:?} is not {expected:?}");
    }
}
