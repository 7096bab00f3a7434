//! What a spec becomes, and what is refused.

use serde_json::{Value, json};

use super::*;
use crate::api::{Isolation, SelfCheck};
use crate::server_config::EngineConfig;

fn object(spec: Value) -> ModelDeployment {
    let mut value =
        json!({"apiVersion": crate::api::API_VERSION, "kind": "ModelDeployment", "metadata": {"name": "mnist"}, "spec": spec});
    crate::schema::schemas()[0].complete(&mut value);
    serde_json::from_value(value).unwrap()
}

fn resolved(spec: Value) -> Resolved {
    resolve(&object(spec)).unwrap()
}

#[test]
fn the_shortest_spec_is_complete() {
    let one = resolved(json!({"model": {"uri": "file:mnist.onnx"}}));
    assert_eq!((one.name.as_str(), one.replicas, one.version), ("mnist", 1, Some(1)));
    assert_eq!(one.config.models[0].name, "mnist");
    assert_eq!(one.config.serving, ServingConfig::default());
    let bound = resolved(json!({"model": {"uri": "file:mnist.onnx"}, "serving": {"memoryBudget": "1.5Gi"}}));
    assert_eq!(bound.config.serving.memory_budget, Some(3 << 29));
}

#[test]
fn a_models_own_engine_comes_before_the_objects() {
    let several = |all: Value| {
        let models = json!([{"name": "a", "uri": "file:a"}, {"name": "b", "uri": "file:b", "engine": {"name": "Tract"}}]);
        resolved(json!({"models": models, "engine": all}))
    };
    let both = several(json!({"name": "OnnxRuntime", "isolation": "None", "selfCheck": "Disabled"}));
    let engines: Vec<EngineConfig> = both.config.models.iter().map(|model| model.engine).collect();
    assert_eq!(
        engines[0],
        EngineConfig { name: EngineName::OnnxRuntime, isolation: Isolation::None, self_check: SelfCheck::Disabled }
    );
    assert_eq!(engines[1], EngineConfig { name: EngineName::Tract, ..EngineConfig::default() });
    assert!(both.needs_onnx_runtime() && !several(json!({})).needs_onnx_runtime());
}

#[test]
fn threads_follow_the_cpu_limit() {
    for (spec, threads) in [
        (json!({}), None),
        (json!({"serving": {"threads": 3}}), Some(3)),
        (json!({"resources": {"limits": {"cpu": "1500m"}}}), Some(2)),
        (json!({"resources": {"limits": {"cpu": 2}}, "serving": {"threads": 8}}), Some(2)),
        (json!({"resources": {"limits": {"cpu": "100m"}}, "serving": {"threads": 1}}), Some(1)),
    ] {
        let mut spec = spec;
        spec["model"] = json!({"uri": "file:m.onnx"});
        assert_eq!(resolved(spec.clone()).config.serving.threads, threads, "{spec}");
    }
}

#[test]
fn the_name_of_a_revision_never_changes_by_accident() {
    let base = json!({"model": {"uri": "file:mnist.onnx"}});
    assert_eq!(resolved(base.clone()).revision, "72b2fc6772");
    let full = json!({
        "model": {"uri": "http://models/m.onnx", "sha256": "0".repeat(64), "version": 3, "classes": ["a", "b"], "secretRef": {"name": "s"}},
        "serving": {"drainDelay": "2s", "batching": {"maxSize": 8}}, "resources": {"limits": {"cpu": "2"}}, "serverImage": "own:2",
        "pod": {"labels": {"team": "vision"}, "nodeSelector": {"disk": "ssd"}}, "cache": {"emptyDir": {"sizeLimit": "1Gi"}},
    });
    let mut named_full = object(full);
    named_full.metadata.name = Some("full".to_owned());
    assert_eq!(resolve(&named_full).unwrap().revision, "549fb11cd7");
    let with = |path: &str, value: Value| {
        let mut spec = base.clone();
        *spec.pointer_mut(path).unwrap() = value;
        spec
    };
    let mut more = base.clone();
    more["replicas"] = json!(5);
    assert_eq!(resolved(more).revision, resolved(base.clone()).revision);
    let respelled = json!({"model": {"uri": "file:mnist.onnx"}, "resources": {"requests": {"cpu": "0.1", "memory": "0.125Gi"}}});
    assert_eq!(resolved(respelled).revision, "72b2fc6772");
    for changed in [
        with("/model", json!({"uri": "file:other.onnx"})),
        with("/model", json!({"uri": "file:mnist.onnx", "version": 2})),
        with("/model", json!({"uri": "file:mnist.onnx", "format": "Onnx"})),
        with("", json!({"model": {"uri": "file:mnist.onnx"}, "engine": {"selfCheck": "Disabled"}})),
        with("", json!({"model": {"uri": "file:mnist.onnx"}, "serving": {"drainDelay": "6s"}})),
        with("", json!({"model": {"uri": "file:mnist.onnx"}, "resources": {"requests": {"memory": "1Gi"}}})),
    ] {
        assert_ne!(resolved(changed.clone()).revision, resolved(base.clone()).revision, "{changed}");
    }
}

