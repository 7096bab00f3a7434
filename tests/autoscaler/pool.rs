//! A pool of machines for one test, and the ModelDeployment that may use it alone.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, NamespaceResourceScope};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource, ResourceExt};
use modelyard_core::api::{API_VERSION, ModelDeployment};
use modelyard_core::render::{DEPLOYMENT_LABEL, REVISION_LABEL};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::record;
use crate::watch::{self, labelled, named};

/// How long anything may take; consolidation takes most, up to a minute.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);
/// The label and taint that keep the tests' machines apart.
const POOL: &str = "modelyard.test/pool";
pub(crate) const NAMESPACE: &str = "default";

/// A pool of machines of 4 CPUs, of which 3.9 are for pods, in two zones; and the one ModelDeployment, of the same name.
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) client: Client,
}

/// Runs a test with a pool whose machines may have `cpus` together.
pub(crate) async fn with_pool(name: &str, cpus: u32, body: impl AsyncFnOnce(&Pool)) {
    let client = Client::try_default().await.expect("KUBECONFIG names no cluster: run tests/autoscaler/run");
    let began = Instant::now();
    let pool = Pool { name: name.to_owned(), client };
    pool.make(cpus).await;
    let outcome = AssertUnwindSafe(body(&pool)).catch_unwind().await;
    if outcome.is_err() {
        println!("{}", pool.explain());
    }
    record::took(name, began.elapsed());
    pool.api::<ModelDeployment>().delete(name, &DeleteParams::default()).await.unwrap();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

impl Pool {
    pub(crate) fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    async fn make(&self, cpus: u32) {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("karpenter.sh", "v1", "NodePool"));
        let pools: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind);
        let requirement = |key: &str, value: &str| json!({ "key": key, "operator": "In", "values": [value] });
        let object = json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": self.name },
            "spec": {
                "limits": { "cpu": cpus.to_string() },
                "disruption": {
                    "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "2s", "budgets": [{ "nodes": "100%" }],
                },
                "template": {
                    "metadata": { "labels": { POOL: self.name } },
                    "spec": {
                        "nodeClassRef": { "group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default" },
                        "expireAfter": "Never",
                        "taints": [{ "key": POOL, "value": self.name, "effect": "NoSchedule" }],
                        "requirements": [
                            requirement("kubernetes.io/arch", "amd64"),
                            requirement("karpenter.sh/capacity-type", "on-demand"),
                            requirement("node.kubernetes.io/instance-type", "cpu-4"),
                        ],
                    },
                },
            },
        });
        pools.patch(&self.name, &PatchParams::apply("e2e").force(), &Patch::Apply(object)).await.unwrap();
    }

    /// Applies the ModelDeployment, which may run on this pool's machines alone.
    pub(crate) async fn deploy(&self, spec: Value) {
        let mut spec = spec;
        spec["model"]["uri"] = "http://models/model.onnx".into();
        spec["pod"]["nodeSelector"] = json!({ POOL: self.name });
        spec["pod"]["tolerations"] = json!([{ "key": POOL, "operator": "Equal", "value": self.name, "effect": "NoSchedule" }]);
        let metadata = json!({ "name": self.name });
        let object = json!({ "apiVersion": API_VERSION, "kind": "ModelDeployment", "metadata": metadata, "spec": spec });
        let kind = ApiResource::erase::<ModelDeployment>(&());
        let objects: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), NAMESPACE, &kind);
        objects.patch(&self.name, &PatchParams::apply("e2e").force(), &Patch::Apply(object)).await.unwrap();
    }

    /// What an autoscaler of pods does.
    pub(crate) async fn scale(&self, replicas: u32) {
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        self.api::<ModelDeployment>().patch_scale(&self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Until the spec as it is now has all its replicas, and no other revision has any.
    pub(crate) async fn until_ready(&self) {
        self.until("all replicas are ready", named(&self.name), |all: &[&ModelDeployment]| {
            let object = all.first()?;
            let status = object.status.as_ref()?;
            let ready = status.conditions.iter().find(|one| one.type_ == "Ready")?;
            (status.observed_generation == object.metadata.generation
                && ready.status == "True"
                && status.ready_replicas == object.spec.replicas
                && status.replicas == object.spec.replicas)
                .then_some(())
        })
        .await;
    }

    /// Watches objects of the namespace until they are as they should be.
    pub(crate) async fn until<K, T>(&self, what: &str, chosen: watcher::Config, holds: impl FnMut(&[&K]) -> Option<T>) -> T
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize
            + Send
            + 'static,
    {
        watch::until(self.api::<K>(), chosen, PATIENCE, holds).await.unwrap_or_else(|last| {
            panic!("{what}: not within {PATIENCE:?}; the last that was seen: {}", serde_json::to_string_pretty(&last).unwrap())
        })
    }

    /// Until the pool has so many machines, and no more on their way.
    pub(crate) async fn until_machines(&self, count: usize) {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let chosen = labelled(&format!("karpenter.sh/nodepool={}", self.name));
        let reached = watch::until(nodes, chosen, PATIENCE, |all: &[&Node]| (all.len() == count).then_some(())).await;
        reached.unwrap_or_else(|last| {
            let names: Vec<_> = last.iter().map(ResourceExt::name_any).collect();
            panic!("not {count} machines within {PATIENCE:?}, but {names:?}")
        });
    }

    pub(crate) async fn machines(&self) -> BTreeSet<String> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let chosen = kube::api::ListParams::default().labels(&format!("karpenter.sh/nodepool={}", self.name));
        nodes.list(&chosen).await.unwrap().iter().map(ResourceExt::name_any).collect()
    }

    /// The replicas that are not on their way out.
    pub(crate) async fn replicas(&self) -> Vec<Pod> {
        let chosen = kube::api::ListParams::default().labels(&format!("{DEPLOYMENT_LABEL}={}", self.name));
        let mut all = self.api::<Pod>().list(&chosen).await.unwrap().items;
        all.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        all
    }

    /// Counts from now on how many replicas serve, and gives the fewest once it is asked.
    pub(crate) fn fewest(&self) -> Fewest {
        let stop = Arc::new(Notify::new());
        let chosen = labelled(&format!("{DEPLOYMENT_LABEL}={},{REVISION_LABEL}", self.name));
        Fewest { counting: tokio::spawn(count(self.api(), chosen, Arc::clone(&stop))), stop }
    }

    fn explain(&self) -> String {
        let mut told = String::new();
        for arguments in [
            &["get", "mdep", self.name.as_str(), "-o", "yaml"][..],
            &["get", "pods", "-o", "wide"],
            &["get", "nodeclaims,nodes", "-o", "wide"],
            &["get", "events", "--sort-by=.metadata.creationTimestamp"],
        ] {
            let said = Command::new("kubectl").args(arguments).output().unwrap();
            told += &format!("\n-- kubectl {}\n{}", arguments.join(" "), String::from_utf8_lossy(&said.stdout));
        }
        told
    }
}

