//! The commands that read manifests and print what we know of them, run as a person runs them.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const GOOD: &str = "apiVersion: modelyard.dev/v1alpha1\nkind: ModelDeployment\nmetadata:\n  name: mnist\nspec:\n  model:\n    uri: file:mnist.onnx\n";

const BAD: &str = r#"apiVersion: modelyard.dev/v1alpha1
kind: ModelDeployment
metadata:
  name: 9lives
spec:
  replica: 2
  replicas: -1
  model:
    uri: ftp://host/model
    version: "1"
---
apiVersion: v1
kind: Service
metadata: {name: web}
---
apiVersion: modelyard.dev/v1beta1
kind: ModelDeployment
---
a: [1
---
apiVersion: modelyard.dev/v1alpha1
kind: ModelDeployment
metadata: {name: two}
spec:
  model: {uri: 'file:a', uri: 'file:b'}
"#;

fn modelyard(dir: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_modelyard"))
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn here(arguments: &[&str]) -> (String, bool) {
    let output = modelyard(Path::new("."), arguments, "");
    (text(&output) + &String::from_utf8(output.stderr.clone()).unwrap(), output.status.success())
}

#[test]
fn good_yaml_passes_from_a_file_a_folder_and_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mnist.yaml"), GOOD).unwrap();
    for (arguments, file) in
        [(["validate", "mnist.yaml"], "mnist.yaml"), (["validate", "."], "./mnist.yaml"), (["validate", "-"], "-")]
    {
        let output = modelyard(dir.path(), &arguments, GOOD);
        assert!(output.status.success());
        assert_eq!(text(&output), format!("{file}:1: ModelDeployment/mnist is valid (revision {})\n", revision()));
    }
    assert_eq!(text(&modelyard(dir.path(), &["validate", "mnist.yaml", "-o", "json"], "")), "[]\n");
}

fn revision() -> String {
    let reading = modelyard::manifest::read_text(Path::new("m.yaml"), GOOD);
    reading.manifests[0].resolved.revision.clone()
}

#[test]
fn bad_yaml_is_shown_at_its_places_all_at_once() {
    let output = modelyard(Path::new("."), &["validate", "-"], BAD);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("bad_yaml_as_text", text(&output));
    let output = modelyard(Path::new("."), &["validate", "-o", "json", "-"], BAD);
    assert_eq!(output.status.code(), Some(1));
    let faults: Value = serde_json::from_slice(&output.stdout).unwrap();
    let second = json!({
        "file": "-", "line": 6, "column": 3, "length": 7, "object": "ModelDeployment/9lives", "path": "spec.replica",
        "severity": "error", "message": "Unknown field \"replica\": did you mean \"replicas\"?", "source": "  replica: 2",
    });
    assert_eq!(faults[1], second);
}

#[test]
fn a_missing_file_is_a_fault_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("latin.yaml"), [0x61, 0x3a, 0x20, 0xe9]).unwrap();
    fs::write(dir.path().join("empty.yaml"), "# nothing\n").unwrap();
    let output = modelyard(dir.path(), &["validate", "missing.yaml", "latin.yaml", "empty.yaml"], "");
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    assert!(text.contains("error: missing.yaml: cannot be read: No such file"), "{text}");
    assert!(
        text.contains("error: latin.yaml: cannot be read: line 1, column 4: expected UTF-8 text, found the byte 0x"),
        "{text}"
    );
    assert!(text.contains("note: empty.yaml: no document in this file"), "{text}");
}

#[test]
fn nothing_to_validate_is_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    let service = dir.path().join("service");
    fs::create_dir(&service).unwrap();
    fs::write(service.join("web.yaml"), "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n").unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    for folder in ["empty", "service"] {
        let output = modelyard(dir.path(), &["validate", folder], "");
        assert_eq!(output.status.code(), Some(1), "{folder}");
        let words = format!("error: {folder}: nothing to validate: expected a ModelDeployment, found none");
        assert!(text(&output).contains(&words), "{}", text(&output));
    }
    let output = modelyard(dir.path(), &["validate", "empty", "-o", "json"], "");
    let faults: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &faults[0]["file"]), (Some(1), &json!("empty")));
    // Beside a deployment, documents of other kinds are only noted.
    assert!(modelyard(dir.path(), &["validate", "service", "-"], GOOD).status.success());
}

#[test]
fn two_files_with_one_name_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), GOOD).unwrap();
    fs::write(dir.path().join("b.yaml"), GOOD).unwrap();
    let output = modelyard(dir.path(), &["validate", "a.yaml", "b.yaml"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("b.yaml:1:1: metadata.name: Duplicate value: \"mnist\": a.yaml:1 defines"),
        "{}",
        text(&output)
    );
}

