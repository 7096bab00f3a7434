//! Every example is what it says: each YAML file is read as Kubernetes reads it, each ModelDeployment is checked as `modelyard
//! validate` checks it and snapshotted as the operator renders it, and each model that is there is served by `modelyard local`.
//! tests/operator/examples.rs asks a real API server about the same files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may")]

#[path = "local/client.rs"]
#[allow(dead_code, reason = "shared with the tests of local mode")]
mod client;
#[path = "examples/policies.rs"]
mod policies;
#[path = "local/session.rs"]
#[allow(dead_code, reason = "shared with the tests of local mode")]
mod session;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use client::ask;
use http::Method;
use modelyard::manifest::{self, Manifest, Written};
use modelyard_core::api::{Class, Reason};
use modelyard_core::plan::{Observed, plan};
use modelyard_core::render::{Objects, Owner, render};
use serde_json::{Value, json};
use session::{Session, one, repository};

/// The YAML files of examples/, in all its folders.
fn examples() -> Vec<PathBuf> {
    fn look(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "yaml") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    look(&repository("examples"), &mut found);
    found.sort();
    assert!(found.len() >= 10, "{found:?}");
    found
}

fn documents(file: &Path) -> Vec<Written> {
    let (documents, faults) = manifest::documents(&[file.to_owned()]);
    assert_eq!(faults, [], "{}", file.display());
    documents
}

/// The ModelDeployments of a file, without fault.
fn deployments(file: &Path) -> Vec<Manifest> {
    let reading = manifest::read(&[file.to_owned()]);
    assert_eq!(reading.diagnostics, [], "{}", file.display());
    reading.manifests
}

#[test]
fn each_document_is_an_object() {
    let mut names = BTreeSet::new();
    for file in examples() {
        for document in documents(&file) {
            let text = |pointer: &str| document.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
            // Values of a chart are no objects.
            if version.is_empty() && kind.is_empty() {
                continue;
            }
            let place = format!("{}:{}", file.display(), document.line);
            assert!(!version.is_empty() && !kind.is_empty() && !name.is_empty(), "{place}: {version} {kind} {name}");
            // Those of one folder can be applied together.
            let first = kind != "ModelDeployment" || names.insert((file.parent().unwrap().to_owned(), name.clone()));
            assert!(first, "{place}: another example of this folder is called {name}");
        }
    }
}

#[test]
fn each_deployment_is_valid_and_renders_as_it_did() {
    let folder = repository("examples");
    for file in examples() {
        // Those with a model beside them are for local mode; what becomes of these on a cluster, others show.
        let manifests = deployments(&file);
        if manifests.is_empty() || !file.starts_with(folder.join("kubernetes")) {
            continue;
        }
        let rendered: Vec<Value> = manifests.iter().map(rendered).collect();
        let name = file.strip_prefix(folder.join("kubernetes")).unwrap().with_extension("").display().to_string();
        insta::assert_yaml_snapshot!(name.replace('/', "-"), rendered);
    }
}

/// All that the operator would make of it.
fn rendered(manifest: &Manifest) -> Value {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    // As the operator chooses between its two images.
    let server_image = if manifest.resolved.needs_onnx_runtime() { "modelyard-server-ort:1" } else { "modelyard-server:1" };
    let owner = Owner { namespace: "models", uid: "6f1b", server_image };
    let plan = plan(&manifest.resolved, &Observed::default(), now);
    let Objects { configuration, pins: _, deployment, others: _, service, disruption_budget, network_policy } =
        render(&manifest.resolved, &plan, owner, &modelyard_core::pins::Pins::default());
    let all = json!([configuration, deployment, service, disruption_budget, network_policy]);
    // Only several models have the first.
    all.as_array().unwrap().iter().skip(usize::from(all[0].is_null())).cloned().collect()
}

