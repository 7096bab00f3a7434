//! When all is well the operator says nothing.

use std::fs;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use modelyard_core::api::ModelDeployment;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cluster::RELEASE;
use crate::deployed::mnist;
use crate::namespace::{Namespace, within};
use crate::record;

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
    all.extend(versions::<EndpointSlice>(namespace).await);
    all.extend(versions::<PodDisruptionBudget>(namespace).await);
    all.extend(versions::<Event>(namespace).await);
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

#[tokio::test]
async fn a_steady_state_costs_no_call() {
    within("steady", async |namespace| {
        let mut spec = mnist(1);
        spec["replicas"] = 2.into();
        let deployed = namespace.deploy("mnist", spec).await;
        deployed.until_ready().await;
        // The echo of the last status, and what kubernetes itself has left to write.
        let mut before = state(namespace).await;
        let settled = async {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                let now = state(namespace).await;
                if now == before {
                    return;
                }
                before = now;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), settled).await.expect("it never comes to rest");

        let audit = std::env::var_os("OPERATOR_TESTS_AUDIT");
        let read = || audit.as_ref().map_or_else(String::new, |path| fs::read_to_string(path).unwrap());
        let operators: Api<Pod> = Api::namespaced(namespace.client.clone(), RELEASE);
        let chosen = ListParams::default().labels("app.kubernetes.io/component=controller");
        let operator = operators.list(&chosen).await.unwrap().items.first().map(ResourceExt::name_any).unwrap_or_default();
        let length = read().len();
        tokio::time::sleep(SILENCE).await; // what is tested is this time itself
        assert_eq!(state(namespace).await, before);
        match &audit {
            Some(_) => assert_eq!(asked(&read()[length..], namespace, &operator), Vec::<String>::new()),
            None => record::skipped(
                "a_steady_state_costs_no_call (reads)",
                "only the private node's API server tells what it was asked",
            ),
        }
    })
    .await;
}
