//! The clock of the operator's machine jumps: for an operator that runs under libfaketime.

use std::path::Path;
use std::time::Instant;

use super::load::Load;
use super::outside::{Outside, kubeconfig};
use super::proxy::Proxy;
use super::{assert_no_orphan, is_left_out, operators, spec, took, until_all_ready};
use crate::cluster::{self, RELEASE};
use crate::namespace::within;
use crate::record;

/// Sets the clock, by seconds from the machine's. Put there whole: it is read again at each look at the clock.
fn set(clock: &Path, offset: i32) {
    let new = clock.with_extension("new");
    std::fs::write(&new, format!("{offset:+}")).unwrap();
    std::fs::rename(new, clock).unwrap();
}

#[tokio::test]
async fn a_clock_that_jumps_disturbs_nothing() {
    let test = "a_clock_that_jumps_disturbs_nothing";
    if is_left_out(test) {
        return;
    }
    let Ok(library) = cluster::attempt("faketime", &["-f", "+0", "printenv", "LD_PRELOAD"], "") else {
        return record::skipped(test, "there is no faketime: tools/prepare faketime");
    };
    within("clock", async |namespace| {
        let absent = operators::absent(&namespace.client).await;
        let folder = tempfile::tempdir().unwrap();
        let (proxy, config, log) = (Proxy::start(), folder.path().join("kubeconfig"), folder.path().join("log"));
        let clock = folder.path().join("clock");
        set(&clock, 0);
        kubeconfig(&proxy, &config);
        let mut operator = Outside::start_with(&config, &log, Some(RELEASE), |command| {
            // The one for programs of several threads.
            command
                .env("LD_PRELOAD", library.trim().replace("libfaketime.so", "libfaketimeMT.so"))
                .env("FAKETIME_TIMESTAMP_FILE", &clock);
            command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        });
        let mnist = namespace.deploy("mnist", spec(1, 2)).await;
        until_all_ready(&mnist, 2).await;
        let load = Load::start(namespace, "mnist").await;
        for (version, offset, what) in [(2, 3600, "an hour forward"), (3, -3600, "two hours back")] {
            let mark = Instant::now();
            mnist.apply(spec(version, 2)).await;
            mnist.until("rolls out", |object| object["status"]["revisions"].as_array().is_some_and(|all| all.len() > 1)).await;
            set(&clock, offset);
            until_all_ready(&mnist, 2).await;
            let converged = mark.elapsed();
            let heard = load.heard(mark).await;
            heard.assert_none_lost();
            assert_no_orphan(&mnist, 2).await;
            took(&format!("the operator's clock jumps {what} in the middle of a rollout"), &heard, converged);
        }
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(operator.runs() && !said.contains("does not lead any more"), "{said}");
        let written =
            operators::leases(&namespace.client).get(operators::LEASE).await.unwrap().spec.unwrap().renew_time.unwrap().0;
        assert!(written < jiff::Timestamp::now() - jiff::SignedDuration::from_mins(30), "its clock did not jump: {written}");
        drop((load, operator, absent));
        operators::leader(&namespace.client).await;
    })
    .await;
}
