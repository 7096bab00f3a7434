//! When all is well the operator says nothing.

use std::fs;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use modelyard_core::api::ModelDeployment;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cluster::RELEASE;
use crate::deployed::mnist;
use crate::namespace::{Namespace, within};
use crate::record;
use crate::several;

/// How long nothing may happen.
const SILENCE: Duration = Duration::from_secs(20);

/// Kind, name and version of every object of a kind.
async fn versions<K>(namespace: &Namespace) -> Vec<String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let listed = namespace.api::<K>().list(&ListParams::default()).await.unwrap();
    listed.iter().map(|one| format!("{} {} {}", K::kind(&()), one.name_any(), one.resource_version().unwrap())).collect()
}

async fn state(namespace: &Namespace) -> Vec<String> {
    let mut all = versions::<ModelDeployment>(namespace).await;
    all.extend(versions::<Deployment>(namespace).await);
    all.extend(versions::<Pod>(namespace).await);
    all.extend(versions::<Service>(namespace).await);
    all.extend(versions::<ConfigMap>(namespace).await);
    all.extend(versions::<EndpointSlice>(namespace).await);
    all.extend(versions::<PodDisruptionBudget>(namespace).await);
    // The scheduler goes on telling of a pod that it finds no place for.
    let told = namespace.api::<Event>().list(&ListParams::default()).await.unwrap();
    let ours = told.items.into_iter().filter(|event| event.reporting_controller.as_deref() == Some("modelyard.dev/controller"));
    all.extend(ours.map(|event| format!("Event {} {}", event.name_any(), event.resource_version().unwrap())));
    all
}

/// What the operator asked of the API server, watches aside: in this namespace, or in all at once.
fn asked(audit: &str, namespace: &Namespace, operator: &str) -> Vec<String> {
    let calls = audit.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let concerns = |call: &Value| {
        let object = &call["objectRef"];
        let by_this_one = call["user"]["extra"]["authentication.kubernetes.io/pod-name"][0] == operator;
        object["namespace"] == namespace.name || (object["namespace"].is_null() && by_this_one)
    };
    calls
        .filter(concerns)
        .map(|call| format!("{} {}", call["verb"].as_str().unwrap(), call["requestURI"].as_str().unwrap()))
        .collect()
}

/// What was there when nothing changed any more: the echo of the last status, and what Kubernetes itself had left to write.
async fn settled(namespace: &Namespace) -> Vec<String> {
    let mut before = state(namespace).await;
    let rest = async {
        loop {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let now = state(namespace).await;
            if now == before {
                return now;
            }
            before = now;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rest).await.expect("it never comes to rest")
}

/// Lets time pass in which nothing may be written, nor anything be asked but what is `allowed`.
async fn stays_silent(test: &str, namespace: &Namespace, allowed: &str) {
    let before = settled(namespace).await;
    let audit = std::env::var_os("OPERATOR_TESTS_AUDIT");
    let read = || audit.as_ref().map_or_else(String::new, |path| fs::read_to_string(path).unwrap());
    let operators: Api<Pod> = Api::namespaced(namespace.client.clone(), RELEASE);
    let chosen = ListParams::default().labels("app.kubernetes.io/component=controller");
    let operator = operators.list(&chosen).await.unwrap().items.first().map(ResourceExt::name_any).unwrap_or_default();
    let length = read().len();
    tokio::time::sleep(SILENCE).await; // what is tested is this time itself
    assert_eq!(state(namespace).await, before);
    if audit.is_none() {
        return record::skipped(
            &format!("{test}, of what is only read"),
            "only the private node's API server tells what it was asked",
        );
    }
    let mut calls = asked(&read()[length..], namespace, &operator);
    calls.retain(|call| allowed.is_empty() || !call.starts_with(allowed));
    assert_eq!(calls, Vec::<String>::new());
}

#[tokio::test]
async fn a_steady_state_costs_no_call() {
    within("steady", async |namespace| {
        let mut spec = mnist(1);
        spec["replicas"] = 2.into();
        namespace.deploy("mnist", spec).await.until_ready().await;
        stays_silent("a_steady_state_costs_no_call", namespace, "").await;
    })
    .await;
}

#[tokio::test]
async fn several_models_in_a_steady_state_cost_no_call() {
    within("steady-several", async |namespace| {
        let (a, b) = (several::one("a", "model.onnx", 1), several::one("b", "model.onnx", 1));
        let deployed = namespace.deploy("zoo", several::several(std::slice::from_ref(&a), 2)).await;
        several::until_has(&deployed, &["a"]).await;
        deployed.apply(several::several(&[a.clone(), b], 2)).await;
        several::until_has(&deployed, &["a", "b"]).await;
        stays_silent("several_models_in_a_steady_state_cost_no_call", namespace, "").await;
        // Nor does one that fails for ever, though its server is asked about it now and then.
        deployed.apply(several::several(&[a, several::one("c", "absent.onnx", 1)], 2)).await;
        deployed.until_not_ready("ModelNotFound", &["model 'c'"]).await;
        stays_silent("several_models_of_which_one_fails", namespace, "").await;
    })
    .await;
}

#[tokio::test]
async fn a_failure_that_goes_on_is_told_once() {
    within("steady-failure", async |namespace| {
        namespace.put::<Service>("taken", json!({ "spec": { "ports": [{ "port": 1234 }] } })).await;
        let mut greedy = mnist(1);
        greedy["resources"]["requests"]["cpu"] = "1000".into();
        let (taken, greedy) = (namespace.deploy("taken", mnist(1)).await, namespace.deploy("greedy", greedy).await);
        taken.until_not_ready("NameConflict", &[]).await;
        greedy.until_not_ready("Unschedulable", &[]).await;
        // Whether the name is free by now is a question that nobody answers unasked.
        let asks = format!("get /api/v1/namespaces/{}/services/taken", namespace.name);
        stays_silent("a_failure_that_goes_on_is_told_once", namespace, &asks).await;
    })
    .await;
}
