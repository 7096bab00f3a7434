//! Admission: what the API server refuses `modelyard validate` refuses without one, at the same field and in the same words.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use kube::api::{Api, DynamicObject, PostParams};
use kube::core::ApiResource;
use modelyard_core::api::{API_VERSION, ModelDeployment};
use modelyard_core::schema::schemas;
use serde_json::{Value, json};

use crate::namespace::{Namespace, within};

mod limits;

/// A bad object, and the rule that it breaks: the field that has the rule, and how its message begins.
struct Case {
    field: &'static str,
    message: &'static str,
    spec: Value,
}

/// What is found fault with: field and message.
type Faults = BTreeSet<(String, String)>;

fn object(name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": API_VERSION, "kind": "ModelDeployment", "metadata": { "name": name }, "spec": spec })
}

fn case(field: &'static str, message: &'static str, spec: Value) -> Case {
    let mut whole = json!({ "model": { "uri": "http://models/mnist.onnx" } });
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    whole.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    Case { field, message, spec: whole }
}

/// One bad object for each rule.
fn cases() -> Vec<Case> {
    let uri = "must be file:PATH";
    let labels = "labels under modelyard.dev/ and app.kubernetes.io/";
    let several =
        |uri: &str| json!({ "model": null, "models": [{ "name": "a", "uri": "file:a.onnx" }, { "name": "b", "uri": uri }] });
    let secret = json!({ "name": "store" });
    vec![
        case("spec", "write exactly one of model", json!({ "model": null })),
        case("spec.model", "secretRef is for stores", json!({ "model": { "uri": "file:m.onnx", "secretRef": secret } })),
        case(
            "spec.models[]",
            "secretRef is for stores",
            json!({ "model": null, "models": [{ "name": "a", "uri": "pvc://zoo/m.onnx", "secretRef": secret }] }),
        ),
        case("spec", "write exactly one of model", json!({ "models": [{ "name": "a", "uri": "file:a.onnx" }] })),
        case("spec.model.uri", uri, json!({ "model": { "uri": "ftp://models/mnist.onnx" } })),
        case("spec.model.uri", uri, json!({ "model": { "uri": "file:" } })),
        case("spec.models[].uri", uri, several("http://")),
        case(
            "spec.cache",
            "write one of emptyDir",
            json!({ "cache": { "emptyDir": {}, "persistentVolumeClaim": { "claimName": "a" } } }),
        ),
        case(
            "spec.pod.env",
            "the operator sets MODELYARD_CONFIG",
            json!({ "pod": { "env": [{ "name": "MODELYARD_PORT", "value": "1" }] } }),
        ),
        case(
            "spec.pod.env",
            "the operator sets MODELYARD_CONFIG",
            json!({ "pod": { "env": [{ "name": "MODELYARD_STORE_0_AWS_REGION", "value": "a" }] } }),
        ),
        case("spec.model.uri", uri, json!({ "model": { "uri": "s3://bucket" } })),
        case("spec.model.uri", uri, json!({ "model": { "uri": "pvc://claim" } })),
        case("spec.model.uri", uri, json!({ "model": { "uri": "pvc://Claim/m.onnx" } })),
        case("spec.model.uri", "must stay in the claim", json!({ "model": { "uri": "pvc://claim/a/../../m.onnx" } })),
        case("spec.models[].uri", "must stay in the claim", several("pvc://claim/..")),
        case("spec.pod.labels", labels, json!({ "pod": { "labels": { "modelyard.dev/revision": "a" } } })),
        case("spec.service.labels", labels, json!({ "service": { "labels": { "app.kubernetes.io/name": "a" } } })),
        case("spec.resources", "requests.cpu", json!({ "resources": { "limits": { "cpu": "50m" } } })),
        case(
            "spec.resources",
            "requests.cpu",
            json!({ "resources": { "requests": { "cpu": 2 }, "limits": { "cpu": "1500m" } } }),
        ),
        case("spec.resources", "requests.memory", json!({ "resources": { "limits": { "memory": "64Mi" } } })),
        case("spec.rollout.progressDeadline", "must be 1s or more", json!({ "rollout": { "progressDeadline": "999ms" } })),
        case(
            "spec.serving",
            "batching.maxDelay",
            json!({ "serving": { "requestTimeout": "5ms", "batching": { "maxSize": 2 } } }),
        ),
        case("spec.serving.maxRequestBytes", "must be more than 0", json!({ "serving": { "maxRequestBytes": "0" } })),
        case("spec.serving.memoryBudget", "must be more than 0", json!({ "serving": { "memoryBudget": "0" } })),
        case("spec.serving.requestTimeout", "must be longer than 0s", json!({ "serving": { "requestTimeout": "0s" } })),
    ]
}

