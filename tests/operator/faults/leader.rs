//! Who leads is killed, told to end, hangs, or loses the Lease again and again.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use rustix::process::Signal;
use serde_json::json;

use super::audit::{self, Audit};
use super::load::Load;
use super::{assert_no_orphan, is_left_out, machine, operators, spec, took, until_acted, until_all_ready};
use crate::namespace::within;

/// How long the cluster may be without somebody who acts after a crash, and after an orderly end.
const CRASH: Duration = Duration::from_secs(20);
const HAND_OVER: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_leader_that_is_killed_is_replaced() {
    within("leader-killed", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 1)).await;
        until_all_ready(&mnist, 1).await;
        let load = Load::start(namespace, "mnist").await;
        let leader = operators::leader(&namespace.client).await;
        let (mark, audit) = (Instant::now(), Audit::begin());
        machine::signal(operators::process(&leader), Signal::KILL);
        mnist.apply(spec(1, 2)).await;
        let acted = until_acted(namespace, 2).await;
        until_all_ready(&mnist, 2).await;
        let converged = mark.elapsed();
        let heard = load.heard(mark).await;
        assert!(acted < CRASH, "nobody acted for {acted:?}");
        heard.assert_none_lost();
        assert_no_orphan(&mnist, 2).await;
        assert_eq!(audit::usurped(&audit.calls(), &leader.name_any()).0, Vec::<String>::new());
        took(&format!("the leading operator is killed (-9); nobody acts for {:.1} s", acted.as_secs_f64()), &heard, converged);
        operators::replace(&namespace.client, &leader).await;
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_is_told_to_end_hands_over() {
    within("leader-ends", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 1)).await;
        until_all_ready(&mnist, 1).await;
        let load = Load::start(namespace, "mnist").await;
        let leader = operators::leader(&namespace.client).await;
        let before = operators::transitions(&namespace.client).await;
        let (mark, audit, name) = (Instant::now(), Audit::begin(), leader.name_any());
        machine::signal(operators::process(&leader), Signal::TERM);
        let next = operators::until_taken_again(&namespace.client, before).await;
        let handed_over = mark.elapsed();
        mnist.apply(spec(1, 2)).await;
        until_acted(namespace, 2).await;
        until_all_ready(&mnist, 2).await;
        let converged = mark.elapsed();
        let heard = load.heard(mark).await;
        assert!(handed_over < HAND_OVER, "the hand-over took {handed_over:?}");
        heard.assert_none_lost();
        assert_no_orphan(&mnist, 2).await;
        let calls = audit.calls();
        assert_eq!(audit::usurped(&calls, &name).0, Vec::<String>::new());
        // The kubelet may start the pod's next process before the other pod has looked; that one has to list first.
        let who = if next == name { "its pod's next process" } else { "the other one" };
        if next != name {
            assert_eq!(audit::lists(&calls, &next), Vec::<String>::new(), "a follower is warm: it has nothing to list");
        }
        let what = format!("the leading operator is told to end (TERM); {who} leads after {:.2} s", handed_over.as_secs_f64());
        took(&what, &heard, converged);
        operators::replace(&namespace.client, &leader).await;
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_hangs_and_wakes_up_writes_nothing() {
    if is_left_out("a_leader_that_hangs_and_wakes_up_writes_nothing") {
        return;
    }
    within("leader-hangs", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 1)).await;
        until_all_ready(&mnist, 1).await;
        let load = Load::start(namespace, "mnist").await;
        let leader = operators::leader(&namespace.client).await;
        let (mark, audit, name) = (Instant::now(), Audit::begin(), leader.name_any());
        let hangs = machine::pause(operators::process(&leader));
        mnist.apply(spec(1, 2)).await;
        let acted = until_acted(namespace, 2).await;
        // It has this to do when it wakes up, and believes itself to be the leader.
        mnist.apply(spec(2, 3)).await;
        drop(hangs);
        until_all_ready(&mnist, 3).await;
        let converged = mark.elapsed();
        let heard = load.heard(mark).await;
        assert!(acted < CRASH, "nobody acted for {acted:?}");
        heard.assert_none_lost();
        assert_no_orphan(&mnist, 3).await;
        let (wrong, writes) = audit::usurped(&audit.calls(), &name);
        assert_eq!(wrong, Vec::<String>::new(), "of {writes}");
        let what = format!(
            "the leading operator hangs (STOP) and wakes up; nobody acts for {:.1} s, two never write",
            acted.as_secs_f64()
        );
        took(&what, &heard, converged);
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_is_deleted_and_stolen_never_makes_two_leaders() {
    if is_left_out("a_lease_that_is_deleted_and_stolen_never_makes_two_leaders") {
        return;
    }
    within("leader-flaps", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 1)).await;
        until_all_ready(&mnist, 1).await;
        let load = Load::start(namespace, "mnist").await;
        let leader = operators::leader(&namespace.client).await;
        let (mark, audit) = (Instant::now(), Audit::begin());
        let leases = operators::leases(&namespace.client);
        let (end, mut round) = (Instant::now() + Duration::from_secs(30), 0_u32);
        // There is always something to write.
        while Instant::now() < end {
            round += 1;
            mnist.apply(spec(1, 1 + round % 2)).await;
            if round.is_multiple_of(3) {
                match leases.delete(operators::LEASE, &DeleteParams::default()).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => {}
                    outcome => drop(outcome.unwrap()),
                }
            }
            operators::pass(Duration::from_millis(400)).await;
        }
        until_all_ready(&mnist, 1 + round % 2).await;
        // It may just have been deleted.
        operators::until_holder(&namespace.client, "anybody", |_| true).await;
        let steal = json!({ "spec": { "holderIdentity": "thief" } });
        let stolen: Lease = leases.patch(operators::LEASE, &PatchParams::default(), &Patch::Merge(steal)).await.unwrap();
        assert_eq!(stolen.spec.unwrap().holder_identity.as_deref(), Some("thief"));
        mnist.apply(spec(1, 3)).await;
        until_acted(namespace, 3).await;
        until_all_ready(&mnist, 3).await;
        let converged = end.elapsed();
        let heard = load.heard(mark).await;
        // Replicas come and go so fast that the node's rules may name one that has gone.
        assert_eq!(heard.lost(), vec![], "of {} requests", heard.count());
        assert_no_orphan(&mnist, 3).await;
        let (wrong, writes) = audit::usurped(&audit.calls(), &leader.name_any());
        assert_eq!(wrong, Vec::<String>::new(), "of {writes}");
        assert!(writes >= round as usize / 2, "{writes} writes in {round} rounds say little");
        let what = format!(
            "the Lease is deleted {} times, then stolen by nobody; of {writes} writes none by one that does not lead",
            round / 3
        );
        took(&what, &heard, converged);
    })
    .await;
}
