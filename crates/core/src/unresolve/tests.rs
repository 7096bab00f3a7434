//! What comes back is what was written, as far as a revision goes.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::plan::{Observed, plan};
use crate::release::as_it_runs;
use crate::render::{Objects, Owner, render};
use crate::resolve::{Resolved, resolve};

fn resolved(spec: Value) -> Resolved {
    let mut object =
        json!({"apiVersion": crate::api::API_VERSION, "kind": "ModelDeployment", "metadata": {"name": "mnist"}, "spec": spec});
    crate::schema::schemas()[0].complete(&mut object);
    assert_eq!(crate::schema::schemas()[0].violations(&object), [], "{object}");
    resolve(&serde_json::from_value(object).unwrap()).unwrap()
}

fn made(resolved: &Resolved) -> Objects {
    let plan = plan(resolved, &Observed::default(), Timestamp::UNIX_EPOCH);
    let image = resolved.server_image.as_deref().unwrap_or("the operator's");
    render(resolved, &plan, Owner { namespace: "n", uid: "u", server_image: image }, &crate::pins::Pins::default())
}

fn deployment(resolved: &Resolved) -> Deployment {
    made(resolved).deployment
}

/// A model, as people write them: some fields, not all.
fn artefact() -> impl Strategy<Value = Value> {
    let sum = proptest::option::of("[0-9a-fA-F]{64}");
    let classes = proptest::collection::vec("[a-z]{0,3}", 0..3);
    let number = proptest::option::of(proptest::num::f64::NORMAL);
    let address = ("(https|s3|pvc)", "[a-z]{1,5}");
    (address, 1..9_i64, sum, classes, any::<bool>(), number).prop_map(
        |((scheme, host), version, sum, classes, secret, number)| {
            let mut value = json!({"uri": format!("{scheme}://{host}/m.onnx"), "version": version, "classes": classes});
            number.into_iter().for_each(|number| {
                value["preprocess"] = json!([{"op": "Standardise", "columns": ["x"], "mean": [number], "scale": [2]}]);
            });
            sum.into_iter().for_each(|sum| value["sha256"] = json!(sum));
            if secret {
                value["format"] = json!("Onnx");
                value["secretRef"] = json!({"name": host});
            }
            value
        },
    )
}

fn serving() -> impl Strategy<Value = Value> {
    let (threads, batch) = (proptest::option::of(1..9), proptest::option::of(2..99));
    (1..100_000_u64, 1..9_999_999_999_u64, 1..1_000_000, threads, batch).prop_map(|(millis, bytes, queue, threads, batch)| {
        let mut serving = json!({
            "requestTimeout": format!("{}ms", millis + 5), "maxRequestBytes": bytes.to_string(),
            "queue": {"maxLength": queue}, "drainDelay": format!("{millis}us"),
        });
        threads.into_iter().for_each(|threads| serving["threads"] = json!(threads));
        batch.into_iter().for_each(|size| serving["batching"] = json!({"maxSize": size}));
        serving
    })
}

/// The rest of what shapes a pod.
fn surroundings() -> impl Strategy<Value = Value> {
    let pod = json!({"labels": {"team": "a"}, "annotations": {"note": "n"}, "nodeSelector": {"gpu": "no"},
        "tolerations": [{"key": "k", "operator": "Exists"}], "priorityClassName": "high", "serviceAccountName": "s",
        "imagePullSecrets": [{"name": "pull"}], "env": [{"name": "HTTPS_PROXY", "value": "http://proxy"}]});
    let spread = json!([{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]);
    let cache = prop_oneof![
        Just(json!({})),
        Just(json!({"emptyDir": {"sizeLimit": "1024Mi"}})),
        Just(json!({"persistentVolumeClaim": {"claimName": "c"}})),
    ];
    let amount = prop_oneof![Just("1"), Just("1000m"), Just("2.5"), Just("1500m"), Just("3")];
    let bytes = prop_oneof![Just("1Gi"), Just("1024Mi"), Just("1500M"), Just("2e9")];
    let limits = proptest::option::of((amount, bytes));
    let on_linux = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]}]}}});
    let alone = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "rack"}]}});
    let affinity = prop_oneof![Just(Value::Null), Just(on_linux), Just(alone)];
    (any::<[bool; 3]>(), cache, limits, affinity).prop_map(move |([image, options, spreads], cache, limits, affinity)| {
        let mut spec = json!({"cache": cache, "pod": if options { pod.clone() } else { json!({}) }});
        if image {
            spec["serverImage"] = json!("registry/server:2");
        }
        if spreads {
            spec["pod"]["topologySpreadConstraints"] = spread.clone();
        }
        if !affinity.is_null() {
            spec["pod"]["affinity"] = affinity;
        }
        limits.into_iter().for_each(|(cpu, memory)| spec["resources"] = json!({"limits": {"cpu": cpu, "memory": memory}}));
        spec
    })
}

