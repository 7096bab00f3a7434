//! A namespace for one test: made before it, explained if it fails, removed after it.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::cluster::{self, RELEASE};
use crate::record;
use crate::watch;

/// How long anything may take. Ten times what it takes on two busy cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Held by many who use the operator, or by one who replaces it.
static OPERATOR: RwLock<()> = RwLock::const_new(());

pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) client: Client,
}

/// Runs a test in a namespace of its own.
pub(crate) async fn within(test: &str, body: impl AsyncFnOnce(&Namespace)) {
    labelled(test, &json!({}), body).await;
}

/// The same, in a namespace with these labels.
pub(crate) async fn labelled(test: &str, labels: &Value, body: impl AsyncFnOnce(&Namespace)) {
    let _many = OPERATOR.read().await;
    run(test, labels, body).await;
}

/// Runs a test that replaces the operator, while no other runs. The operator is as before afterwards.
pub(crate) async fn alone(test: &str, body: impl AsyncFnOnce(&Namespace)) {
    let _one = OPERATOR.write().await;
    let outcome = AssertUnwindSafe(run(test, &json!({}), body)).catch_unwind().await;
    cluster::upgrade("");
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

async fn run(test: &str, labels: &Value, body: impl AsyncFnOnce(&Namespace)) {
    let client = cluster::connect().await;
    let began = Instant::now();
    let namespaces: Api<Object> = Api::all(client.clone());
    let object = json!({ "metadata": { "name": format!("e2e-{test}-{:x}", std::process::id()), "labels": labels } });
    let made = namespaces.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    let namespace = Namespace { name: made.metadata.name.unwrap(), uid: made.metadata.uid.unwrap(), client };
    let outcome = AssertUnwindSafe(body(&namespace)).catch_unwind().await;
    if outcome.is_err() {
        println!("{}", namespace.explain());
    }
    record::took(test, began.elapsed());
    namespaces.delete(&namespace.name, &DeleteParams::background()).await.unwrap();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

impl Namespace {
    pub(crate) fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Creates or changes any object of a known kind, as a person with `kubectl apply` does.
    pub(crate) async fn put<K>(&self, name: &str, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Serialize,
    {
        let mut object = object;
        object["apiVersion"] = K::api_version(&()).as_ref().into();
        object["kind"] = K::kind(&()).as_ref().into();
        object["metadata"]["name"] = name.into();
        self.api::<K>().patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(object)).await.unwrap()
    }

    /// Watches objects of a kind until they are as they should be, and panics with what they were if they never are.
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
        match watch::until(self.api::<K>(), chosen, PATIENCE, holds).await {
            Ok(found) => found,
            Err(last) => panic!(
                "{what}: not within {PATIENCE:?}; the last that was seen: {}",
                serde_json::to_string_pretty(&last).unwrap()
            ),
        }
    }

    /// Asks what would become of a pod until the answer is as it should be: a policy holds a little after it was written.
    pub(crate) async fn until_pods_are(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let try_one = ["-n", &self.name, "run", "try", "--image=local.test/box:1", "--dry-run=server", "-o", "yaml"];
            let said = cluster::shown(&try_one);
            if holds(&said) {
                return;
            }
            assert!(Instant::now() < deadline, "pods are not {what}: {said}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// kubectl in this namespace.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        cluster::run("kubectl", &[&["-n", self.name.as_str()], arguments].concat(), "")
    }

    /// Everything that may tell why a test failed.
    fn explain(&self) -> String {
        let mut told = String::new();
        for arguments in [
            &["get", "mdep", "-o", "yaml"][..],
            &["get", "events", "--sort-by=.metadata.creationTimestamp"],
            &["get", "deployments,replicasets,pods,services,configmaps,endpointslices,pdb", "-o", "wide"],
            &["get", "pods", "-o", "jsonpath={range .items[*]}{.metadata.name}{' '}{.status}{'\\n'}{end}"],
        ] {
            let said = cluster::shown(&[&["-n", self.name.as_str()], arguments].concat());
            told += &format!("\n-- kubectl -n {} {}\n{said}", self.name, arguments.join(" "));
        }
        let operator = format!("deployment/{RELEASE}");
        let log = cluster::shown(&["-n", RELEASE, "logs", &operator, "--tail=2000"]);
        let own: Vec<&str> = log.lines().filter(|line| line.contains(&self.name)).collect();
        told + &format!("\n-- the operator's log of this namespace\n{}", own[own.len().saturating_sub(40)..].join("\n"))
    }
}
