//! Faults: what is killed, stopped, cut off, drained or squeezed, under load, and what is lost then.
//!
//! `tests/faults/run` gives it a cluster of two nodes and of its own, for it stops parts of it; so these tests run one after the other. Each
//! ends with everything as it was wanted, and notes a line of the table in docs/reliability.md. With `FAULTS=short` outages are shorter and
//! some tests are left out, by name.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use modelyard_core::render::{DEPLOYMENT_LABEL, REVISION_LABEL};
use serde_json::{Value, json};

use crate::deployed::{Deployed, condition, is_current, mnist};
use crate::namespace::Namespace;
use crate::record;
use crate::watch::labelled;

mod audit;
mod clock;
mod control_plane;
mod crowd;
mod leader;
mod load;
mod machine;
mod node;
mod operators;
mod outside;
mod proxy;
mod refused;
mod server;
mod store_down;
mod traffic;

use load::Heard;

/// Whether outages are as long as they are measured, or as short as a test of every change can wait for.
fn is_short() -> bool {
    std::env::var("FAULTS").as_deref() == Ok("short")
}

/// The one or the other.
fn lasting(short: u64, long: u64) -> Duration {
    Duration::from_secs(if is_short() { short } else { long })
}

/// Whether this test is left out of a short run.
fn is_left_out(test: &str) -> bool {
    let left_out = is_short();
    if left_out {
        record::skipped(test, "it takes long; make test-faults runs it");
    }
    left_out
}

/// A spec of so many replicas, on different nodes, which drain for as long as endpoints take to be known everywhere.
fn spec(version: u32, replicas: u32) -> Value {
    let mut spec = mnist(version);
    spec["replicas"] = replicas.into();
    spec["serving"]["drainDelay"] = "3s".into();
    // The operator's own spread counts only where nodes have zones.
    let ours = json!({ "matchLabels": { "app.kubernetes.io/managed-by": "modelyard" } });
    spec["pod"]["topologySpreadConstraints"] = json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": ours,
    }]);
    spec
}

/// Until the newest spec alone runs, with all its replicas.
async fn until_all_ready(deployed: &Deployed<'_>, replicas: u32) -> Value {
    let counted = format!("{replicas}/{replicas}");
    deployed
        .until(&format!("has {counted}"), |object| {
            let status = &object["status"];
            is_current(object)
                && condition(object, "Ready").status == "True"
                && status["readyOfWanted"] == *counted
                && status["replicas"] == replicas
        })
        .await
}

/// Waits until the operator has told the Deployment of the only revision to have so many replicas; how long it took.
async fn until_acted(namespace: &Namespace, replicas: i32) -> Duration {
    let began = Instant::now();
    let what = format!("a Deployment of {replicas} replicas");
    namespace
        .until(&what, labelled(DEPLOYMENT_LABEL), |all: &[&Deployment]| {
            all.iter().any(|one| one.spec.as_ref().is_some_and(|spec| spec.replicas == Some(replicas))).then_some(())
        })
        .await;
    began.elapsed()
}

/// Fails if there is more than the revisions of `deployed` have: no replica too many, no Deployment that nobody names.
async fn assert_no_orphan(deployed: &Deployed<'_>, replicas: usize) {
    let (namespace, object) = (deployed.namespace, deployed.api().get(&deployed.name).await.unwrap());
    let told = object.data["status"]["revisions"].as_array().cloned().unwrap_or_default();
    let known = |labels: Option<&std::collections::BTreeMap<String, String>>| {
        let revision = labels.and_then(|labels| labels.get(REVISION_LABEL));
        revision.is_some_and(|revision| told.iter().any(|one| one["name"] == **revision))
    };
    namespace
        .until("as many pods as are wanted", labelled(DEPLOYMENT_LABEL), |pods: &[&Pod]| (pods.len() == replicas).then_some(()))
        .await;
    namespace
        .until("Deployments of known revisions alone", labelled(DEPLOYMENT_LABEL), |all: &[&Deployment]| {
            all.iter().all(|one| known(one.metadata.labels.as_ref())).then_some(())
        })
        .await;
    namespace
        .until("ReplicaSets of known revisions alone", labelled(DEPLOYMENT_LABEL), |all: &[&ReplicaSet]| {
            all.iter().all(|one| known(one.metadata.labels.as_ref())).then_some(())
        })
        .await;
}

/// A line of the table: what happened, what was lost, and how long it took until all was as wanted.
fn note(what: &str, heard: Option<&Heard>, converged: &str) {
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let (count, lost, again) = heard.map_or(("-".to_owned(), "-".to_owned(), "-".to_owned()), |heard| {
        let again = match heard.again() {
            0 => "0".to_owned(),
            again => format!("{again}, within {}", seconds(heard.disturbed())),
        };
        (heard.count().to_string(), heard.lost().len().to_string(), again)
    });
    let longest = heard.map_or("-".to_owned(), |heard| format!("{:.0} ms", heard.longest().as_secs_f64() * 1e3));
    record::fault(&format!("| {what} | {count} | {lost} | {again} | {longest} | {converged} |"));
}

/// The same of a time.
fn took(what: &str, heard: &Heard, converged: Duration) {
    note(what, Some(heard), &format!("{:.1} s", converged.as_secs_f64()));
}
