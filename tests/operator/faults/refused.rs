//! The API server refuses, conflicts and fails: for an operator behind a proxy that does so.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use modelyard_core::render::DEPLOYMENT_LABEL;

use super::load::Load;
use super::outside::{Outside, kubeconfig};
use super::proxy::{Mood, Proxy};
use super::{is_left_out, note, operators, spec, took, until_acted, until_all_ready};
use crate::cluster::RELEASE;
use crate::namespace::within;
use crate::watch::labelled;

/// How long everything is refused.
const SHUT: Duration = Duration::from_secs(10);
/// Requests a second that an operator may send to a server that refuses them all.
const POLITE: u64 = 20;
/// How long it may take to go on after that.
const BACK: Duration = Duration::from_secs(20);
const MANY: u32 = 6;

#[tokio::test]
async fn an_operator_gets_through_refusals_and_conflicts() {
    if is_left_out("an_operator_gets_through_refusals_and_conflicts") {
        return;
    }
    within("refused", async |namespace| {
        let absent = operators::absent(&namespace.client).await;
        let folder = tempfile::tempdir().unwrap();
        let (proxy, config, log) = (Proxy::start(), folder.path().join("kubeconfig"), folder.path().join("log"));
        kubeconfig(&proxy, &config);
        proxy.set(Mood::Foul);
        let began = Instant::now();
        let mut operator = Outside::start(&config, &log, Some(RELEASE));

        let names: Vec<String> = (0..MANY).map(|number| format!("mnist-{number}")).collect();
        let all = join_all(names.iter().map(|name| namespace.deploy(name, spec(1, 1)))).await;
        join_all(all.iter().map(|one| until_all_ready(one, 1))).await;
        let (asked, refused) = proxy.counted();
        assert!(refused > 20, "{refused} of {asked} refused: that is no storm");
        note(&format!("of the operator's requests 1 in 5 gets 429, others 409 and 500 ({refused} of {asked}), while it starts and makes {MANY} models"), None, &format!("{:.1} s", began.elapsed().as_secs_f64()));

        let load = Load::start(namespace, "mnist-0").await;
        let mark = Instant::now();
        proxy.hang_up();
        all[0].apply(spec(2, 2)).await;
        until_all_ready(&all[0], 2).await;
        let converged = mark.elapsed();
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        took("the same, and all its watches are cut, while a new version rolls out", &heard, converged);

        let before = proxy.counted().0;
        proxy.set(Mood::Shut);
        all[1].apply(spec(1, 3)).await;
        operators::pass(SHUT).await;
        let asked = proxy.counted().0 - before;
        proxy.set(Mood::Fair);
        let mark = Instant::now();
        until_acted(namespace, 3).await;
        until_all_ready(&all[1], 3).await;
        let converged = mark.elapsed();
        assert!(asked < POLITE * SHUT.as_secs(), "{asked} requests in {SHUT:?} to a server that refuses them all");
        assert!(converged < BACK, "it went on only after {converged:?}");
        note(&format!("all its requests get 429 for {} s: it asks {:.1} times a second", SHUT.as_secs(), asked as f64 / SHUT.as_secs_f64()), None, &format!("{:.1} s", converged.as_secs_f64()));
        assert!(operator.runs(), "{}", std::fs::read_to_string(&log).unwrap());

        assert_no_orphan_of_all(namespace, all.len() + 3).await;
        drop(load);
        join_all(all.iter().map(|one| one.delete())).await;
        let ours = || labelled(DEPLOYMENT_LABEL);
        namespace.until("no Deployment", ours(), |there: &[&Deployment]| there.is_empty().then_some(())).await;
        namespace.until("no Service", ours(), |there: &[&Service]| there.is_empty().then_some(())).await;
        namespace.until("no pod", ours(), |there: &[&Pod]| there.is_empty().then_some(())).await;
        drop((operator, absent));
        operators::leader(&namespace.client).await;
    })
    .await;
}

async fn assert_no_orphan_of_all(namespace: &crate::namespace::Namespace, pods: usize) {
    namespace
        .until("as many pods as are wanted", labelled(DEPLOYMENT_LABEL), |there: &[&Pod]| (there.len() == pods).then_some(()))
        .await;
}
