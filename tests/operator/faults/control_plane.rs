//! The API server, or what it keeps its objects in, is away. What serves goes on; the operator goes on when it is back.

use std::time::{Duration, Instant};

use super::load::Load;
use super::{assert_no_orphan, is_left_out, lasting, machine, operators, spec, took, until_acted, until_all_ready};
use crate::namespace::within;

/// How long everything may take to go on once the API server is back.
const BACK: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_api_server_that_is_away_costs_no_request() {
    within("api-server-away", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 2)).await;
        until_all_ready(&mnist, 2).await;
        operators::leader(&namespace.client).await;
        let load = Load::start(namespace, "mnist").await;
        let (mark, away) = (Instant::now(), lasting(10, 60));
        let killed = machine::kill(&["apiserver"]).await;
        operators::pass(away).await;
        killed.start();
        machine::until_cluster().await;
        let back = Instant::now();
        mnist.apply(spec(1, 3)).await;
        let acted = until_acted(namespace, 3).await;
        until_all_ready(&mnist, 3).await;
        let converged = back.elapsed();
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        assert!(acted < BACK, "nobody acted for {acted:?}");
        assert_no_orphan(&mnist, 3).await;
        let what =
            format!("the API server is away for {} s; {:.1} s later the operator acts", away.as_secs(), acted.as_secs_f64());
        took(&what, &heard, converged);
    })
    .await;
}

#[tokio::test]
async fn an_etcd_that_hangs_costs_no_request() {
    if is_left_out("an_etcd_that_hangs_costs_no_request") {
        return;
    }
    within("etcd-hangs", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 2)).await;
        until_all_ready(&mnist, 2).await;
        operators::leader(&namespace.client).await;
        let load = Load::start(namespace, "mnist").await;
        let (mark, hangs) = (Instant::now(), Duration::from_secs(40));
        let paused = machine::pause_service("etcd");
        operators::pass(hangs).await;
        drop(paused);
        machine::until_cluster().await;
        let back = Instant::now();
        mnist.apply(spec(1, 3)).await;
        let acted = until_acted(namespace, 3).await;
        until_all_ready(&mnist, 3).await;
        let converged = back.elapsed();
        let heard = load.heard(mark).await;
        heard.assert_none_lost();
        assert!(acted < BACK, "nobody acted for {acted:?}");
        assert_no_orphan(&mnist, 3).await;
        let what = format!("etcd hangs (STOP) for {} s; {:.1} s later the operator acts", hangs.as_secs(), acted.as_secs_f64());
        took(&what, &heard, converged);
    })
    .await;
}
