//! `modelyard import` as a person runs it: YAML to standard output, what is lost to standard error, an exit code for scripts.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

const KSERVE: &str = r#"apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: mnist}
spec:
  predictor:
    maxReplicas: 3
    logger: {mode: all}
    model:
      modelFormat: {name: onnx}
      storageUri: https://models.example.com/mnist.onnx
      resources: {limits: {cpu: "1", memory: 1Gi}}
---
apiVersion: v1
kind: Namespace
metadata: {name: models}
"#;

const UNSERVED: &str = "apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: iris}
spec: {predictor: {sklearn: {storageUri: 'gs://b/iris'}}}
";

fn modelyard(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_modelyard"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn what_is_printed_passes_validate_and_what_is_lost_is_said() {
    let (yaml, lines, code) = said(&modelyard(&["import", "-"], KSERVE));
    assert_eq!(code, Some(0), "{lines}");
    let logger = "spec.predictor.logger: no counterpart: requests are not logged: a gateway or a mesh can do that";
    assert!(lines.contains(&format!("-:1: InferenceService/mnist: {logger}\n")), "{lines}");
    assert!(lines.contains("Namespace/models: left out: it is neither KServe's nor Seldon's"), "{lines}");
    assert!(yaml.contains(&format!("#   {logger}\n")) && yaml.contains("kind: HorizontalPodAutoscaler"), "{yaml}");
    let (checked, _, code) = said(&modelyard(&["validate", "-"], &yaml));
    assert!(code == Some(0) && checked.contains("ModelDeployment/mnist is valid"), "{checked}");
}

#[test]
fn only_where_nothing_is_converted_it_fails() {
    for (input, code, words) in [
        (format!("{UNSERVED}---\n{KSERVE}"), 0, "iris: not converted: spec.predictor.sklearn"),
        (UNSERVED.to_owned(), 1, "error: nothing was converted: see above"),
        ("a: 1\n".to_owned(), 1, "expected an InferenceService or a Model, found none"),
        ("a: [\n".to_owned(), 1, "error: -:"),
    ] {
        let (_, lines, found) = said(&modelyard(&["import", "-"], &input));
        assert!(found == Some(code) && lines.contains(words), "{found:?} {lines}");
    }
}

#[test]
fn what_cannot_be_read_is_a_failure_beside_what_is_converted() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, broken) = (file("good.yaml", KSERVE), file("broken.yaml", "a: [\n"));
    let missing = folder.path().join("missing.yaml");
    for (other, words) in [(broken.as_str(), "broken.yaml:"), (missing.to_str().unwrap(), "missing.yaml: cannot be read")] {
        let (yaml, lines, code) = said(&modelyard(&["import", &good, other], ""));
        assert!(code == Some(1) && lines.contains(words), "{code:?} {lines}");
        assert!(yaml.contains("kind: ModelDeployment") && !lines.contains("nothing was converted"), "{yaml} {lines}");
        let (_, lines, code) = said(&modelyard(&["import", other], ""));
        assert!(code == Some(1) && lines.contains("nothing was converted: see above"), "{code:?} {lines}");
    }
}

#[test]
fn the_second_of_one_name_is_refused() {
    let other = KSERVE.replace("{name: mnist}", "{name: mnist, namespace: other}");
    let (yaml, lines, code) = said(&modelyard(&["import", "-"], &format!("{KSERVE}---\n{KSERVE}---\n{other}")));
    assert_eq!(code, Some(0), "{lines}");
    let words =
        "InferenceService/mnist: not converted: metadata.name: Duplicate value: \"mnist\": -:1 has an object of this name";
    assert_eq!(lines.matches(words).count(), 1, "{lines}");
    assert_eq!(yaml.matches("kind: ModelDeployment\nmetadata").count(), 2, "{yaml}");
    let (checked, _, code) = said(&modelyard(&["validate", "-"], &yaml));
    assert_eq!(code, Some(0), "{checked}");
}
