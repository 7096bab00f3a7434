//! What happens every day costs no request.

use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::DeleteParams;
use modelyard_core::render::DEPLOYMENT_LABEL;

use super::load::Load;
use super::{assert_no_orphan, spec, took, until_all_ready};
use crate::cluster;
use crate::namespace::{Namespace, within};
use crate::watch::named;

/// The pods, by name and node.
async fn pods(namespace: &Namespace) -> Vec<(String, String)> {
    let found = namespace.api::<Pod>().list(&kube::api::ListParams::default().labels(DEPLOYMENT_LABEL)).await.unwrap();
    let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
    found.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(|pod| (pod.name_any(), node(pod))).collect()
}

/// Waits for the end of a pod.
async fn until_gone(namespace: &Namespace, pod: &str) {
    namespace.until(&format!("no pod {pod}"), named(pod), |all: &[&Pod]| all.is_empty().then_some(())).await;
}

#[tokio::test]
async fn what_happens_every_day_costs_no_request() {
    within("every-day", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 2)).await;
        until_all_ready(&mnist, 2).await;
        let load = Load::start(namespace, "mnist").await;

        let mark = Instant::now();
        mnist.apply(spec(2, 2)).await;
        until_all_ready(&mnist, 2).await;
        let converged = mark.elapsed();
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        assert_eq!(heard.versions().into_iter().collect::<Vec<_>>(), ["1", "2"]);
        took("a new version rolls out, 2 replicas", &heard, converged);

        let mark = Instant::now();
        namespace.kubectl(&["scale", "mdep", "mnist", "--replicas=3"]);
        until_all_ready(&mnist, 3).await;
        namespace.kubectl(&["scale", "mdep", "mnist", "--replicas=1"]);
        until_all_ready(&mnist, 1).await;
        assert_no_orphan(&mnist, 1).await;
        let converged = mark.elapsed();
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        took("scaled from 2 to 3, then to 1", &heard, converged);

        namespace.kubectl(&["scale", "mdep", "mnist", "--replicas=2"]);
        until_all_ready(&mnist, 2).await;
        load.until_answered(Instant::now()).await;
        let mark = Instant::now();
        let (gone, _) = pods(namespace).await.swap_remove(0);
        namespace.api::<Pod>().delete(&gone, &DeleteParams::default()).await.unwrap();
        until_gone(namespace, &gone).await;
        until_all_ready(&mnist, 2).await;
        let converged = mark.elapsed();
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        took("a pod of 2 is deleted", &heard, converged);
    })
    .await;
}

#[tokio::test]
async fn a_drain_costs_no_request_and_waits_for_the_budget() {
    within("drain", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 2)).await;
        until_all_ready(&mnist, 2).await;
        let before = pods(namespace).await;
        assert!(["node1", "node2"].iter().all(|node| before.iter().any(|(_, at)| at == node)), "not spread: {before:?}");
        let load = Load::start(namespace, "mnist").await;
        let ours = format!("--pod-selector={DEPLOYMENT_LABEL}");
        let drain = |node: &str, patience: &str| {
            let options = ["--ignore-daemonsets", "--delete-emptydir-data", &ours, patience];
            cluster::attempt("kubectl", &[&["drain", node][..], &options].concat(), "")
        };

        let mark = Instant::now();
        drain("node2", "--timeout=60s").unwrap_or_else(|said| panic!("{said}"));
        until_all_ready(&mnist, 2).await;
        let converged = mark.elapsed();
        assert!(pods(namespace).await.iter().all(|(_, node)| node == "node1"));
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        took("kubectl drain of the node with one of 2 replicas", &heard, converged);

        // Now there is no room anywhere else: one may go, the other must stay.
        namespace
            .until("the budget counts both", named("mnist"), |all: &[&PodDisruptionBudget]| {
                let status = all.first()?.status.as_ref()?;
                (status.current_healthy == 2 && status.disruptions_allowed == 1).then_some(())
            })
            .await;
        let mark = Instant::now();
        let said = drain("node1", "--timeout=8s").unwrap_err();
        assert!(said.contains("violate the pod's disruption budget"), "{said}");
        let held = load.heard(mark).await;
        for node in ["node1", "node2"] {
            cluster::run("kubectl", &["uncordon", node], "");
        }
        until_all_ready(&mnist, 2).await;
        let converged = mark.elapsed();
        held.assert_none_lost();
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        assert_no_orphan(&mnist, 2).await;
        took(
            "kubectl drain of the only node left: the budget holds one of 2 replicas for 8 s; then nodes are there again",
            &heard,
            converged,
        );
    })
    .await;
}
