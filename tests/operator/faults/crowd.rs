//! A thousand ModelDeployments come and go at once, on the cluster whose pods are only objects.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Config, Resource};
use modelyard_core::api::ModelDeployment;
use serde_json::{Value, json};

use super::outside::Outside;
use super::{is_short, machine, note, spec};
use crate::cluster::{self, repository};
use crate::record;

/// Calls at once.
const AT_ONCE: usize = 16;
/// How long the cluster may take for each of them, created and deleted.
const EACH: Duration = Duration::from_millis(400);

/// The fake cluster; it ends when this is dropped.
struct Fake;

impl Fake {
    fn start() -> Self {
        let fake = Self;
        cluster::run("cluster", &["fake", "up"], "");
        fake
    }

    fn kubectl(arguments: &[&str]) -> String {
        cluster::run("cluster", &[&["fake", "kubectl"], arguments].concat(), "")
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        cluster::run("cluster", &["fake", "down"], "");
    }
}

async fn count<K>(client: &Client) -> usize
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), "default");
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=modelyard");
    api.list_metadata(&ours).await.unwrap().items.len()
}

/// What there is of ours.
async fn left(client: &Client) -> Vec<(&'static str, usize)> {
    vec![
        ("Deployment", count::<Deployment>(client).await),
        ("ReplicaSet", count::<ReplicaSet>(client).await),
        ("Pod", count::<Pod>(client).await),
        ("Service", count::<Service>(client).await),
        ("EndpointSlice", count::<EndpointSlice>(client).await),
        ("PodDisruptionBudget", count::<PodDisruptionBudget>(client).await),
    ]
}

async fn until<F: Future<Output = bool>>(what: &str, patience: Duration, holds: impl Fn() -> F) {
    let reached = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    assert!(tokio::time::timeout(patience, reached).await.is_ok(), "{what}: not within {patience:?}");
}

async fn ready(client: &Client) -> usize {
    let api: Api<ModelDeployment> = Api::namespaced(client.clone(), "default");
    let is_ready = |one: &ModelDeployment| {
        let conditions = one.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    api.list(&ListParams::default()).await.unwrap().iter().filter(|one| is_ready(one)).count()
}

async fn create(client: &Client, name: &str, spec: &Value) {
    let api: Api<ModelDeployment> = Api::namespaced(client.clone(), "default");
    let object =
        json!({ "apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment", "metadata": { "name": name }, "spec": spec });
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

#[tokio::test]
async fn many_come_and_go_at_once_and_leave_nothing() {
    let began = Instant::now();
    let many = if is_short() { 60 } else { 1000 };
    let patience = EACH * many + Duration::from_secs(60);
    // The operators of the other cluster have no part in this.
    let fake = Fake::start();
    let state = machine::state();
    let fake_state = state.with_file_name(format!("{}-fake", state.file_name().unwrap().to_str().unwrap()));
    let kubeconfig = fake_state.join("admin.kubeconfig");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(&kubeconfig).unwrap(), &options).await.unwrap();
    let client = Client::try_from(config).unwrap();
    Fake::kubectl(&["apply", "--server-side", "-f", repository("crds").to_str().unwrap()]);
    Fake::kubectl(&["wait", "--for=condition=Established", "crd/modeldeployments.modelyard.dev", "--timeout=30s"]);
    let size = json!({ "cpu": "100k", "memory": "1Pi", "pods": "100000" });
    let node = json!({
        "metadata": { "name": "base", "labels": { "kubernetes.io/hostname": "base" } },
        "status": { "capacity": size, "allocatable": size },
    });
    let nodes: Api<Node> = Api::all(client.clone());
    nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
    let log = fake_state.join("log/operator.log");
    let mut operator = Outside::start(&kubeconfig, &log, None);
    create(&client, "first", &spec(1, 1)).await;
    until("the first is ready", patience, || async { ready(&client).await == 1 }).await;
    let (base, there) = (operator.resident(), left(&client).await);

    let made = Instant::now();
    let names: Vec<String> = (0..many).map(|number| format!("m-{number}")).collect();
    let two = spec(1, 2);
    stream::iter(&names).for_each_concurrent(AT_ONCE, |name| create(&client, name, &two)).await;
    let created = made.elapsed();
    // Some are ready, some have begun, of some nothing is there yet.
    until("a quarter is ready", patience, || async { ready(&client).await > many as usize / 4 }).await;
    let (ready_then, deleted) = (ready(&client).await, Instant::now());
    let api: Api<ModelDeployment> = Api::namespaced(client.clone(), "default");
    let gone = DeleteParams::background();
    stream::iter(&names).for_each_concurrent(AT_ONCE, |name| async { drop(api.delete(name, &gone).await.unwrap()) }).await;
    until("what was there before alone is left", patience, || async { left(&client).await == there }).await;
    let converged = deleted.elapsed();
    assert!(operator.runs(), "{}", std::fs::read_to_string(&log).unwrap());
    create(&client, "last", &spec(1, 1)).await;
    until("one more is ready", Duration::from_secs(30), || async { ready(&client).await == 2 }).await;
    let what = format!(
        "{many} ModelDeployments are created in {:.0} s and deleted at once when {ready_then} are Ready (fake pods); the operator has {:.0} MB, {:.0} before",
        created.as_secs_f64(),
        operator.resident() as f64 / 1e6,
        base as f64 / 1e6,
    );
    note(&what, None, &format!("{:.1} s", converged.as_secs_f64()));
    drop(operator);
    drop(fake);
    record::took("crowd-fake", began.elapsed());
}