/// Every rule of the schema: the field, without indices, and the message.
fn rules() -> BTreeSet<(String, String)> {
    fn walk(schema: &Value, path: &str, found: &mut BTreeSet<(String, String)>) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            found.insert((path.to_owned(), rule["message"].as_str().expect("every rule has a message").to_owned()));
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let dot = if path.is_empty() { "" } else { "." };
            walk(field, &format!("{path}{dot}{name}"), found);
        }
        for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
            if schema[key].is_object() {
                walk(&schema[key], &format!("{path}{mark}"), found);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&schemas()[0].published, "", &mut found);
    found
}

/// A field's path without indices and keys.
fn without_indices(field: &str) -> String {
    let mut path = String::new();
    for part in field.split_inclusive(']') {
        match part.split_once('[') {
            Some((before, _)) => path += &format!("{before}[]"),
            None => path += part,
        }
    }
    path
}

/// What the API server says to these objects, by their place; nothing is stored.
async fn api_server(api: &Api<DynamicObject>, objects: &[Value]) -> Vec<Faults> {
    let mut all = Vec::new();
    for object in objects {
        let typed: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let said = api.create(&PostParams { dry_run: true, ..PostParams::default() }, &typed).await;
        all.push(match said {
            Ok(_) => Faults::new(),
            Err(kube::Error::Api(status)) => {
                let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
                assert!(!causes.is_empty(), "{status:?}");
                causes
                    .iter()
                    .filter(|cause| !is_echo(&cause.field, &cause.message))
                    .map(|cause| told(&cause.field, &cause.message))
                    .collect()
            }
            Err(error) => panic!("{error}"),
        });
    }
    all
}

/// What the API server says beside: that it stops at a fault of the schema, or could not evaluate a rule for it, and what the scale subresource and the
/// keys of lists make of the same fault.
fn is_echo(field: &str, message: &str) -> bool {
    let echoes =
        ["some validation rules were not checked", " evaluating rule: ", "must be an object for an array of list-type map"];
    field.starts_with(".spec") || echoes.iter().any(|echo| message.contains(echo))
}

/// A fault in the words that both have: the API server repeats the field, counts characters as bytes and does not say where a whole object or a number is
/// wrong; we count characters, show values and examples, guess what was meant, and explain what is missing.
fn told(field: &str, message: &str) -> (String, String) {
    let (field, plain) = match message.split_once("with format ").and_then(|(_, rest)| rest.split_once(" in ")) {
        Some((format, field)) => (field.to_owned(), format!("Invalid value: must fit in {format}")),
        None if message.contains("metadata.name must be") => ("metadata.name".to_owned(), "metadata.name must be".to_owned()),
        None => (field.to_owned(), message.replace(&format!("{field} in body "), "")),
    };
    let before = |mark: &str| plain.split_once(mark).map_or(plain.as_str(), |(before, _)| before);
    let words = if plain.starts_with("Required value") {
        "Required value".to_owned()
    } else if let Some((_, limit)) = plain.split_once("may not be more than ") {
        format!("Too long: may not be more than {}", limit.trim_end_matches(" bytes"))
    } else if let Some((_, format)) = plain.split_once("must fit in ") {
        format!("must fit in {format}")
    } else if plain.contains("must be an integer or a string") || plain.contains("must be of type int") {
        "must be of type integer".to_owned()
    } else if let Some((_, kind)) = plain.split_once("must be of type ") {
        format!("must be of type {}", kind.split([':', ',']).next().unwrap_or_default())
    } else if plain.contains("should match") {
        before("', such as").trim_end_matches('\'').to_owned()
    } else if plain.starts_with("Duplicate value") {
        before(": the same as").to_owned()
    } else {
        before("; did you mean").to_owned()
    };
    (field, words)
}

/// What `modelyard validate` says to the same.
fn validate(objects: &[Value]) -> Vec<Faults> {
    let folder = tempfile::tempdir().unwrap();
    for (at, object) in objects.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{at:04}.json")), object.to_string()).unwrap();
    }
    let output =
        Command::new(env!("CARGO_BIN_EXE_modelyard")).args(["validate", "-o", "json"]).arg(folder.path()).output().unwrap();
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut all: BTreeMap<usize, Faults> = BTreeMap::new();
    for fault in &found {
        let text = |key: &str| fault[key].as_str().unwrap();
        let at = text("file").rsplit('/').next().unwrap().trim_end_matches(".json").parse().unwrap();
        all.entry(at).or_default().insert(told(text("path"), text("message")));
    }
    (0..objects.len()).map(|at| all.remove(&at).unwrap_or_default()).collect()
}

