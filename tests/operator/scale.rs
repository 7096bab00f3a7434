//! A HorizontalPodAutoscaler in charge: up under load, down without it, and nobody at odds with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject};
use kube::runtime::watcher::{Event, watcher};
use modelyard_core::render::DEPLOYMENT_LABEL;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::cluster;
use crate::deployed::{condition, is_current, mnist};
use crate::namespace::within;
use crate::prober::PRESSING;
use crate::record;
use crate::watch::{labelled, named};

/// What a replica asks for. A client that asks twenty times a second costs less than half of it, those that never wait several
/// times as much.
const REQUEST: &str = "100m";

/// Looks at every change of the pods until told to stop: whether replicas that served were taken away when fewer than wanted
/// were left. What it found.
async fn watch_the_promise(pods: Api<Pod>, object: Api<DynamicObject>, stop: Arc<Notify>) -> Vec<String> {
    let (mut serving, mut found) = (BTreeSet::new(), Vec::new());
    let mut events = watcher(pods, labelled(DEPLOYMENT_LABEL)).boxed();
    loop {
        let event = tokio::select! {
            () = stop.notified() => return found,
            event = events.next() => event,
        };
        let (pod, gone) = match event {
            Some(Ok(Event::Apply(pod) | Event::InitApply(pod))) => {
                let gone = pod.metadata.deletion_timestamp.is_some();
                (pod, gone)
            }
            Some(Ok(Event::Delete(pod))) => (pod, true),
            Some(Ok(Event::Init | Event::InitDone)) => continue,
            Some(Err(error)) => {
                println!("a watch broke: {error}");
                continue;
            }
            None => return found,
        };
        let name = pod.name_any();
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        if !gone && conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True") {
            serving.insert(name);
        } else if gone && serving.remove(&name) {
            let wanted = object.get("mnist").await.unwrap().data["spec"]["replicas"].as_u64().unwrap();
            if u64::try_from(serving.len()).unwrap() < wanted {
                found.push(format!("{name} goes, and {} of {wanted} are left", serving.len()));
            }
        }
    }
}

/// Who has set which fields, as the API server keeps account: `(manager, subresource, fields)`.
fn managers(object: &DynamicObject) -> Vec<(String, String, Value)> {
    let entries = object.metadata.managed_fields.iter().flatten();
    entries
        .map(|entry| {
            let fields = entry.fields_v1.as_ref().map_or(Value::Null, |fields| fields.0.clone());
            (entry.manager.clone().unwrap_or_default(), entry.subresource.clone().unwrap_or_default(), fields)
        })
        .collect()
}

#[tokio::test]
async fn an_autoscaler_is_in_charge_even_of_a_rollout() {
    let metrics = cluster::shown(&["get", "apiservice", "v1beta1.metrics.k8s.io", "--ignore-not-found"]);
    if !metrics.contains("v1beta1.metrics.k8s.io") {
        let why = "the cluster has no metrics-server";
        return record::skipped("an_autoscaler_is_in_charge_even_of_a_rollout", why);
    }
    within("autoscaled", async |namespace| {
        let spec = |version: u32| {
            let mut spec = mnist(version);
            spec["serving"]["drainDelay"] = "4s".into();
            spec["resources"]["requests"]["cpu"] = REQUEST.into();
            spec
        };
        let mnist = namespace.deploy("mnist", spec(1)).await;
        mnist.until_ready().await;
        let prober = namespace.probe("mnist").await;
        namespace.press("mnist").await;
        let autoscaler = json!({ "spec": {
            "scaleTargetRef": { "apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment", "name": "mnist" },
            "minReplicas": 1, "maxReplicas": 3,
            "metrics": [{ "type": "Resource", "resource": { "name": "cpu",
                "target": { "type": "Utilization", "averageUtilization": 50 } } }],
            "behavior": { "scaleDown": { "stabilizationWindowSeconds": 0 } },
        } });
        namespace.put::<HorizontalPodAutoscaler>("mnist", autoscaler).await;
        mnist.until("is scaled up", |object| object["spec"]["replicas"] == 3 && object["status"]["readyOfWanted"] == "3/3").await;

        // The load ends as the rollout begins, so that fewer and fewer are wanted while it goes on.
        let stop = Arc::new(Notify::new());
        let promise = tokio::spawn(watch_the_promise(namespace.api(), mnist.api(), Arc::clone(&stop)));
        mnist.apply(spec(2)).await;
        namespace.api::<Pod>().delete(PRESSING, &DeleteParams::default()).await.unwrap();
        let done = |object: &Value| {
            let stable = object["status"]["revisions"].as_array().into_iter().flatten().find(|one| one["role"] == "Stable");
            is_current(object)
                && condition(object, "Ready").status == "True"
                && object["spec"]["replicas"] == 1
                && stable.is_some_and(|one| one["version"] == 2 && one["weight"] == 100)
                && object["status"]["readyOfWanted"] == "1/1"
        };
        mnist.until("is scaled down, of the new version", done).await;
        stop.notify_one();
        assert_eq!(promise.await.unwrap(), Vec::<String>::new());
        let answers = prober.until_more(100).await; // past the end of the last replica that went
        assert_eq!(answers.failures(), Vec::<&String>::new());
        assert_eq!((answers.versions(), answers.last()), (vec!["1", "2"], Some("2")));

        namespace
            .until("the autoscaler is content", named("mnist"), |all: &[&HorizontalPodAutoscaler]| {
                let conditions = all.first()?.status.as_ref()?.conditions.as_ref()?;
                let holds = |kind: &str| conditions.iter().any(|one| one.type_ == kind && one.status == "True");
                (holds("AbleToScale") && holds("ScalingActive")).then_some(())
            })
            .await;
        for (manager, subresource, fields) in managers(&mnist.api().get("mnist").await.unwrap()) {
            let sets_replicas = fields["f:spec"].get("f:replicas").is_some();
            assert!(!sets_replicas || subresource == "scale", "{manager} sets spec.replicas: {fields}");
            assert!(manager != "modelyard" || (subresource == "status" && fields.get("f:spec").is_none()), "{fields}");
        }
    })
    .await;
}
