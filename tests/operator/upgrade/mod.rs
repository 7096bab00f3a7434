//! Releases of the operator, one after another: what a new one does to what runs, and going back.

mod releases;
mod template;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use modelyard_core::render::DEPLOYMENT_LABEL;
use serde_json::Value;

use crate::cluster;
use crate::deployed::mnist;
use crate::namespace::Namespace;

/// A spec with replicas that drain long enough for every client to hear of it.
fn spec(version: u32, replicas: u32) -> Value {
    let mut spec = mnist(version);
    spec["replicas"] = replicas.into();
    spec["serving"]["drainDelay"] = "4s".into();
    spec
}

/// The replicas of a deployment, none of which was started twice, and the images that they run.
async fn replicas(namespace: &Namespace, name: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let all = namespace.api::<Pod>().list(&Default::default()).await.unwrap();
    let own = all.items.into_iter().filter(|pod| {
        pod.metadata.deletion_timestamp.is_none() && pod.labels().get(DEPLOYMENT_LABEL).is_some_and(|own| own == name)
    });
    own.map(|pod| {
        let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        assert_eq!(containers.map(|one| one.restart_count).sum::<i32>(), 0, "{} was started again", pod.name_any());
        (pod.uid().unwrap(), pod.spec.unwrap().containers[0].image.clone().unwrap())
    })
    .unzip()
}

fn restart(namespace: &Namespace, name: &str) {
    cluster::run(env!("CARGO_BIN_EXE_modelyard"), &["restart", "-n", &namespace.name, name], "");
}