/// Whether all that the API server says is said by us too, and of no other field. A field that a limit refuses breaks rules for no reason of its own: those we
/// leave out. It stops at the first limit of a field: we do not.
fn agree(server: &Faults, ours: &Faults, rules: &BTreeSet<(String, String)>) -> bool {
    let fields = |faults: &Faults| faults.iter().map(|(field, _)| field.clone()).collect::<BTreeSet<_>>();
    let is_rule = |words: &str| rules.iter().any(|(_, message)| words.ends_with(message.as_str()));
    let is_ours = |fault: &(String, String)| {
        ours.contains(fault) || (is_rule(&fault.1) && ours.iter().any(|one| one.0 == fault.0 && !is_rule(&one.1)))
    };
    !server.is_empty() && fields(server) == fields(ours) && server.iter().all(is_ours)
}

/// Asks both about each object; panics with every difference.
async fn compare(namespace: &Namespace, objects: &[Value]) -> Vec<Faults> {
    let api = Api::namespaced_with(namespace.client.clone(), &namespace.name, &ApiResource::erase::<ModelDeployment>(&()));
    let (server, ours, rules) = (api_server(&api, objects).await, validate(objects), rules());
    let mut differences = String::new();
    for ((object, server), ours) in objects.iter().zip(&server).zip(&ours) {
        if !agree(server, ours, &rules) {
            let short: String = object.to_string().chars().take(400).collect();
            differences += &format!("{short}\n  the API server {server:#?}\n  modelyard validate {ours:#?}\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
    server
}

#[tokio::test]
async fn every_rule_refuses_what_it_is_for_in_the_same_words_without_a_cluster() {
    within("rules", async |namespace| {
        let cases = cases();
        let mut objects: Vec<Value> = cases.iter().map(|case| object("mnist", &case.spec)).collect();
        let good = case("", "", json!({})).spec;
        let names = ["1mnist", "mnist.onnx", &"m".repeat(51)];
        objects.extend(names.iter().map(|name| object(name, &good)));
        let said = compare(namespace, &objects).await;
        let mut rules = rules();
        let of_name = |message: &str| message.starts_with("metadata.name must be");
        for (case, said) in cases.iter().zip(&said) {
            let broken = rules.iter().find(|(field, message)| field == case.field && message.starts_with(case.message)).cloned();
            let (field, message) = broken.unwrap_or_else(|| panic!("no rule {} {}", case.field, case.message));
            let told = said.iter().any(|(at, words)| without_indices(at) == field && words.ends_with(&message));
            assert!(told, "{field}: not {message:?} but {said:?}");
        }
        assert!(
            said[cases.len()..].iter().all(|said| said.iter().any(|(_, words)| words.contains("metadata.name must be"))),
            "{said:?}"
        );
        rules.retain(|(field, message)| {
            !of_name(message) && !cases.iter().any(|case| case.field == field && message.starts_with(case.message))
        });
        assert_eq!(rules, BTreeSet::new(), "rules of the CRD without a bad object here");
    })
    .await;
}

#[tokio::test]
async fn every_limit_refuses_in_the_same_words_without_a_cluster() {
    within("limits", async |namespace| {
        let bad = limits::bad();
        assert!(bad.len() > 150, "only {} limits are found", bad.len());
        let objects: Vec<Value> = bad.iter().map(|bad| object("mnist", &bad.spec)).collect();
        compare(namespace, &objects).await;
    })
    .await;
}

#[tokio::test]
async fn as_many_models_as_the_schema_lets_through_are_taken() {
    within("most-models", async |namespace| {
        let spec = &schemas()[0].published["properties"]["spec"]["properties"]["models"];
        let most = spec["maxItems"].as_u64().unwrap();
        assert_eq!(most, 500);
        // As long as addresses are in practice, and half as much again.
        let uri = |at: u64| format!("https://models.example.com/{}/{at}/model.onnx", "a".repeat(160));
        let models: Vec<Value> = (0..most)
            .map(|at| json!({ "name": format!("model-{at}"), "uri": uri(at), "sha256": "0".repeat(64), "version": at + 1 }))
            .collect();
        let api = Api::namespaced_with(namespace.client.clone(), &namespace.name, &ApiResource::erase::<ModelDeployment>(&()));
        assert_eq!(api_server(&api, &[object("mnist", &json!({ "models": models }))]).await, [Faults::new()]);
    })
    .await;
}