fn specs() -> impl Strategy<Value = Value> {
    let models = proptest::collection::vec(artefact(), 1..4);
    let engines = (any::<bool>(), any::<[bool; 4]>());
    (models, any::<bool>(), serving(), surroundings(), engines).prop_map(|(models, single, serving, mut spec, (all, each))| {
        let engine = json!({"name": "OnnxRuntime", "isolation": "None", "selfCheck": "Disabled"});
        spec["serving"] = serving;
        if all {
            spec["engine"] = engine.clone();
        }
        if single {
            spec["model"] = models[0].clone();
        } else {
            let named = models.into_iter().enumerate().map(|(index, mut one)| {
                one["name"] = json!(format!("m{index}"));
                if each[index] {
                    one["engine"] = if all { json!({}) } else { engine.clone() };
                }
                one
            });
            spec["models"] = named.collect();
        }
        spec
    })
}

proptest! {
    #[test]
    fn what_comes_back_names_the_same_revision(spec in specs()) {
        let before = resolved(spec);
        let Objects { deployment, configuration, .. } = made(&before);
        prop_assert_eq!((follows(&deployment), configuration.is_some()), (before.follows(), before.follows()));
        let shape = unresolve("mnist", &deployment, configuration.as_ref()).unwrap();
        let after = resolved(serde_json::to_value(&shape).unwrap());
        prop_assert_eq!(&after.config, &before.config);
        prop_assert_eq!((&after.revision, after.version), (&before.revision, before.version));
        // And as a release made it whose servers did not follow.
        if let Some(own) = before.inline.as_ref().map(|inline| inline.revision.clone()) {
            let inline = as_it_runs(before, |name| (name == own).then_some(1));
            let shape = unresolve("mnist", &made(&inline).deployment, None).unwrap();
            let after = resolved(serde_json::to_value(&shape).unwrap());
            prop_assert_eq!(after.inline.map(|inline| inline.revision), Some(own));
        }
    }
}

#[test]
fn quantities_that_the_api_server_respells_name_the_same_revision() {
    let before = resolved(json!({"model": {"uri": "file:m"}, "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}));
    let mut stored = deployment(&before);
    let container = &mut stored.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0];
    let limits = container.resources.as_mut().unwrap().limits.as_mut().unwrap();
    *limits = [("cpu", "1"), ("memory", "1Gi")].map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned()))).into();
    let shape = unresolve("mnist", &stored, None).unwrap();
    assert_eq!(resolved(serde_json::to_value(shape).unwrap()).revision, before.revision);
}

#[test]
fn what_is_not_ours_says_what_is_missing() {
    let mut other = deployment(&resolved(json!({"model": {"uri": "file:m"}})));
    let container = &mut other.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0];
    container.env = None;
    assert!(unresolve("mnist", &other, None).unwrap_err().to_string().ends_with("it has no MODELYARD_CONFIG"));
    other.spec = None;
    assert!(unresolve("mnist", &other, None).unwrap_err().to_string().ends_with("it has no container server"));
}

#[test]
fn what_servers_follow_has_to_be_there() {
    let several = made(&resolved(json!({"models": [{"name": "a", "uri": "http://models/a"}]})));
    let error = unresolve("mnist", &several.deployment, None).unwrap_err().to_string();
    assert!(error.contains("ConfigMap of its name, which is not there"), "{error}");
}
