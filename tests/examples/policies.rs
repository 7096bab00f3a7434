//! What the policies for platform teams say of a ModelDeployment, asked offline; tests/operator/policies.rs asks an API server.

use kube::core::cel::{VapEvaluator, VapExpression};
use modelyard::manifest;
use modelyard_core::api::API_VERSION;
use modelyard_core::schema::schemas;
use serde_json::{Value, json};

use super::session::repository;

/// The first document of a policy's file.
fn policy(name: &str) -> Value {
    let file = repository("examples/kubernetes/policies").join(name).with_extension("yaml");
    let (documents, faults) = manifest::documents(&[file]);
    assert_eq!(faults, [], "{name}");
    let [policy, binding] = documents.as_slice() else { panic!("{name}: expected a policy and its binding") };
    assert_eq!(policy.value["kind"], "ValidatingAdmissionPolicy", "{name}");
    assert_eq!(binding.value["kind"], "ValidatingAdmissionPolicyBinding", "{name}");
    assert_eq!(binding.value["spec"]["policyName"], policy.value["metadata"]["name"], "{name}");
    policy.value.clone()
}

/// What a policy says to a spec, with the defaults of the schema; none when it lets it pass.
fn said(policy: &Value, spec: &Value) -> Option<String> {
    let mut object =
        json!({ "apiVersion": API_VERSION, "kind": "ModelDeployment", "metadata": { "name": "offered" }, "spec": spec });
    schemas()[0].complete(&mut object);
    // The evaluator knows no variables: each stands in its place, those that it names in their turn.
    let mut variables: Vec<(String, String)> = Vec::new();
    let written = |variables: &[(String, String)], expression: &Value| {
        let text = expression.as_str()?.to_owned();
        let inlined =
            |text: String, (name, value): &(String, String)| text.replace(&format!("variables.{name}"), &format!("({value})"));
        Some(variables.iter().fold(text, inlined))
    };
    for variable in policy["spec"]["variables"].as_array().into_iter().flatten() {
        let value = written(&variables, &variable["expression"]).unwrap();
        variables.push((variable["name"].as_str().unwrap().to_owned(), value));
    }
    let rules = policy["spec"]["validations"].as_array().unwrap().iter().map(|rule| VapExpression {
        expression: written(&variables, &rule["expression"]).unwrap(),
        message: rule["message"].as_str().map(str::to_owned),
        message_expression: written(&variables, &rule["messageExpression"]),
    });
    let results = VapEvaluator::builder().object(object).build().evaluate(&rules.collect::<Vec<_>>());
    results.into_iter().find(|result| !result.passed).map(|result| result.message.unwrap_or_default())
}

#[test]
fn each_policy_refuses_what_it_is_for_and_nothing_else() {
    let sum = "0".repeat(64);
    let proved = json!({ "uri": "https://models.example.com/m.onnx", "sha256": sum });
    let named = |name: &str, uri: &str| json!({ "name": name, "uri": uri, "sha256": sum });
    let unproved = |name: &str| json!({ "name": name, "uri": "https://models.example.com/m.onnx" });
    let table = [
        ("require-sha256", json!({ "model": proved }), None),
        (
            "require-sha256",
            json!({ "model": { "uri": "https://m/m.onnx" } }),
            Some("write sha256, which is missing in spec.model"),
        ),
        ("require-sha256", json!({ "models": [named("a", "https://m/a.onnx"), named("b", "https://m/b.onnx")] }), None),
        (
            "require-sha256",
            json!({ "models": [unproved("a"), named("b", "https://m/b.onnx"), unproved("c")] }),
            Some("write sha256, which is missing in model a, model c"),
        ),
        ("no-server-image", json!({ "model": proved }), None),
        (
            "no-server-image",
            json!({ "model": proved, "serverImage": "registry.example.com/modelyard-server:1" }),
            Some("leave serverImage out, the operator's own image serves here"),
        ),
        ("allowed-stores", json!({ "model": proved }), None),
        (
            "allowed-stores",
            json!({ "models": [named("a", "https://models.example.com/a.onnx"), named("b", "http://elsewhere/b.onnx")] }),
            Some(
                "models come from https://models.example.com/ or http://models.ml-platform.svc/, \
                 not from http://elsewhere/b.onnx",
            ),
        ),
        ("allowed-registries", json!({ "model": proved, "serverImage": "ghcr.io/example/server:1" }), None),
        (
            "allowed-registries",
            json!({ "model": proved, "serverImage": "docker.io/somebody/server:1" }),
            Some("serverImage comes from registry.example.com/ or ghcr.io/example/, not docker.io/somebody/server:1"),
        ),
    ];
    for (name, spec, expected) in table {
        assert_eq!(said(&policy(name), &spec).as_deref(), expected, "{name}: {spec}");
    }
}