#[test]
fn what_is_for_production_has_no_risk() {
    for (name, risks) in [("production", 0), ("private-store", 0), ("claim", 0), ("availability", 0), ("network-policy", 0)] {
        let file = repository("examples/kubernetes").join(name).with_extension("yaml");
        let checked = Command::new(env!("CARGO_BIN_EXE_modelyard")).args(["validate", "--strict"]).arg(&file).output().unwrap();
        assert_eq!(checked.status.code(), Some(risks), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}

/// The script with which Argo CD is to tell the health.
fn health_script() -> String {
    let file = repository("examples/gitops/argocd-cm.yaml");
    let script = &documents(&file)[0].value["data"]["resource.customizations.health.modelyard.dev_ModelDeployment"];
    script.as_str().unwrap().to_owned()
}

fn of_class(class: Class) -> BTreeSet<&'static str> {
    Reason::ALL.iter().filter(|reason| reason.class() == class).map(|reason| reason.as_str()).collect()
}

#[test]
fn the_reasons_that_gitops_is_told_are_those_of_the_api() {
    let script = health_script();
    let list = script.split("local underway = {").nth(1).unwrap().split('}').next().unwrap();
    let listed: BTreeSet<&str> =
        list.split(',').map(|part| part.trim().trim_end_matches(" = true")).filter(|one| !one.is_empty()).collect();
    assert_eq!(listed, of_class(Class::UnderWay));
    let flux = &documents(&repository("examples/gitops/flux.yaml"))[0].value["spec"]["healthCheckExprs"][0];
    let failed = flux["failed"].as_str().unwrap();
    let list = failed.split("one.reason in").nth(1).unwrap();
    let listed: BTreeSet<&str> = list.split('\'').skip(1).step_by(2).collect();
    assert_eq!(listed, of_class(Class::User));
}

#[test]
fn argo_cd_is_told_how_a_deployment_is() {
    let table = [
        ("{metadata = {generation = 1}}", "Progressing"),
        ("{metadata = {generation = 1}, status = {}}", "Progressing"),
        (
            "{metadata = {generation = 2}, status = {observedGeneration = 1, conditions = {{type = 'Ready', status = 'True', reason = 'Serving'}}}}",
            "Progressing",
        ),
        (
            "{metadata = {generation = 1}, status = {observedGeneration = 1, conditions = {{type = 'Ready', status = 'True', reason = 'Serving', message = 'm'}}}}",
            "Healthy",
        ),
        (
            "{metadata = {generation = 1}, status = {observedGeneration = 1, conditions = {{type = 'Ready', status = 'True', reason = 'ScaledToZero'}}}}",
            "Healthy",
        ),
        (
            "{metadata = {generation = 1}, status = {observedGeneration = 1, conditions = {{type = 'Ready', status = 'False', reason = 'Paused'}}}}",
            "Suspended",
        ),
        (
            "{metadata = {generation = 1}, status = {observedGeneration = 1, conditions = {{type = 'Serving', status = 'True', reason = 'Serving'}, {type = 'Ready', status = 'False', reason = 'Loading'}}}}",
            "Progressing",
        ),
        (
            "{metadata = {generation = 1}, status = {observedGeneration = 1, conditions = {{type = 'Ready', status = 'False', reason = 'ModelNotFound'}}}}",
            "Degraded",
        ),
    ];
    let cases: String = table.iter().map(|(object, _)| format!("print(health({object}).status)\n")).collect();
    let program = format!("local function health(obj)\n{}\nend\n{cases}", health_script());
    let started = Command::new("lua5.4").arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut lua) = started else {
        println!("no lua5.4 here (tools/prepare installs it): the script is not run");
        return;
    };
    lua.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
    let output = lua.wait_with_output().unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    let expected: Vec<&str> = table.iter().map(|(_, health)| *health).collect();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_served_and_answers_its_sample() {
    let mut served = 0;
    for file in examples() {
        let folder = file.parent().unwrap();
        if !deployments(&file).iter().any(|one| one.resolved.config.models.iter().any(|model| model.uri == "file:model")) {
            continue;
        }
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if !folder.join("model").exists() {
            println!("{name} is not served here: its model is fetched by a script (see its README), and was not");
            continue;
        }
        served += 1;
        let mut session = Session::launch(tempfile::tempdir().unwrap(), &file, &[]);
        let ready = session.until_ready(&name);
        assert_eq!(one(&ready, &name)["status"]["readyOfWanted"], "1/1");
        commands(folder, &session.url);
        // Steps around a model make another request of it than its own sample.
        let sample = std::fs::read(folder.join("sample.json")).or_else(|_| std::fs::read(folder.join("model/sample.json")));
        let Ok(sample) = sample else { continue };
        let sample: Value = serde_json::from_slice(&sample).unwrap();
        let url = format!("{}/v2/models/{name}", session.url);
        let (_, metadata) = ask(Method::GET, &url, &Value::Null).await.unwrap();
        let names = |of: &Value| of.as_array().unwrap().iter().map(|one| one["name"].clone()).collect::<Vec<_>>();
        assert_eq!(names(&metadata["inputs"]), names(&sample["request"]["inputs"]), "{name}");
        let steps = metadata["properties"]["preprocess"].as_str().map(str::to_owned);
        assert_eq!(steps.is_some(), folder.join("sample.json").exists(), "{name}: {metadata}");
        let url = format!("{url}/infer");
        let (status, answer) = ask(Method::POST, &url, &sample["request"]).await.unwrap();
        assert_eq!(status, 200, "{name}: {answer}");
        for (found, expected) in pairs(&answer["outputs"], &sample["response"]["outputs"]) {
            assert_eq!((&found["name"], &found["datatype"]), (&expected["name"], &expected["datatype"]), "{name}");
            for (one, other) in pairs(&found["data"], &expected["data"]) {
                let near = one.as_f64().zip(other.as_f64()).map(|(a, b)| (a - b).abs() < 1e-4 * b.abs().max(1.0));
                assert!(near.unwrap_or(one == other), "{name}: {found} is not {expected}");
            }
        }
    }
    assert!(served >= 5, "{served}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_models_answer_where_there_is_memory_for_some() {
    let file = repository("examples/several/several.yaml");
    let mut session = Session::launch(tempfile::tempdir().unwrap(), &file, &[]);
    session.until_ready("several");
    for _ in 0..2 {
        for (name, folder) in [("dense", "mnist"), ("convolutions", "mnist-cnn"), ("lstm", "lstm")] {
            let sample = std::fs::read(repository("examples").join(folder).join("model/sample.json")).unwrap();
            let sample: Value = serde_json::from_slice(&sample).unwrap();
            let url = format!("{}/v2/models/{name}/infer", session.url);
            let (status, answer) = ask(Method::POST, &url, &sample["request"]).await.unwrap();
            assert_eq!(status, 200, "{name}: {answer}");
        }
    }
    let told = session.until("one on standby", |event| {
        let models = event["deployments"][0]["replicas"][0]["models"].as_array().cloned().unwrap_or_default();
        models.iter().any(|model| model["state"] == "Standby")
    });
    assert!(told["deployments"][0]["replicas"][0]["models"][0]["memoryBytes"].as_u64().is_some(), "{told:#}");
}

/// The commands about the served model that the README of an example shows do what it says.
fn commands(folder: &Path, url: &str) {
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let shown = readme.lines().filter_map(|line| line.strip_prefix("    modelyard "));
    for command in shown.filter(|command| command.starts_with("predict ") || command.starts_with("evaluate ")) {
        // Some have a script make their data first, of digits that are fetched.
        if readme.contains("--output heldout.npz")
            && command.contains("--data heldout.npz")
            && !folder.join("heldout.npz").exists()
        {
            continue;
        }
        let mut asked = Command::new(env!("CARGO_BIN_EXE_modelyard"));
        let output = asked.args(command.split(' ')).current_dir(folder).env("MODELYARD_URL", url).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{}: {command}: {said}", folder.display());
        let figures = String::from_utf8_lossy(&output.stdout);
        assert!(!command.starts_with("evaluate ") || figures.contains("accuracy ") || figures.contains("rmse "), "{figures}");
    }
}

/// The items of two lists of one length.
fn pairs<'a>(found: &'a Value, expected: &'a Value) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let (found, expected) = (found.as_array().unwrap(), expected.as_array().unwrap());
    assert_eq!(found.len(), expected.len(), "{found:?} is not {expected:?}");
    found.iter().zip(expected)
}

/// The steps of the examples are those that `modelyard fit-preprocess` prints; what is in the files was written with scikit-learn's numbers.
#[test]
fn the_steps_of_examples_are_fitted_on_their_data() {
    let all = |name: &str| {
        json!({"iris": ["--target", "species"], "credit": ["--target", "paid", "--numeric", "none", "--missing", "keep", "--unknown", "ignore"]})[name].clone()
    };
    for name in ["iris", "credit"] {
        let folder = repository("examples").join(name);
        let flags: Vec<String> = serde_json::from_value(all(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard"));
        let output = command.arg("fit-preprocess").arg("--data").arg(folder.join("train.csv")).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let printed: Value = serde_yaml::from_str(std::str::from_utf8(&output.stdout).unwrap()).unwrap();
        let written = documents(&folder.join(name).with_extension("yaml"))[0].value["spec"]["model"]["preprocess"].clone();
        for (found, expected) in pairs(&printed["preprocess"], &written) {
            assert_eq!(found.as_object().unwrap().len(), expected.as_object().unwrap().len(), "{found} is not {expected}");
            for (field, value) in found.as_object().unwrap() {
                let numbers =
                    |of: &Value| of.as_array().and_then(|list| list.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>());
                match (numbers(value), numbers(&expected[field])) {
                    (Some(found), Some(expected)) => {
                        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= b.abs() * 1e-13;
                        assert!(
                            found.len() == expected.len() && found.iter().zip(&expected).all(near),
                            "{found:?} is not {expected:?}"
                        );
                    }
                    _ => assert_eq!(*value, expected[field], "{name}: {field}"),
                }
            }
        }
    }
}