/// A count that goes on.
pub(crate) struct Fewest {
    counting: tokio::task::JoinHandle<usize>,
    stop: Arc<Notify>,
}

impl Fewest {
    /// The fewest replicas that served at any time.
    pub(crate) async fn so_far(self) -> usize {
        self.stop.notify_one();
        self.counting.await.unwrap()
    }
}

async fn count(pods: Api<Pod>, chosen: watcher::Config, stop: Arc<Notify>) -> usize {
    let (mut serving, mut fewest) = (BTreeSet::new(), None::<usize>);
    let mut events = watcher(pods, chosen).boxed();
    loop {
        let event = tokio::select! {
            () = stop.notified() => return fewest.expect("the watch brought nothing"),
            event = events.next() => event.expect("a watch does not end").expect("the watch broke"),
        };
        match event {
            Event::Init => {}
            Event::InitDone => fewest = Some(serving.len()),
            Event::Apply(pod) | Event::InitApply(pod) => {
                let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
                let ready = conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True");
                if ready && pod.metadata.deletion_timestamp.is_none() {
                    serving.insert(pod.name_any());
                } else {
                    serving.remove(&pod.name_any());
                }
            }
            Event::Delete(pod) => drop(serving.remove(&pod.name_any())),
        }
        fewest = fewest.map(|before| before.min(serving.len()));
    }
}
