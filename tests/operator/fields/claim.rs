//! A model on a claim: mounted read-only, served as a file; a claim that is not there is said by its reason.

use std::fs;
use std::os::unix::fs::MetadataExt;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use modelyard_core::render::DEPLOYMENT_LABEL;
use serde_json::json;

use crate::cluster::{self, repository};
use crate::deployed::model;
use crate::namespace::within;
use crate::record;

use super::cache::claim;

#[tokio::test]
async fn a_model_is_served_from_a_claim_that_no_replica_can_write() {
    if !cluster::is_private_node() {
        return record::skipped(
            "a_model_is_served_from_a_claim_that_no_replica_can_write",
            "only the private node's disk is in reach",
        );
    }
    within("claimed", async |namespace| {
        let folder = tempfile::tempdir().unwrap();
        let digits = folder.path().join("zoo/digits");
        fs::create_dir_all(&digits).unwrap();
        for file in ["model.onnx", "sample.json"] {
            fs::copy(repository("examples/mnist/model").join(file), digits.join(file)).unwrap();
        }
        let missing = namespace.deploy("mnist", model(json!({ "uri": "pvc://models/zoo/digits" }))).await;
        missing.until_not_ready("ClaimNotFound", &["models", "a pvc: uri"]).await;

        claim(namespace, folder.path()).await;
        let mut spec = model(json!({ "uri": "pvc://models/zoo/digits" }));
        spec["replicas"] = 2.into();
        missing.apply(spec).await;
        let ready = missing.until_ready().await;
        assert_eq!(ready["status"]["readyOfWanted"], "2/2");
        assert_eq!(missing.predict().await, 7);
        let pods = namespace.api::<Pod>().list(&ListParams::default().labels(DEPLOYMENT_LABEL)).await.unwrap();
        let mounts = pods.items[0].spec.iter().flat_map(|pod| pod.containers[0].volume_mounts.iter().flatten());
        let found: Vec<_> = mounts.map(|mount| (mount.mount_path.as_str(), mount.read_only)).collect();
        assert!(found.contains(&("/mnt/claims/models", Some(true))), "{found:?}");
        // The kubelet has given the files to nobody.
        assert_eq!(fs::metadata(digits.join("model.onnx")).unwrap().gid(), fs::metadata(folder.path()).unwrap().gid());
    })
    .await;
}
