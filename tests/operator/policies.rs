//! The examples of policies for platform teams: what each refuses, what it lets pass, and that it is for the namespaces that are labelled alone.

use std::time::{Duration, Instant};

use modelyard_core::api::API_VERSION;
use serde_json::{Value, json};

use crate::cluster::{self, repository};
use crate::namespace::{self, Namespace, PATIENCE, within};

const LABEL: &str = "modelyard.dev/policies";

/// The policies, as long as this lives.
struct Policies(String);

impl Policies {
    fn apply() -> Self {
        let folder = repository("examples/kubernetes/policies").to_str().unwrap().to_owned();
        cluster::run("kubectl", &["apply", "--server-side", "-f", &folder], "");
        Self(folder)
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        cluster::run("kubectl", &["delete", "--ignore-not-found", "--wait=false", "-f", &self.0], "");
    }
}

/// A spec that all policies let pass, with other fields in place of its own.
fn spec(other: &Value) -> Value {
    let mut spec = json!({
        "model": { "uri": "https://models.example.com/mnist.onnx" },
        "replicas": 0,
        "resources": { "limits": { "memory": "1Gi" } },
    });
    spec.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    spec
}

/// What the API server says to an object of this spec; nothing is stored.
fn offered(namespace: &Namespace, spec: &Value) -> Result<String, String> {
    let object = json!({ "apiVersion": API_VERSION, "kind": "ModelDeployment", "metadata": { "name": "offered" }, "spec": spec });
    cluster::attempt("kubectl", &["-n", &namespace.name, "create", "--dry-run=server", "-f", "-"], &object.to_string())
}

#[tokio::test]
async fn a_platform_team_sets_bounds() {
    let refused = [
        (json!({ "model": { "uri": "http://elsewhere/m.onnx" } }), "models come from https://models.example.com/ or"),
        (
            json!({ "model": { "uri": "https://models.example.com.evil.org/m.onnx" } }),
            "not from https://models.example.com.evil.org",
        ),
        (
            json!({ "model": null, "models": [
                { "name": "a", "uri": "https://models.example.com/a.onnx" }, { "name": "b", "uri": "http://elsewhere/b.onnx" },
            ] }),
            "not from http://elsewhere/b.onnx",
        ),
        (
            json!({ "serverImage": "docker.io/somebody/server:1" }),
            "serverImage comes from registry.example.com/ or ghcr.io/example/",
        ),
        (json!({ "replicas": 11 }), "at most 10 replicas, not 11"),
        (json!({ "resources": {} }), "write resources.limits.memory, at most 8Gi"),
        (json!({ "resources": { "limits": { "memory": "9Gi" } } }), "write resources.limits.memory, at most 8Gi"),
        (json!({ "resources": { "limits": { "memory": "1Gi", "cpu": 5 } } }), "resources.limits.cpu is at most 4"),
    ];
    let admitted = [
        json!({}),
        json!({ "model": null, "models": [{ "name": "a", "uri": "http://models.ml-platform.svc/a.onnx" }] }),
        json!({ "serverImage": "registry.example.com/modelyard-server:1" }),
        json!({ "resources": { "limits": { "memory": "8Gi", "cpu": "4000m" } } }),
    ];
    let labels = json!({ (LABEL): "enforced" });
    namespace::labelled("policies", &labels, async |bounded| {
        let _policies = Policies::apply();
        // Each policy holds a little after it was written.
        let deadline = Instant::now() + PATIENCE;
        for (other, words) in &refused {
            loop {
                match offered(bounded, &spec(other)) {
                    Err(said) if said.contains(words) => break,
                    said => assert!(Instant::now() < deadline, "{other} is not refused with {words:?}: {said:?}"),
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        for other in &admitted {
            offered(bounded, &spec(other)).unwrap_or_else(|said| panic!("{other}: {said}"));
        }
        bounded.deploy("mnist", spec(&json!({}))).await.until_ready().await;
        let scaled = ["-n", &bounded.name, "scale", "mdep", "mnist", "--replicas=11"];
        let said = cluster::attempt("kubectl", &scaled, "").unwrap_err();
        assert!(said.contains("at most 10 replicas, not 11"), "{said}");
        for policy in ["modelyard-allowed-stores", "modelyard-allowed-registries", "modelyard-size-limits"] {
            let typed = ["get", "validatingadmissionpolicy", policy, "-o", "jsonpath={.status.typeChecking.expressionWarnings}"];
            assert_eq!(cluster::run("kubectl", &typed, ""), "", "{policy}: the API server doubts its types");
        }
        within("policies-not-here", async |free| {
            for (other, _) in &refused {
                offered(free, &spec(other)).unwrap_or_else(|said| panic!("{other}: {said}"));
            }
        })
        .await;
    })
    .await;
}