#[test]
fn a_store_gets_the_keys_that_it_reads_and_a_revision_is_of_the_secret_alone() {
    let of = |secret: &str| resolved(json!({"model": {"uri": "s3://b/m", "secretRef": {"name": secret}}}));
    let one = of("keys");
    let found: Vec<_> = one.secrets.iter().map(|one| (one.variable.as_str(), one.key, one.optional)).collect();
    assert_eq!(found[0], ("MODELYARD_STORE_0_AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID", false));
    assert!(found.contains(&("MODELYARD_STORE_0_AWS_REGION", "AWS_REGION", true)), "{found:?}");
    let config = &one.config.models[0];
    assert_eq!((config.credentials_env.as_deref(), &config.authorization_env), (Some("MODELYARD_STORE_0_"), &None));
    assert_eq!(one.revision, "d0c1c8280b");
    assert_ne!(one.revision, of("others").revision);
}

#[test]
fn a_list_of_models_makes_a_revision_only_where_it_asks_for_another_pod() {
    let model = |name: &str, uri: &str, secret: Option<&str>| {
        let mut model = json!({"name": name, "uri": uri});
        secret.into_iter().for_each(|secret| model["secretRef"] = json!({"name": secret}));
        model
    };
    let (a, b) = (model("a", "s3://zoo/a", Some("keys")), model("b", "http://models/b", None));
    let of = |models: &[&Value], more: &Value| {
        let mut spec = json!({ "models": models });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        resolved(spec)
    };
    let base = of(&[&a, &b], &json!({}));
    assert!(base.follows() && !resolved(json!({"model": {"uri": "file:m"}})).follows());
    assert_eq!(base.revision, "209032e372");
    let onnx_runtime = {
        let mut one = b.clone();
        one["engine"] = json!({"name": "OnnxRuntime"});
        one
    };
    let (changed, checked) = (model("b", "http://models/b2", None), json!({"engine": {"selfCheck": "Disabled"}}));
    let (before, other) = (model("0", "s3://zoo/0", Some("keys")), model("c", "hf://o/r", Some("keys")));
    for (what, same, now) in [
        ("one more", true, of(&[&a, &b, &model("c", "http://models/c", None)], &json!({}))),
        ("one less", true, of(&[&a], &json!({}))),
        ("another", true, of(&[&a, &changed], &json!({}))),
        ("another order", true, of(&[&b, &a], &json!({}))),
        ("one more of the same Secret, before it", true, of(&[&before, &a, &b], &json!({}))),
        ("an engine without another image", true, of(&[&a, &b], &checked)),
        ("another image by itself", true, of(&[&a, &b], &json!({"replicas": 4}))),
        ("the Secret for another store", false, of(&[&a, &b, &other], &json!({}))),
        ("another Secret", false, of(&[&a, &model("b", "http://models/b", Some("more"))], &json!({}))),
        ("no Secret", false, of(&[&b], &json!({}))),
        ("a claim", false, of(&[&a, &b, &model("c", "pvc://ark/c", None)], &json!({}))),
        ("ONNX Runtime", false, of(&[&a, &onnx_runtime], &json!({}))),
        ("a budget", false, of(&[&a, &b], &json!({"serving": {"memoryBudget": "1Gi"}}))),
        ("an image", false, of(&[&a, &b], &json!({"serverImage": "own:2"}))),
    ] {
        assert_eq!(now.revision == base.revision, same, "{what}");
        assert!(!same || now.secrets == base.secrets || now.secrets.is_empty(), "{what}: {:?}", now.secrets);
    }
    let own = json!({"serverImage": "own:2"});
    let with = of(&[&a, &onnx_runtime], &own);
    assert_eq!(with.revision, of(&[&a, &b], &own).revision, "an image that the spec names is the same for all engines");
}

