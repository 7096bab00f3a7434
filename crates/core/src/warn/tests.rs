use serde_json::json;

use super::*;

/// Fields of a spec that are written otherwise, and the fields that are then warned about.
type Row = (Vec<(&'static str, Value)>, &'static [&'static str]);

/// The fields that are warned about, of a spec that is otherwise without risk.
fn fields(change: &[(&str, Value)]) -> Vec<String> {
    let mut written = json!({
        "apiVersion": crate::api::API_VERSION, "kind": "ModelDeployment", "metadata": {"name": "m"},
        "spec": {
            "model": {"uri": "https://models/m.onnx"},
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            "cache": {"emptyDir": {"sizeLimit": "1Gi"}},
            "replicas": 2,
        },
    });
    for (field, value) in change {
        written["spec"][*field] = value.clone();
    }
    let mut complete = written.clone();
    crate::schema::schemas()[0].complete(&mut complete);
    let object = serde_json::from_value(complete).unwrap();
    warnings(&object, &written).into_iter().map(|one| one.field).collect()
}

#[test]
fn each_risk_is_named_by_its_field_and_nothing_else_is() {
    let with = |field: &'static str, value: Value| vec![(field, value)];
    let uri = |uri: &str| with("model", json!({"uri": uri}));
    let several = |uris: &[&str]| {
        let models = uris.iter().enumerate().map(|(at, uri)| json!({"name": format!("m{at}"), "uri": uri}));
        vec![("model", Value::Null), ("models", models.collect())]
    };
    let table: Vec<Row> = vec![
        (vec![], &[]),
        (uri("http://models/m.onnx"), &["spec.model.sha256"]),
        (with("model", json!({"uri": "http://m/m.onnx", "sha256": "0".repeat(64)})), &[]),
        (
            with("model", json!({"uri": "http://m/m.onnx", "sha256": "0".repeat(64), "secretRef": {"name": "s"}})),
            &["spec.model.secretRef"],
        ),
        (uri("https://me:pass@models/m.onnx"), &["spec.model.uri"]),
        (uri("https://models/me@home/m.onnx"), &[]),
        (uri("https://b.s3.amazonaws.com/m.onnx?X-Amz-Date=1&X-Amz-Signature=ab"), &["spec.model.uri"]),
        (uri("https://models/m.onnx?designsig=1"), &[]),
        (with("resources", json!({})), &["spec.resources.requests", "spec.resources.limits.memory"]),
        (with("resources", json!({"requests": {"cpu": 1}})), &["spec.resources.limits.memory"]),
        (with("cache", json!({})), &["spec.cache.emptyDir.sizeLimit"]),
        (with("cache", json!({"persistentVolumeClaim": {"claimName": "c"}})), &[]),
        (with("serverImage", json!("registry:5000/server")), &["spec.serverImage"]),
        (with("serverImage", json!("server:latest")), &["spec.serverImage"]),
        (with("serverImage", json!("registry:5000/server:1.2")), &[]),
        (with("serverImage", json!("server:latest@sha256:ab")), &[]),
        (with("availability", json!({"minAvailable": 1})), &[]),
        (with("availability", json!({"minAvailable": 2})), &["spec.availability.minAvailable"]),
        (with("availability", json!({"minAvailable": "51%"})), &["spec.availability.minAvailable"]),
        (with("availability", json!({"minAvailable": "50%"})), &[]),
        (vec![("replicas", json!(1)), ("availability", json!({"minAvailable": "1%"}))], &["spec.availability.minAvailable"]),
        (vec![("replicas", json!(0)), ("availability", json!({"minAvailable": 1}))], &[]),
        (vec![("replicas", json!(1)), ("rollout", json!({"capacity": "Replace"}))], &["spec.rollout.capacity"]),
        (with("rollout", json!({"revisionHistoryLimit": 0})), &["spec.rollout.revisionHistoryLimit"]),
        (with("serving", json!({"drainDelay": "0s"})), &["spec.serving.drainDelay"]),
        (with("service", json!({"type": "LoadBalancer"})), &["spec.service.type"]),
        (vec![("service", json!({"type": "NodePort"})), ("networkPolicy", json!({"from": [{"podSelector": {}}]}))], &[]),
        (with("networkPolicy", json!({"from": []})), &["spec.networkPolicy.from"]),
        (with("pod", json!({"env": [{"name": "A"}, {"name": "HF_TOKEN", "value": "x"}]})), &["spec.pod.env[1].value"]),
        (with("pod", json!({"env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]})), &[]),
        (several(&["https://models/a.onnx", "file:b.onnx"]), &["spec.models[1].uri"]),
        (several(&["https://models/a.onnx", "https://models/b.onnx"]), &[]),
        ([several(&["https://models/a.onnx", "file:/b.onnx"]), with("serverImage", json!("mine:1"))].concat(), &[]),
        // What is for this machine only has no risk of a cluster.
        (several(&["file:a.onnx", "file:b.onnx"]), &[]),
        (vec![("model", json!({"uri": "file:m.onnx"})), ("resources", json!({}))], &[]),
        (vec![("model", json!({"uri": "file:/m.onnx"})), ("serverImage", json!("mine"))], &["spec.serverImage"]),
    ];
    for (change, expected) in table {
        assert_eq!(fields(&change), expected, "{change:?}");
    }
}
