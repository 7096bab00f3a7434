//! What the cluster may refuse, or have no room for.

use k8s_openapi::api::core::v1::{ResourceQuota, Service};
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::cluster;
use crate::deployed::{condition, is_current, mnist, model};
use crate::namespace::{Namespace, within};
use crate::record;
use crate::store;

#[tokio::test]
async fn no_node_has_room() {
    within("unschedulable", async |namespace| {
        let mut greedy = mnist(1);
        greedy["resources"]["requests"]["cpu"] = "1000".into();
        let deployed = namespace.deploy("mnist", greedy).await;
        deployed.until_not_ready("Unschedulable", &["Insufficient cpu", "resources.requests"]).await;
        deployed.until_event("Unschedulable", "Warning").await;
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn a_quota_is_used_up() {
    within("quota", async |namespace| {
        let pods = |most: u32| json!({ "spec": { "hard": { "pods": most.to_string() } } });
        namespace.put::<ResourceQuota>("small", pods(0)).await;
        // A quota counts once it has a status.
        namespace
            .until("the quota counts", crate::watch::all(), |all: &[&ResourceQuota]| {
                all.iter().any(|one| one.status.as_ref().is_some_and(|status| status.hard.is_some())).then_some(())
            })
            .await;
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        deployed.until_not_ready("QuotaExceeded", &["exceeded quota: small", "raise the quota"]).await;
        deployed.until_event("QuotaExceeded", "Warning").await;
        namespace.put::<ResourceQuota>("small", pods(5)).await;
        deployed.until_ready().await;
    })
    .await;
}

/// A policy about the pods of one namespace, as `kind` has it, and its binding. The namespace owns both, so they go with it.
fn policy(namespace: &Namespace, version: &str, kind: &str, spec: Value, binding: Value) {
    let owner = json!([{ "apiVersion": "v1", "kind": "Namespace", "name": namespace.name, "uid": namespace.uid }]);
    let metadata = json!({ "name": namespace.name, "ownerReferences": owner });
    let version = format!("admissionregistration.k8s.io/{version}");
    let items = json!([
        { "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec },
        { "apiVersion": version, "kind": format!("{kind}Binding"), "metadata": metadata, "spec": binding },
    ]);
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    cluster::run("kubectl", &["apply", "--server-side", "-f", "-"], &list.to_string());
}

/// Which pods of which namespace a policy is about.
fn matched(namespace: &Namespace) -> Value {
    json!({
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace.name } },
        "resourceRules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }],
    })
}

#[tokio::test]
async fn a_policy_refuses_the_pods() {
    within("admission", async |namespace| {
        let spec = json!({
            "failurePolicy": "Fail",
            "matchConstraints": matched(namespace),
            "validations": [{ "expression": "false", "message": "no pods on a Sunday" }],
        });
        let binding = json!({ "policyName": namespace.name, "validationActions": ["Deny"] });
        policy(namespace, "v1", "ValidatingAdmissionPolicy", spec, binding);
        namespace.until_pods_are("refused", |said| said.contains("no pods on a Sunday")).await;
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        deployed.until_not_ready("AdmissionDenied", &["no pods on a Sunday", &namespace.name]).await;
        deployed.until_event("AdmissionDenied", "Warning").await;
        cluster::run("kubectl", &["delete", "validatingadmissionpolicybinding", &namespace.name], "");
        deployed.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn an_image_that_cannot_be_had() {
    within("image", async |namespace| {
        if !cluster::shown(&["api-versions"]).lines().any(|version| version == "admissionregistration.k8s.io/v1") {
            return;
        }
        if !cluster::shown(&["api-resources", "--api-group=admissionregistration.k8s.io"]).contains("mutatingadmissionpolicies") {
            return record::skipped(
                "an_image_that_cannot_be_had",
                "the cluster has no MutatingAdmissionPolicy (Kubernetes 1.36)",
            );
        }
        // The operator has one image for all, so the wrong one comes in between.
        let patch = r#"[JSONPatch{op: "replace", path: "/spec/containers/0/image", value: "absent.invalid/server:1"}]"#;
        let spec = json!({
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConstraints": matched(namespace),
            "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": patch } }],
        });
        policy(namespace, "v1", "MutatingAdmissionPolicy", spec, json!({ "policyName": namespace.name }));
        namespace.until_pods_are("changed", |said| said.contains("absent.invalid/server:1")).await;
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        deployed.until_not_ready("ImagePullFailed", &["absent.invalid/server:1", "pod.imagePullSecrets"]).await;
        deployed.until_event("ImagePullFailed", "Warning").await;
        cluster::run("kubectl", &["delete", "mutatingadmissionpolicybinding", &namespace.name], "");
        namespace.until_pods_are("left alone", |said| !said.contains("absent.invalid/server:1")).await;
        namespace.kubectl(&["delete", "pods", "--all", "--wait=false"]);
        deployed.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_is_held_back() {
    within("held-back", async |namespace| {
        if !cluster::shown(&["api-resources", "--api-group=admissionregistration.k8s.io"]).contains("mutatingadmissionpolicies") {
            return record::skipped("a_pod_that_is_held_back", "the cluster has no MutatingAdmissionPolicy (Kubernetes 1.36)");
        }
        let patch = r#"[JSONPatch{op: "add", path: "/spec/schedulingGates", value: [{"name": "example.com/later"}]}]"#;
        let spec = json!({
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConstraints": matched(namespace),
            "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": patch } }],
        });
        policy(namespace, "v1", "MutatingAdmissionPolicy", spec, json!({ "policyName": namespace.name }));
        namespace.until_pods_are("held back", |said| said.contains("example.com/later")).await;
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        deployed.until_not_ready("Scheduling", &["is held back by a scheduling gate"]).await;
        cluster::run("kubectl", &["delete", "mutatingadmissionpolicybinding", &namespace.name], "");
        namespace.until_pods_are("left alone", |said| !said.contains("example.com/later")).await;
        namespace.kubectl(&["delete", "pods", "--all", "--wait=false"]);
        deployed.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn too_little_memory() {
    within("memory", async |namespace| {
        let mut tight = model(json!({ "uri": store::uri("big.onnx") }));
        tight["resources"] = json!({ "requests": { "cpu": "10m", "memory": "16Mi" }, "limits": { "memory": "32Mi" } });
        let deployed = namespace.deploy("mnist", tight).await;
        let failing = deployed.until_not_ready("OutOfMemory", &["resources.limits.memory"]).await;
        // The process that tries the model first meets its own bound or, with the whole container, the kernel's.
        let code = &failing["status"]["failure"]["exitCode"];
        assert!(code == 71 || code == 137, "{failing:#}");
        deployed.until_event("OutOfMemory", "Warning").await;
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_taken() {
    within("name-conflict", async |namespace| {
        let foreign = json!({ "spec": { "ports": [{ "port": 1234 }], "selector": { "app": "foreign" } } });
        let mut foreign: Service = serde_json::from_value(foreign).unwrap();
        foreign.metadata.name = Some("mnist".to_owned());
        let services = namespace.api::<Service>();
        let before = services.create(&PostParams::default(), &foreign).await.unwrap();
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        deployed.until_not_ready("NameConflict", &["Service mnist"]).await;
        deployed.until_event("NameConflict", "Warning").await;
        assert_eq!(services.get("mnist").await.unwrap(), before, "what is somebody else's is not touched");
        services.delete("mnist", &DeleteParams::default()).await.unwrap();
        deployed.until_ready().await;
        let ours = services.get("mnist").await.unwrap();
        assert_ne!(ours.uid(), before.uid());
    })
    .await;
}

#[tokio::test]
async fn a_spec_that_the_schema_refuses_never_arrives() {
    within("schema", async |namespace| {
        let wrong = json!({
            "apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": { "name": "mnist" }, "spec": { "model": { "uri": "ftp://somewhere/model.onnx" } },
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), wrong.to_string()).unwrap();
        let said = cluster::shown(&["-n", &namespace.name, "apply", "-f", file.path().to_str().unwrap()]);
        assert!(said.contains("must be file:PATH, http://HOST/PATH, https://HOST/PATH, s3://BUCKET/KEY"), "{said}");
        // What is refused is not half there.
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        let ready = deployed.until_ready().await;
        assert!(is_current(&ready) && condition(&ready, "Ready").status == "True");
    })
    .await;
}
