//! What may become of a pod between its start and its end.

use std::io::Read;
use std::net::TcpListener;

use k8s_openapi::api::core::v1::Pod;
use modelyard_core::render::DEPLOYMENT_LABEL;
use serde_json::json;

use crate::cluster;
use crate::deployed::{mnist, model};
use crate::namespace::within;
use crate::record;
use crate::store;
use crate::watch::labelled;

/// An image whose process waits for ever and listens to nothing.
const PAUSE: &str = "local.test/pause:1";

#[tokio::test]
async fn a_server_that_ends_at_once() {
    within("crash-loop", async |namespace| {
        let mut spec = mnist(1);
        spec["serverImage"] = "local.test/box:1".into(); // a shell with nothing to do
        let deployed = namespace.deploy("mnist", spec).await;
        let told = deployed.until_not_ready("CrashLooping", &["the server ended with exit code 0", "see its log"]).await;
        assert_eq!(told["status"]["failure"]["exitCode"], 0);
        deployed.until_event("CrashLooping", "Warning").await;
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_answers_nothing() {
    if !cluster::is_private_node() {
        return record::skipped("a_server_that_answers_nothing", "only the private node has an image that does nothing");
    }
    within("not-responding", async |namespace| {
        let mut spec = mnist(1);
        spec["serverImage"] = PAUSE.into();
        let deployed = namespace.deploy("mnist", spec).await;
        deployed.until_not_ready("Loading", &["starts"]).await;
        deployed.until_not_ready("NotResponding", &["does not answer on its admin port", "see its log"]).await;
        deployed.until_event("NotResponding", "Warning").await;
        // The kubelet ends it, and why stays told.
        deployed.until_not_ready("NotResponding", &["ended from outside (exit code 0)", "no probe for a minute"]).await;
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn a_revision_that_takes_too_long() {
    if !cluster::is_private_node() {
        return record::skipped("a_revision_that_takes_too_long", "only the private node has an image that does nothing");
    }
    within("deadline", async |namespace| {
        let mut spec = mnist(1);
        spec["serverImage"] = PAUSE.into();
        spec["rollout"] = json!({ "progressDeadline": "3s" });
        let deployed = namespace.deploy("mnist", spec).await;
        let words = ["rollout.progressDeadline (3s)", "starts", "raise the deadline"];
        deployed.until_not_ready("ProgressDeadlineExceeded", &words).await;
        deployed.until_event("ProgressDeadlineExceeded", "Warning").await;
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn a_cache_that_outgrows_its_limit() {
    within("evicted", async |namespace| {
        let mut spec = model(json!({ "uri": store::uri("cgi-bin/slow") }));
        spec["cache"] = json!({ "emptyDir": { "sizeLimit": "1Mi" } });
        let deployed = namespace.deploy("mnist", spec).await;
        // A server that is told to go ends well, and so its pod has succeeded: that it was evicted is told by the kubelet's event alone.
        let told = deployed.until_not_ready("Evicted", &["was ended by its node", "kubectl describe pod"]).await;
        let pod = told["status"]["failure"]["pod"].as_str().unwrap();
        let said = namespace.kubectl(&["describe", "pod", pod]);
        assert!(said.contains("exceeds the limit \"1Mi\""), "{said}");
        deployed.until_event("Evicted", "Warning").await;
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn an_image_that_comes_slowly_and_then_not_at_all() {
    if !cluster::is_private_node() {
        let name = "an_image_that_comes_slowly_and_then_not_at_all";
        return record::skipped(name, "only on the private node can this test be the registry");
    }
    within("pulling", async |namespace| {
        // A registry that takes every connection and says nothing, until it is gone.
        let registry = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let image = format!("{}/server:1", registry.local_addr().unwrap());
        let (over, end) = std::sync::mpsc::channel::<()>();
        let taken = std::thread::spawn(move || {
            registry.set_nonblocking(false).unwrap();
            let mut connections = Vec::new();
            while let Ok((mut stream, _)) = registry.accept() {
                if end.try_recv().is_ok() {
                    return;
                }
                let _ = stream.read(&mut [0; 1]);
                connections.push(stream);
            }
        });
        let mut spec = mnist(1);
        spec["serverImage"] = image.as_str().into();
        let deployed = namespace.deploy("mnist", spec).await;
        deployed.until_not_ready("PullingImage", &["gets its image", &image]).await;
        deployed.until_event("PullingImage", "Normal").await;
        over.send(()).unwrap();
        drop(std::net::TcpStream::connect(image.split('/').next().unwrap()));
        taken.join().unwrap();
        deployed.until_not_ready("ImagePullFailed", &[&image, "pod.imagePullSecrets"]).await;
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
    })
    .await;
}

/// The process of the server in the pod of this identity.
fn server_of(pod: &str) -> String {
    let groups = [format!("pod{pod}"), format!("pod{}", pod.replace('-', "_"))];
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let is_it = |process: &String| {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
        let group = read("cgroup");
        groups.iter().any(|pod| group.contains(pod)) && read("comm").starts_with("modelyard")
    };
    processes.filter(|name| name.parse::<u32>().is_ok()).find(is_it).expect("the server's process")
}

#[tokio::test]
async fn a_server_that_was_told_to_stop() {
    if !cluster::is_private_node() {
        return record::skipped("a_server_that_was_told_to_stop", "only on the private node is its process in reach");
    }
    within("draining", async |namespace| {
        let mut spec = mnist(1);
        spec["serving"]["drainDelay"] = "20s".into();
        let deployed = namespace.deploy("mnist", spec).await;
        deployed.until_ready().await;
        let uid = |pods: &[&Pod]| pods.first().and_then(|pod| pod.metadata.uid.clone());
        let uid = namespace.until("its pod", labelled(DEPLOYMENT_LABEL), uid).await;
        cluster::run("kill", &["-TERM", &server_of(&uid)], "");
        deployed.until_not_ready("Draining", &["finishes what it has"]).await;
        deployed.until_event("Draining", "Normal").await;
        deployed.until_ready().await;
        assert_eq!(deployed.predict().await, 7);
    })
    .await;
}
