//! The process of a server is killed, and its container starts again in its pod.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use modelyard_core::render::DEPLOYMENT_LABEL;
use rustix::process::Signal;
use serde_json::json;

use super::load::{Load, Lost};
use super::{assert_no_orphan, machine, spec, took, until_all_ready};
use crate::deployed::{is_current, model};
use crate::namespace::{Namespace, within};
use crate::pins;
use crate::watch::labelled;

/// How long the node may take to see that a process has ended, and to tell everybody: the kubelet looks once a second.
const SEEN: Duration = Duration::from_secs(6);

#[tokio::test]
async fn a_server_that_is_killed_takes_only_what_it_was_answering() {
    within("server-killed", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 2)).await;
        until_all_ready(&mnist, 2).await;
        let load = Load::start(namespace, "mnist").await;
        let pods = namespace.api::<Pod>().list(&kube::api::ListParams::default().labels(DEPLOYMENT_LABEL)).await.unwrap();
        let process = machine::of_pod(&pods.items[0].uid().unwrap()).expect("a server that is ready has a process");
        let mark = Instant::now() - Duration::from_millis(200); // with what is in flight
        machine::signal(process, Signal::KILL);
        let killed = Instant::now();
        // Until it is gone the kernel takes connections for it, and resets them when it goes.
        machine::gone(process).await;
        let gone = Instant::now();
        mnist.until("says that one of two is ready", |object| object["status"]["readyOfWanted"] == "1/2").await;
        let told = killed.elapsed();
        let recovered =
            mnist.until("is ready again", |object| is_current(object) && object["status"]["readyOfWanted"] == "2/2").await;
        let converged = killed.elapsed();
        assert_eq!(recovered["status"]["failure"], serde_json::Value::Null);
        let heard = load.heard(mark).await;
        for (began, _, why) in heard.lost() {
            assert!(
                matches!(why, Lost::Cut(_)) && began <= gone,
                "lost {:?} after it was gone: {why:?}",
                began.saturating_duration_since(gone)
            );
        }
        assert!(heard.disturbed() < SEEN, "requests were sent to a dead server for {:?}", heard.disturbed());
        assert_no_orphan(&mnist, 2).await;
        took(
            &format!("the process of one of 2 servers is killed (-9); status says so after {:.1} s", told.as_secs_f64()),
            &heard,
            converged,
        );
    })
    .await;
}

/// Until the one replica's container was started again.
async fn until_started_again(namespace: &Namespace) {
    let again = |pods: &[&Pod]| {
        let containers =
            pods.iter().flat_map(|pod| pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten()));
        (containers.map(|one| one.restart_count).sum::<i32>() > 0).then_some(())
    };
    namespace.until("a container that was started again", labelled(DEPLOYMENT_LABEL), again).await;
}

/// The store keeps no versions, and has something else under the name by then: what the pod's cache has is what the revision is held to.
#[tokio::test]
async fn a_server_that_is_started_again_serves_what_its_revision_is_held_to() {
    within("server-again", async |namespace| {
        pins::moving_store(namespace).await;
        let [first, _] = pins::sums();
        let uri = format!("{}/m.onnx", pins::address(namespace));
        let mnist = namespace.deploy("mnist", model(json!({ "uri": uri }))).await;
        mnist.until_ready().await;
        pins::until_held(&mnist, &first, "").await;
        pins::until_noted(namespace, &first).await;
        let pods = namespace.api::<Pod>().list(&kube::api::ListParams::default().labels(DEPLOYMENT_LABEL)).await.unwrap();
        let [pod] = &pods.items[..] else { panic!("one pod was expected: {:?}", pods.items) };
        pins::replace(namespace);
        let process = machine::of_pod(&pod.uid().unwrap()).expect("a server that is ready has a process");
        machine::signal(process, Signal::KILL);
        machine::gone(process).await;
        until_started_again(namespace).await;
        let served = pins::until_served(namespace, "it serves again", |digests| digests.len() == 1).await;
        assert_eq!(served, [(pod.name_any(), Some(first))], "the same pod, and the same bytes");
        mnist.until_ready().await;
    })
    .await;
}
