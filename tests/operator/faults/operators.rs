//! The two operators: which of them leads, and where their processes are.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::{Api, Client, ResourceExt};
use rustix::process::Pid;

use super::machine;
use crate::cluster::{self, RELEASE};
use crate::namespace::PATIENCE;
use crate::watch::{self, labelled, named};

/// The Lease's name.
pub(crate) const LEASE: &str = "modelyard";
const OPERATORS: &str = "app.kubernetes.io/component=controller";

pub(crate) fn leases(client: &Client) -> Api<Lease> {
    Api::namespaced(client.clone(), RELEASE)
}

fn pods(client: &Client) -> Api<Pod> {
    Api::namespaced(client.clone(), RELEASE)
}

fn holder(lease: &Lease) -> Option<String> {
    lease.spec.as_ref()?.holder_identity.clone().filter(|holder| !holder.is_empty())
}

/// Who holds the Lease, once this holds of it.
pub(crate) async fn until_holder(client: &Client, what: &str, holds: impl Fn(&str) -> bool) -> String {
    let found = watch::until(leases(client), named(LEASE), PATIENCE, |all: &[&Lease]| {
        all.first().and_then(|lease| holder(lease)).filter(|holder| holds(holder))
    });
    found.await.unwrap_or_else(|last| panic!("the Lease is not held by {what}: {last:?}"))
}

/// How often the Lease has been taken.
pub(crate) async fn transitions(client: &Client) -> i32 {
    taken(&leases(client).get(LEASE).await.unwrap())
}

/// Who takes the Lease next.
pub(crate) async fn until_taken_again(client: &Client, before: i32) -> String {
    let next = watch::until(leases(client), named(LEASE), PATIENCE, |all: &[&Lease]| {
        all.first().filter(|lease| taken(lease) > before).and_then(|lease| holder(lease))
    });
    next.await.unwrap_or_else(|last| panic!("nobody has taken the Lease since it was taken {before} times: {last:?}"))
}

fn taken(lease: &Lease) -> i32 {
    lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0)
}

/// The operator that leads, once two are ready.
pub(crate) async fn leader(client: &Client) -> Pod {
    let is_ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
    };
    let two = watch::until(pods(client), labelled(OPERATORS), PATIENCE, |all: &[&Pod]| {
        let living: Vec<Pod> =
            all.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(|pod| (*pod).clone()).collect();
        (living.len() == 2 && living.iter().all(is_ready)).then_some(living)
    });
    let two = two.await.unwrap_or_else(|last| panic!("no two operators: {last:?}"));
    let name = until_holder(client, "a ready operator", |holder| two.iter().any(|pod| pod.name_any() == holder)).await;
    two.into_iter().find(|pod| pod.name_any() == name).unwrap()
}

pub(crate) fn process(pod: &Pod) -> Pid {
    machine::of_pod(&pod.uid().unwrap()).expect("an operator that is ready has a process")
}

/// Puts a fresh pod in the place of one whose container has ended: the kubelet would wait longer each time before it starts it again.
pub(crate) async fn replace(client: &Client, pod: &Pod) {
    pods(client).delete(&pod.name_any(), &DeleteParams::default()).await.unwrap();
}

/// No operator in the cluster, until this is dropped.
pub(crate) struct Absent;

pub(crate) async fn absent(client: &Client) -> Absent {
    scale(0);
    let none = watch::until(pods(client), labelled(OPERATORS), PATIENCE, |all: &[&Pod]| all.is_empty().then_some(()));
    none.await.unwrap_or_else(|last| panic!("operators stay: {}", last.len()));
    Absent
}

fn scale(replicas: u32) {
    cluster::run("kubectl", &["-n", RELEASE, "scale", "deployment", RELEASE, &format!("--replicas={replicas}")], "");
}

impl Drop for Absent {
    fn drop(&mut self) {
        scale(2);
    }
}

/// Lets some time pass in which something is wrong: what is tested is this time itself.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
