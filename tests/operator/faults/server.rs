//! The process of a server is killed.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use modelyard_core::render::DEPLOYMENT_LABEL;
use rustix::process::Signal;

use super::load::{Load, Lost};
use super::{assert_no_orphan, machine, spec, took, until_all_ready};
use crate::deployed::is_current;
use crate::namespace::within;

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
