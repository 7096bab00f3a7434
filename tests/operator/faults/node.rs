//! A node's services stop, or the whole node does.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use modelyard_core::render::DEPLOYMENT_LABEL;
use rustix::process::{Signal, kill_process};

use super::load::{Load, Lost};
use super::{assert_no_orphan, is_left_out, machine, operators, spec, took, until_all_ready};
use crate::namespace::{Namespace, within};
use crate::watch::labelled;

fn restarts(pod: &Pod) -> i32 {
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    containers.into_iter().flatten().map(|one| one.restart_count).sum()
}

/// The pods and how often their containers were started again.
async fn pods(namespace: &Namespace) -> BTreeSet<(String, i32)> {
    let found = namespace.api::<Pod>().list(&ListParams::default().labels(DEPLOYMENT_LABEL)).await.unwrap();
    found.items.iter().map(|pod| (pod.name_any(), restarts(pod))).collect()
}

#[tokio::test]
async fn a_kubelet_and_a_containerd_that_stop_take_no_model_along() {
    if is_left_out("a_kubelet_and_a_containerd_that_stop_take_no_model_along") {
        return;
    }
    within("kubelet-away", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 2)).await;
        until_all_ready(&mnist, 2).await;
        let (load, before) = (Load::start(namespace, "mnist").await, pods(namespace).await);
        let mark = Instant::now();
        let killed = machine::kill(&["kubelet", "kubelet2", "containerd", "containerd2"]).await;
        operators::pass(Duration::from_secs(20)).await;
        killed.start();
        machine::until_cluster().await;
        let back = Instant::now();
        mnist.apply(spec(1, 3)).await;
        until_all_ready(&mnist, 3).await;
        let converged = back.elapsed();
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        assert!(pods(namespace).await.is_superset(&before), "the replicas are those of before, and were not started again");
        assert_no_orphan(&mnist, 3).await;
        took("kubelet and containerd of both nodes are killed (-9) and away for 20 s", &heard, converged);
    })
    .await;
}

#[tokio::test]
async fn a_node_that_restarts_brings_its_models_back() {
    if is_left_out("a_node_that_restarts_brings_its_models_back") {
        return;
    }
    within("node-restarts", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 2)).await;
        until_all_ready(&mnist, 2).await;
        let load = Load::start(namespace, "mnist").await;
        let mark = Instant::now() - Duration::from_millis(200); // with what is in flight
        let killed = machine::kill(&["kubelet2", "containerd2"]).await;
        let processes = machine::of_second_node();
        assert!(processes.len() >= 3, "a server, its sandbox and what minds them: {processes:?}");
        for process in &processes {
            // One that minds another ends with it.
            if let Err(error) = kill_process(*process, Signal::KILL) {
                assert_eq!(error, rustix::io::Errno::SRCH);
            }
        }
        for process in &processes {
            machine::gone(*process).await;
        }
        let dead = Instant::now();
        operators::pass(Duration::from_secs(20)).await;
        let away = dead.elapsed();
        killed.start();
        machine::until_cluster().await;
        let back = Instant::now();
        // What the API server has of them is of before, for a while.
        namespace
            .until("a server that was started again", labelled(DEPLOYMENT_LABEL), |all: &[&Pod]| {
                all.iter().any(|pod| restarts(pod) > 0).then_some(())
            })
            .await;
        until_all_ready(&mnist, 2).await;
        operators::leader(&namespace.client).await;
        mnist.apply(spec(1, 3)).await;
        until_all_ready(&mnist, 3).await;
        let converged = back.elapsed();
        let heard = load.heard(mark).await;
        for (began, _, why) in heard.lost() {
            assert!(
                matches!(why, Lost::Cut(_)) && began <= dead,
                "lost {:?} after the end: {why:?}",
                began.saturating_duration_since(dead)
            );
        }
        assert_no_orphan(&mnist, 3).await;
        let what = format!("a node with one of 2 replicas loses all its processes and is back after {:.0} s", away.as_secs_f64());
        took(&what, &heard, converged);
    })
    .await;
}
