//! The store of models is away when replicas are to start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, Service};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use super::load::Load;
use super::{assert_no_orphan, is_left_out, machine, spec, took, until_all_ready};
use crate::deployed::{condition, is_current};
use crate::namespace::{Namespace, within};
use crate::store;
use crate::watch::named;

/// A store of the namespace's own, which can be taken away.
struct Store<'a> {
    namespace: &'a Namespace,
    pod: Value,
}

impl<'a> Store<'a> {
    async fn start(namespace: &'a Namespace) -> Self {
        let manifest = store::manifest(&namespace.name);
        let [files, service, pod] = manifest["items"].as_array().unwrap().as_slice() else { panic!("{manifest}") };
        namespace.put::<Service>("store", service.clone()).await;
        namespace.put::<ConfigMap>("store", files.clone()).await;
        let store = Self { namespace, pod: pod.clone() };
        store.back().await;
        store
    }

    async fn back(&self) {
        self.namespace.put::<Pod>("store", self.pod.clone()).await;
    }

    async fn away(&self) {
        self.namespace.api::<Pod>().delete("store", &DeleteParams::default()).await.unwrap();
        self.namespace.until("no store", named("store"), |all: &[&Pod]| all.is_empty().then_some(())).await;
    }
}

fn from_store(replicas: u32, cache: Option<&str>) -> Value {
    let mut spec = spec(1, replicas);
    spec["model"] = json!({ "uri": "http://store:8080/model.onnx", "version": 1 });
    if let Some(claim) = cache {
        spec["cache"] = json!({ "persistentVolumeClaim": { "claimName": claim } });
    }
    spec
}

#[tokio::test]
async fn a_store_that_is_away_stops_no_replica_that_runs() {
    if is_left_out("a_store_that_is_away_stops_no_replica_that_runs") {
        return;
    }
    within("store-away", async |namespace| {
        let store = Store::start(namespace).await;
        let mnist = namespace.deploy("mnist", from_store(1, None)).await;
        until_all_ready(&mnist, 1).await;
        let load = Load::start(namespace, "mnist").await;
        store.away().await;
        let mark = Instant::now();
        mnist.apply(from_store(2, None)).await;
        let told = mnist
            .until("says that the store is away", |object| {
                is_current(object)
                    && condition(object, "UpToDate").reason == "StoreUnavailable"
                    && object["status"]["readyOfWanted"] == "1/2"
            })
            .await;
        assert_eq!(condition(&told, "Serving").status, "True", "{:#}", told["status"]);
        let said = mark.elapsed();
        store.back().await;
        let back = Instant::now();
        until_all_ready(&mnist, 2).await;
        let converged = back.elapsed();
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        assert_no_orphan(&mnist, 2).await;
        let what = format!(
            "the store is away at a scale-up from 1 to 2: StoreUnavailable after {:.1} s; by itself when it is back",
            said.as_secs_f64()
        );
        took(&what, &heard, converged);
    })
    .await;
}

/// A claim on a folder of the machine, which both nodes have.
async fn claim(namespace: &Namespace) -> tempfile::TempDir {
    // As an administrator makes it: whoever runs there may write.
    let folder = tempfile::tempdir_in(machine::state()).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let volume = json!({
        "metadata": {
            "name": namespace.name,
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Namespace", "name": namespace.name, "uid": namespace.uid }],
        },
        "spec": {
            "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteMany"], "storageClassName": "", "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": { "path": folder.path() }, "claimRef": { "namespace": namespace.name, "name": "cache" },
        },
    });
    let volumes: Api<PersistentVolume> = Api::all(namespace.client.clone());
    volumes.create(&PostParams::default(), &serde_json::from_value(volume).unwrap()).await.unwrap();
    let spec = json!({
        "accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": namespace.name,
        "resources": { "requests": { "storage": "1Gi" } },
    });
    namespace.put::<PersistentVolumeClaim>("cache", json!({ "spec": spec })).await;
    folder
}

#[tokio::test]
async fn a_copy_in_the_cache_serves_without_the_store() {
    within("store-cached", async |namespace| {
        let _folder = claim(namespace).await;
        let store = Store::start(namespace).await;
        let mnist = namespace.deploy("mnist", from_store(1, Some("cache"))).await;
        until_all_ready(&mnist, 1).await;
        let load = Load::start(namespace, "mnist").await;
        store.away().await;
        let mark = Instant::now();
        mnist.apply(from_store(3, Some("cache"))).await;
        until_all_ready(&mnist, 3).await;
        let converged = mark.elapsed();
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        assert_no_orphan(&mnist, 3).await;
        took("the store is away at a scale-up from 1 to 3, with the cache on a claim: the copy serves", &heard, converged);
        // Before the folder goes.
        mnist.delete().await;
        namespace
            .until("no pod", crate::watch::labelled(modelyard_core::render::DEPLOYMENT_LABEL), |all: &[&Pod]| {
                all.is_empty().then_some(())
            })
            .await;
    })
    .await;
}
