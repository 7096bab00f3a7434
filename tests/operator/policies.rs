//! The examples of policies for platform teams: what each refuses, what it lets pass, and that it is for the namespaces that are labelled alone.

use std::time::{Duration, Instant};

use modelyard_core::api::API_VERSION;
use serde_json::{Value, json};

use crate::cluster::{self, repository};
use crate::namespace::{self, Namespace, PATIENCE, within};

const LABEL: &str = "modelyard.dev/policies";
/// The namespaces where nobody names an image.
const IMAGE_LABEL: &str = "modelyard.dev/server-image";

const POLICIES: [&str; 5] = [
    "modelyard-allowed-stores",
    "modelyard-allowed-registries",
    "modelyard-size-limits",
    "modelyard-require-sha256",
    "modelyard-no-server-image",
];

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

fn sha256() -> String {
    "0".repeat(64)
}

/// A model with the sum that it has to have.
fn model(uri: &str) -> Value {
    json!({ "uri": uri, "sha256": sha256() })
}

/// A spec that all policies let pass, with other fields in place of its own.
fn spec(other: &Value) -> Value {
    let mut spec = json!({
        "model": { "uri": "https://models.example.com/mnist.onnx", "sha256": sha256() },
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

/// Waits until the API server refuses this with these words: each policy holds a little after it was written.
async fn until_refused(namespace: &Namespace, other: &Value, words: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match offered(namespace, &spec(other)) {
            Err(said) if said.contains(words) => return,
            said => assert!(Instant::now() < deadline, "{other} is not refused with {words:?}: {said:?}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_platform_team_sets_bounds() {
    let refused = [
        (json!({ "model": model("http://elsewhere/m.onnx") }), "models come from https://models.example.com/ or"),
        (json!({ "model": model("https://models.example.com.evil.org/m.onnx") }), "not from https://models.example.com.evil.org"),
        (
            json!({ "model": null, "models": [
                { "name": "a", "uri": "https://models.example.com/a.onnx", "sha256": sha256() },
                { "name": "b", "uri": "http://elsewhere/b.onnx", "sha256": sha256() },
            ] }),
            "not from http://elsewhere/b.onnx",
        ),
        (
            json!({ "serverImage": "docker.io/somebody/server:1" }),
            "serverImage comes from registry.example.com/ or ghcr.io/example/",
        ),
        (json!({ "model": { "uri": "https://models.example.com/m.onnx" } }), "write sha256, which is missing in spec.model"),
        (
            json!({ "model": null, "models": [
                { "name": "a", "uri": "https://models.example.com/a.onnx", "sha256": sha256() },
                { "name": "b", "uri": "https://models.example.com/b.onnx" },
            ] }),
            "write sha256, which is missing in model b",
        ),
        (json!({ "replicas": 11 }), "at most 10 replicas, not 11"),
        (json!({ "resources": {} }), "write resources.limits.memory, at most 8Gi"),
        (json!({ "resources": { "limits": { "memory": "9Gi" } } }), "write resources.limits.memory, at most 8Gi"),
        (json!({ "resources": { "limits": { "memory": "1Gi", "cpu": 5 } } }), "resources.limits.cpu is at most 4"),
    ];
    let registry = json!({ "serverImage": "registry.example.com/modelyard-server:1" });
    let admitted = [
        json!({}),
        json!({ "model": null, "models": [{ "name": "a", "uri": "http://models.ml-platform.svc/a.onnx", "sha256": sha256() }] }),
        registry.clone(),
        json!({ "resources": { "limits": { "memory": "8Gi", "cpu": "4000m" } } }),
    ];
    // The kind is there before the policies, else their types are not checked.
    cluster::connect().await;
    let _policies = Policies::apply();
    namespace::labelled("policies", &json!({ (LABEL): "enforced" }), async |bounded| {
        for (other, words) in &refused {
            until_refused(bounded, other, words).await;
        }
        for other in &admitted {
            offered(bounded, &spec(other)).unwrap_or_else(|said| panic!("{other}: {said}"));
        }
        bounded.deploy("mnist", spec(&json!({}))).await.until_ready().await;
        let scaled = ["-n", &bounded.name, "scale", "mdep", "mnist", "--replicas=11"];
        let said = cluster::attempt("kubectl", &scaled, "").unwrap_err();
        assert!(said.contains("at most 10 replicas, not 11"), "{said}");
    })
    .await;
    namespace::labelled("policies-own-image", &json!({ (IMAGE_LABEL): "operators-own" }), async |own| {
        until_refused(own, &registry, "leave serverImage out, the operator's own image serves here").await;
        // The other policies are not for here.
        let large = json!({ "replicas": 11 });
        offered(own, &spec(&large)).unwrap_or_else(|said| panic!("{large}: {said}"));
    })
    .await;
    within("policies-not-here", async |free| {
        for (other, _) in &refused {
            offered(free, &spec(other)).unwrap_or_else(|said| panic!("{other}: {said}"));
        }
    })
    .await;
    for policy in POLICIES {
        let typed = ["get", "validatingadmissionpolicy", policy, "-o", "jsonpath={.status.typeChecking.expressionWarnings}"];
        assert_eq!(cluster::run("kubectl", &typed, ""), "", "{policy}: the API server doubts its types");
    }
}
