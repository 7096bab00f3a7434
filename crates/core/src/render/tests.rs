//! One snapshot per rendered object.

use serde_json::{Value, json};

use super::*;
use crate::pins::Pin;
use crate::plan::{Observed, RevisionObserved, plan};

fn resolved(spec: Value) -> Resolved {
    let mut object = json!({"apiVersion": API_VERSION, "kind": "ModelDeployment", "metadata": {"name": "mnist"}, "spec": spec});
    crate::schema::schemas()[0].complete(&mut object);
    crate::resolve::resolve(&serde_json::from_value(object).unwrap()).unwrap()
}

fn rendered(resolved: &Resolved, observed: &Observed) -> Objects {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let owner = Owner { namespace: "shop", uid: "6f1b", server_image: "modelyard-server:1" };
    render(resolved, &plan(resolved, observed, now), owner, &Pins::default())
}

fn spec() -> Value {
    json!({
        "model": {"uri": "http://models/mnist.onnx", "version": 3, "classes": ["0", "1"]},
        "replicas": 3,
        "serving": {"drainDelay": "2s"},
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}
    })
}

#[test]
fn each_object() {
    let Objects { configuration, pins, deployment, others, service, disruption_budget, network_policy } =
        rendered(&resolved(spec()), &Observed::default());
    assert_eq!((others, network_policy, configuration, pins), (vec![], None, None, None));
    insta::assert_yaml_snapshot!("deployment", deployment);
    insta::assert_yaml_snapshot!("service", service);
    insta::assert_yaml_snapshot!("disruption-budget", disruption_budget);
}

#[test]
fn every_option_reaches_its_object() {
    let mut spec = spec();
    for (field, value) in [
        ("rollout", json!({"progressDeadline": "90s"})),
        ("serverImage", json!("registry.example/own:2")),
        (
            "pod",
            json!({
                "labels": {"team": "vision"}, "annotations": {"note": "x"}, "nodeSelector": {"disk": "ssd"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}], "priorityClassName": "high", "runtimeClassName": "gvisor",
                "serviceAccountName": "reader", "imagePullSecrets": [{"name": "pull"}],
                "env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}],
                "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
            }),
        ),
        (
            "service",
            json!({"type": "LoadBalancer", "labels": {"a": "b"}, "annotations": {"c": "d"}, "trafficDistribution": "PreferSameZone"}),
        ),
        ("availability", json!({"minAvailable": "50%"})),
        ("cache", json!({"persistentVolumeClaim": {"claimName": "models"}})),
        ("networkPolicy", json!({"from": [{"podSelector": {"matchLabels": {"app": "shop"}}}]})),
    ] {
        spec[field] = value;
    }
    spec["model"]["secretRef"] = json!({"name": "store"});
    let objects = rendered(&resolved(spec), &Observed::default());
    insta::assert_yaml_snapshot!("deployment-with-options", objects.deployment);
    insta::assert_yaml_snapshot!("service-with-options", objects.service);
    insta::assert_yaml_snapshot!("disruption-budget-with-options", objects.disruption_budget);
    insta::assert_yaml_snapshot!("network-policy", objects.network_policy);
}

#[test]
fn servers_of_several_models_follow_a_configmap() {
    let models =
        json!([{"name": "a", "uri": "http://models/a.onnx"}, {"name": "b", "uri": "s3://zoo/b", "secretRef": {"name": "zoo"}}]);
    let several = resolved(json!({ "models": models }));
    let Objects { configuration, pins, deployment, .. } = rendered(&several, &Observed::default());
    insta::assert_yaml_snapshot!("configuration", configuration);
    insta::assert_yaml_snapshot!("deployment-of-followers", deployment);
    assert_eq!(pins, None, "nothing is known yet");
    let mut known = Pins::default();
    let model = &several.config.models[0];
    let pin = Pin { of: model.named(), digest: "a".repeat(64), content: None, version: Some("ETag=\"1\"".to_owned()) };
    known.learn("", &several.config, [("a", &pin)]);
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let owner = Owner { namespace: "shop", uid: "6f1b", server_image: "modelyard-server:1" };
    let noted = render(&several, &plan(&several, &Observed::default(), now), owner, &known);
    assert_eq!(noted.deployment, deployment, "not a byte of it is another");
    insta::assert_yaml_snapshot!("pins", noted.pins);
    let more = json!([{"name": "c", "uri": "http://models/c.onnx"}, models[0], models[1]]);
    let other = rendered(&resolved(json!({ "models": more })), &Observed::default());
    assert_eq!(other.deployment, deployment, "not a byte of it is another");
    assert_ne!(other.configuration, configuration);
}

#[test]
fn a_model_whose_name_stays_needs_no_note() {
    let fixed = resolved(json!({"model": {"uri": format!("oci://r.example/m@sha256:{}", "a".repeat(64))}}));
    let pod = rendered(&fixed, &Observed::default()).deployment.spec.and_then(|spec| spec.template.spec).unwrap();
    assert_eq!(pod.volumes.unwrap().len(), 1);
    assert!(pod.containers[0].env.iter().flatten().all(|variable| variable.name != PINS_VARIABLE));
}

#[test]
fn claims_of_models_are_mounted_read_only() {
    let models = json!([{"name": "a", "uri": "pvc://zoo/a.onnx"}, {"name": "b", "uri": "pvc://ark/b"}]);
    let spec = json!({"models": models, "cache": {"persistentVolumeClaim": {"claimName": "ark"}}});
    let pod = rendered(&resolved(spec), &Observed::default()).deployment.spec.and_then(|spec| spec.template.spec).unwrap();
    insta::assert_yaml_snapshot!("volumes-of-claims", pod.volumes);
    insta::assert_yaml_snapshot!("mounts-of-claims", pod.containers[0].volume_mounts);
}

#[test]
fn one_replica_has_no_budget() {
    let one = resolved(json!({"model": {"uri": "http://models/m.onnx"}}));
    assert_eq!(rendered(&one, &Observed::default()).disruption_budget, None);
}

#[test]
fn the_newest_retired_revisions_are_kept() {
    let old = (0..6).map(|age| RevisionObserved {
        ready: u32::from(age == 0),
        running: u32::from(age == 0),
        wanted: u32::from(age == 0),
        served: true,
        ..RevisionObserved::new(format!("old{age}"), format!("2025-01-0{}T00:00:00Z", 9 - age).parse().unwrap())
    });
    let objects = rendered(&resolved(spec()), &Observed { revisions: old.collect() });
    let names: Vec<_> = objects.others.iter().map(|one| (one.name.as_str(), one.replicas > 0)).collect();
    assert_eq!(names, [("mnist-old0", true), ("mnist-old1", false), ("mnist-old2", false), ("mnist-old3", false)]);
}
