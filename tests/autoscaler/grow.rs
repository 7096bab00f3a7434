//! Replicas without room bring machines, and machines without use go.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::pool::with_pool;

#[tokio::test]
async fn more_replicas_bring_machines_and_fewer_let_them_go() {
    with_pool("grow", 100, async |pool| {
        let resources = json!({ "requests": { "cpu": "1", "memory": "1Gi" } });
        pool.deploy(json!({ "replicas": 2, "resources": resources })).await;
        pool.until_ready().await;
        assert_eq!(pool.machines().await.len(), 2, "one for each zone");
        pool.scale(12).await;
        pool.until_ready().await;
        // Three fit on one: that they are spread keeps none of them waiting, and brings no machine more.
        assert_eq!(pool.machines().await.len(), 4);
        pool.scale(1).await;
        pool.until_machines(1).await;
        pool.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn small_replicas_share_machines_and_always_ask_for_something() {
    with_pool("small", 100, async |pool| {
        pool.deploy(json!({ "replicas": 12, "resources": { "requests": { "memory": "64Mi" } } })).await;
        pool.until_ready().await;
        assert_eq!(pool.machines().await.len(), 2, "one for each zone, not one for each replica");
        let replicas = pool.replicas().await;
        let zones: BTreeSet<_> = replicas.iter().map(|pod| pod.spec.as_ref().unwrap().node_name.clone()).collect();
        assert_eq!((replicas.len(), zones.len()), (12, 2));
        for pod in &replicas {
            let spec = pod.spec.as_ref().unwrap();
            let requests = spec.containers[0].resources.as_ref().unwrap().requests.as_ref().unwrap();
            assert_eq!(
                (requests["cpu"].0.as_str(), requests["memory"].0.as_str()),
                ("100m", "64Mi"),
                "both, whichever is written"
            );
            assert_eq!(
                evictable(pod),
                local_volumes(pod),
                "no volume of a replica keeps the classic autoscaler from emptying a machine"
            );
        }
    })
    .await;
}

/// The volumes that the annotation gives up.
fn evictable(pod: &Pod) -> BTreeSet<&str> {
    let notes = pod.metadata.annotations.as_ref().unwrap();
    notes["cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"].split(',').collect()
}

/// The volumes that keep the classic autoscaler from evicting a pod.
fn local_volumes(pod: &Pod) -> BTreeSet<&str> {
    let volumes = pod.spec.as_ref().unwrap().volumes.iter().flatten();
    volumes.filter(|volume| volume.empty_dir.is_some() || volume.host_path.is_some()).map(|volume| volume.name.as_str()).collect()
}