#[test]
fn models_of_one_secret_share_its_variables() {
    let models = json!([
        {"name": "a", "uri": "s3://zoo/a", "secretRef": {"name": "zoo"}}, {"name": "b", "uri": "s3://zoo/b", "secretRef": {"name": "zoo"}},
        {"name": "c", "uri": "https://ark/c", "secretRef": {"name": "ark"}},
    ]);
    let several = resolved(json!({ "models": models }));
    let env = |config: &ServerConfig| -> Vec<String> {
        let own = |model: &ModelConfig| model.credentials_env.clone().or(model.authorization_env.clone()).unwrap();
        config.models.iter().map(own).collect()
    };
    assert_eq!(env(&several.config), ["MODELYARD_STORE_1_", "MODELYARD_STORE_1_", "MODELYARD_AUTHORIZATION_0"]);
    let names: Vec<_> = several.secrets.iter().map(|one| one.variable.as_str()).collect();
    assert_eq!(names.len(), 7, "{names:?}");
    assert_eq!((names[0], names[1]), ("MODELYARD_AUTHORIZATION_0", "MODELYARD_STORE_1_AWS_ACCESS_KEY_ID"));
    let inline = several.inline.unwrap();
    assert_eq!(env(&inline.config), ["MODELYARD_STORE_0_", "MODELYARD_STORE_1_", "MODELYARD_AUTHORIZATION_2"]);
    assert_eq!(inline.secrets.len(), 13);
}

/// As the release before this one named it, by the snapshot of examples/kubernetes/several.yaml.
#[test]
fn the_name_that_earlier_releases_gave_to_several_models_stays_known() {
    let models: Vec<Value> = [("fraud", 7), ("churn", 12), ("ranking", 3)]
        .map(|(name, at)| json!({"name": name, "uri": format!("s3://models/{name}/{at}")}))
        .into();
    let resources = json!({"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}});
    let several = resolved(json!({"models": models, "replicas": 2, "serving": {"memoryBudget": "3Gi"}, "resources": resources}));
    assert_eq!(several.inline.unwrap().revision, "2e976cfde4");
}

#[test]
fn a_claim_is_a_file_of_the_server_and_shapes_the_revision() {
    let models = json!([{"name": "a", "uri": "pvc://zoo/a.onnx"}, {"name": "b", "uri": "pvc://ark/b"}, {"name": "c", "uri": "pvc://zoo/c"}]);
    let several = resolved(json!({"models": models}));
    assert_eq!(several.claims, ["ark", "zoo"]);
    assert_eq!(several.config.models[1].uri, "file:/mnt/claims/ark/b");
    let one = resolved(json!({"model": {"uri": "pvc://ark/b"}}));
    let image = resolved(json!({"model": {"uri": "file:/mnt/claims/ark/b"}}));
    assert_eq!(one.config, image.config);
    assert_ne!(one.revision, image.revision, "one has a volume that the other has not");
}

#[test]
fn what_rules_did_not_stop_is_named() {
    let two = json!({"model": {"uri": "file:a"}, "models": [{"name": "b", "uri": "file:b"}]});
    for (spec, field) in [
        (json!({}), "spec"),
        (two, "spec"),
        (json!({"model": {"uri": "ftp://b/m"}}), "spec.model.uri"),
        (json!({"model": {"uri": "pvc://claim"}}), "spec.model.uri"),
        (json!({"model": {"uri": "oci://r.example/Team/m:1"}}), "spec.model.uri"),
        (json!({"models": [{"name": "a", "uri": "oci://r.example/m:.1"}]}), "spec.models[0].uri"),
        (json!({"models": [{"name": "a", "uri": "pvc://claim/../m"}]}), "spec.models[0].uri"),
        (json!({"models": [{"name": "a", "uri": "file:a"}, {"name": "a", "uri": "file:b"}]}), "spec.models[1].name"),
        (json!({"model": {"uri": "file:a"}, "replicas": -1}), "spec.replicas"),
        (
            json!({"model": {"uri": "file:a", "preprocess": [{"op": "Drop", "columns": ["a"], "k": 1}]}}),
            "spec.model.preprocess[0].k",
        ),
        (
            json!({"models": [{"name": "a", "uri": "file:a", "postprocess": [{"op": "Cast", "columns": ["a"]}]}]}),
            "spec.models[0].postprocess[0].datatype",
        ),
        (json!({"model": {"uri": "file:a"}, "serving": {"maxRequestBytes": "much"}}), "spec.serving.maxRequestBytes"),
        (json!({"model": {"uri": "file:a"}, "serving": {"memoryBudget": "much"}}), "spec.serving.memoryBudget"),
        (
            json!({"model": {"uri": "file:a"}, "serving": {"memoryBudget": "1Gi"}, "resources": {"limits": {"memory": "1024Mi"}}}),
            "spec.serving.memoryBudget",
        ),
        (json!({"model": {"uri": "file:a"}, "resources": {"limits": {"cpu": "x"}}}), "spec.resources.limits.cpu"),
        (json!({"model": {"uri": "file:a"}, "resources": {"limits": {"cpu": "50m"}}}), "spec.resources.requests.cpu"),
    ] {
        assert_eq!(resolve(&object(spec.clone())).unwrap_err().field, field, "{spec}");
    }
}
