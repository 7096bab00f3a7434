//! Processes that end: a replica, the parent, all of them.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Load, ask};
use crate::session::{Session, blocking, deployment, kill, mnist, model, one, runs};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_costs_no_request() {
    for replicas in [2, 1] {
        let mut session = Session::start(&mnist(1, &format!("  replicas: {replicas}")));
        session.until_ready("mnist");
        let victim = session.pids()[0];
        let mut load = Load::start(&session.url, 4);
        load.more(20).await;
        let (session, ()) = blocking(session, move |session| {
            kill(victim, Signal::KILL);
            session.until("a failure", |event| one(event, "mnist")["replicas"][0]["restarts"] == 1);
            session.until_ready("mnist");
        })
        .await;
        load.more(20).await;
        let seen = load.end().await;
        assert_eq!(seen.failures, Vec::<String>::new(), "{replicas} replicas");
        assert!(!session.pids().contains(&victim));
    }
}

#[test]
fn a_killed_parent_leaves_no_server() {
    let mut session = Session::start(&mnist(1, "  replicas: 2"));
    session.until_ready("mnist");
    let pids = session.pids();
    assert!(pids.len() == 2 && pids.iter().all(|pid| runs(*pid)));
    session.signal(Signal::KILL);
    session.ended();
    let begun = Instant::now();
    while pids.iter().any(|pid| runs(*pid)) {
        assert!(begun.elapsed() < Duration::from_secs(10), "servers outlive their parent");
        std::thread::yield_now();
    }
    // Its folder is there still; the next start in the same place removes it, and has its own.
    let folders = |parent: &std::path::Path| {
        let names = std::fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("modelyard-local-")).collect::<Vec<_>>()
    };
    let left = folders(session.folder.path());
    assert_eq!(left.len(), 1, "{left:?}");
    let files = session.folder.path().join("models.yaml");
    let parent = std::mem::replace(&mut session.folder, tempfile::tempdir().unwrap());
    let next = Session::launch(parent, &files, &[]);
    let now = folders(next.folder.path());
    assert!(now.len() == 1 && now != left, "{now:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_answers_what_is_in_flight_and_exits_0() {
    let slow = deployment("slow", &format!("  model: {{uri: \"file:{}\"}}", model("slow")));
    let mut session = Session::start(&slow);
    session.until_ready("slow");
    let url = format!("{}/v2/models/slow/infer", session.url);
    let body = json!({"inputs": [{"name": "x", "shape": [8, 256], "datatype": "FP32", "data": vec![0.1; 2048]}]});
    let in_flight = tokio::spawn(async move { ask(Method::POST, &url, &body).await });
    let health = format!("{}/v2/models/slow/stats", session.url);
    // The signal comes once the request is at the replica: the connection's answer to another question says nothing of that,
    // its queue does.
    let admin = one(&session.last, "slow")["replicas"][0]["adminPort"].as_u64().unwrap();
    let begun = Instant::now();
    loop {
        let (_, metrics) = ask(Method::GET, &format!("http://127.0.0.1:{admin}/metrics"), &Value::Null).await.unwrap();
        let busy = metrics
            .as_str()
            .unwrap()
            .lines()
            .any(|line| line.contains("in_flight") && !line.starts_with('#') && line.ends_with(" 1"));
        if busy || in_flight.is_finished() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{metrics}");
    }
    assert!(!in_flight.is_finished(), "the slow model is too fast for this test");
    let pids = session.pids();
    session.signal(Signal::INT);
    let (mut session, _) = blocking(session, |session| session.until("draining", |event| event["event"] == "draining")).await;
    assert!(ask(Method::GET, &health, &Value::Null).await.is_err(), "new connections are refused once it drains");
    let (status, answer) = in_flight.await.unwrap().unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(session.ended().code(), Some(0));
    assert!(pids.iter().all(|pid| !runs(*pid)));
    // Servers log what is worth a warning: an end that somebody asked for is not.
    let said = session.said.lock().unwrap().clone();
    assert!(!said.contains("signal"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let slow = deployment("slow", &format!("  model: {{uri: \"file:{}\"}}\n  serving: {{drainDelay: 60s}}", model("slow")));
    let mut session = Session::with(&slow, &["--direct"]);
    session.until_ready("slow");
    let pids = session.pids();
    session.signal(Signal::TERM);
    session.until("draining", |event| event["event"] == "draining");
    let begun = Instant::now();
    session.signal(Signal::TERM);
    assert_eq!(session.ended().code(), Some(143));
    assert!(begun.elapsed() < Duration::from_secs(10) && pids.iter().all(|pid| !runs(*pid)));
}