#[test]
fn what_is_risky_is_warned_about_and_strict_makes_a_gate_of_it() {
    let risky = GOOD.replace("file:mnist.onnx", "http://models/mnist.onnx");
    let run = |arguments: &[&str]| modelyard(Path::new("."), arguments, &risky);
    let shown = run(&["validate", "-"]);
    assert_eq!(shown.status.code(), Some(0));
    let sum =
        "warning: -:6:3: spec.model.sha256: without it, whoever is on the way of plain http can put another model in its place";
    assert!(text(&shown).contains(sum) && text(&shown).contains("is valid (revision"), "{}", text(&shown));
    assert_eq!(run(&["validate", "--strict", "-"]).status.code(), Some(1));
    let found: Value = serde_json::from_slice(&run(&["validate", "-o", "json", "-"]).stdout).unwrap();
    assert_eq!((&found[0]["severity"], &found[0]["object"]), (&json!("warning"), &json!("ModelDeployment/mnist")));
    assert_eq!(modelyard(Path::new("."), &["validate", "--strict", "-"], GOOD).status.code(), Some(0));
}

#[test]
fn a_reason_is_explained() {
    let (page, fine) = here(&["explain", "reason", "modelnotfound"]);
    assert!(fine && page.starts_with("REASON:     ModelNotFound\n") && page.contains("\nWHAT TO DO:\n  - Ask as"), "{page}");
    insta::assert_snapshot!("explain_a_reason", page);
    let all = here(&["explain", "reasons"]).0;
    assert!(all.lines().count() > 30 && all.contains("ChecksumMismatch"), "{all}");
    let near = "error: there is no reason \"ModelNotFond\"; did you mean ModelNotFound?\n";
    assert_eq!(here(&["explain", "reason", "ModelNotFond"]), (near.to_owned(), false));
    let page: Value = serde_json::from_str(&here(&["explain", "reason", "OutOfMemory", "-o", "json"]).0).unwrap();
    assert_eq!(page["reason"], "OutOfMemory");
    assert!(!here(&["explain", "spec.model", "OutOfMemory"]).1);
}

#[test]
fn explain_prints_what_the_schema_says() {
    insta::assert_snapshot!("explain_root", here(&["explain"]).0);
    insta::assert_snapshot!("explain_a_field", here(&["explain", "mdep.spec.serving.requestTimeout"]).0);
    insta::assert_snapshot!("explain_recursively", here(&["explain", "spec", "--recursive"]).0);
    for same in ["spec.models[0].uri", "ModelDeployment.spec.models.uri", "modeldeployments.spec.models[].uri"] {
        assert_eq!(here(&["explain", same]), here(&["explain", "spec.models.uri"]));
    }
    let page: Value = serde_json::from_str(&here(&["explain", "spec.replicas", "-o", "json"]).0).unwrap();
    assert_eq!((&page["type"], &page["default"], &page["minimum"]), (&json!("integer"), &json!(1), &json!(0)));
}

#[test]
fn explain_helps_with_a_wrong_path() {
    let nearest = "error: spec has no field \"modle\"; did you mean \"model\"?\nfields of spec: availability, cache, engine, model, models, networkPolicy, paused, pod, replicas, resources, rollout, serverImage, service, serving\n";
    assert_eq!(here(&["explain", "spec.modle"]), (nearest.to_owned(), false));
    let (elsewhere, _) = here(&["explain", "uri"]);
    assert!(
        elsewhere.starts_with("error: ModelDeployment has no field \"uri\"; did you mean spec.model.uri or spec.models.uri?")
    );
    assert_eq!(here(&["explain", "spec.replicas.x"]).0, "error: spec.replicas has no field \"x\": it has no fields\n");
}

#[test]
fn crds_are_printed_as_yaml_and_as_json() {
    let (yaml, json) = (here(&["crds"]).0, here(&["crds", "-o", "json"]).0);
    let (yaml, json): (Value, Value) = (serde_yaml::from_str(&yaml).unwrap(), serde_json::from_str(&json).unwrap());
    assert_eq!(yaml, json);
    assert_eq!(yaml["spec"]["names"]["shortNames"], json!(["mdep"]));
}

#[test]
fn completions_pages_and_version() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (script, fine) = here(&["completions", shell]);
        assert!(fine && script.contains("validate"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(modelyard(dir.path(), &["man", "--output", "pages"], "").status.success());
    let page = fs::read_to_string(dir.path().join("pages/modelyard-validate.1")).unwrap();
    assert!(page.contains("modelyard\\-validate") && page.contains("exits 1"), "{page}");
    let version: Value = serde_json::from_str(&here(&["version", "-o", "json"]).0).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert!(here(&["version"]).0.starts_with(&format!("modelyard {}", env!("CARGO_PKG_VERSION"))));
}
