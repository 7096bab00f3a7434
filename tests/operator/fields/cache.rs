//! A cache on a claim: one replica fetches, the others find, and a store that is gone is missed by nobody.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::DeleteParams;
use modelyard_core::render::DEPLOYMENT_LABEL;
use serde_json::json;

use crate::cluster;
use crate::deployed::model;
use crate::namespace::{Namespace, within};
use crate::record;
use crate::store;
use crate::watch::{labelled, named};

/// A claim named `models` whose volume is a folder of this machine, open to all.
pub(super) async fn claim(namespace: &Namespace, folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let (modes, amount) = (json!(["ReadWriteMany"]), json!({ "storage": "1Gi" }));
    let owner = json!([{ "apiVersion": "v1", "kind": "Namespace", "name": namespace.name, "uid": namespace.uid }]);
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": { "name": namespace.name, "ownerReferences": owner },
        "spec": {
            "accessModes": modes, "capacity": amount, "storageClassName": "", "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": { "name": "models", "namespace": namespace.name },
            "hostPath": { "path": folder, "type": "Directory" },
        },
    });
    cluster::run("kubectl", &["apply", "--server-side", "-f", "-"], &volume.to_string());
    let claim = json!({ "spec": {
        "accessModes": modes, "storageClassName": "", "volumeName": namespace.name, "resources": { "requests": amount },
    } });
    namespace.put::<PersistentVolumeClaim>("models", claim).await;
}

#[tokio::test]
async fn what_one_replica_has_fetched_the_next_one_finds() {
    if !cluster::is_private_node() {
        return record::skipped("what_one_replica_has_fetched_the_next_one_finds", "only the private node's disk is in reach");
    }
    within("cache", async |namespace| {
        let folder = tempfile::tempdir().unwrap();
        claim(namespace, folder.path()).await;
        cluster::run("kubectl", &["apply", "--server-side", "-f", "-"], &store::manifest(&namespace.name).to_string());
        namespace.kubectl(&["wait", "--for=condition=Ready", "pod/store", "--timeout=60s"]);

        let mut spec = model(json!({ "uri": "http://store:8080/model.onnx", "sha256": store::sum() }));
        spec["cache"] = json!({ "persistentVolumeClaim": { "claimName": "models" } });
        let deployed = namespace.deploy("mnist", spec.clone()).await;
        deployed.until_ready().await;
        let pods = namespace.api::<Pod>();
        pods.delete("store", &DeleteParams::default().grace_period(0)).await.unwrap();
        namespace.until("no store", named("store"), |there: &[&Pod]| there.is_empty().then_some(())).await;

        spec["replicas"] = 2.into();
        deployed.apply(spec).await;
        let ready = deployed.until_ready().await;
        assert_eq!(ready["status"]["readyOfWanted"], "2/2");
        namespace.kubectl(&["delete", "pods", "-l", DEPLOYMENT_LABEL, "--wait=false"]);
        namespace
            .until("two other replicas", labelled(DEPLOYMENT_LABEL), |there: &[&Pod]| {
                let stay = there.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).count();
                (stay == 2 && there.len() == 2).then_some(())
            })
            .await;
        deployed.until_ready().await;
        assert_eq!(deployed.predict().await, 7);
    })
    .await;
}
