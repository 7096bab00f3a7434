//! Time and queues: late work is answered 504 and not done, a gone client's work is dropped, a full queue says so, and a slow
//! model does not hold up a fast one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{Connection, post, request};
use crate::server::{Server, eventually, mnist, mnist_body, model};

/// Rows that keep the slow model busy for much longer than a test takes; they are never finished.
const LONG: usize = 2000;

fn slow(rows: usize, parameters: &Value) -> String {
    let input = json!({ "name": "x", "shape": [rows, 256], "datatype": "FP32", "data": vec![0.5; rows * 256] });
    json!({ "inputs": [input], "parameters": parameters }).to_string()
}

fn succeeded(server: &Server) -> f64 {
    server.metric("modelyard_requests_total", &["model=\"slow\"", "code=\"OK\""])
}

/// A request to the slow model whose answer is not waited for.
fn ask_slow(server: &Server) -> Connection {
    let mut connection = Connection::open(server.address()).unwrap();
    connection.send(&request("/v2/models/slow/infer", &slow(LONG, &json!({})))).unwrap();
    connection
}

#[test]
fn a_clients_deadline_is_kept() {
    let server = Server::start(&[model("slow")], &json!({ "threads": 1, "requestTimeout": "1h" }));
    let began = Instant::now();
    let answer = post(server.address(), "/v2/models/slow/infer", &slow(LONG, &json!({ "timeout": 50_000 }))).unwrap();
    assert_eq!(answer.status, 504, "{}", answer.body);
    assert!(answer.body.contains("50ms"), "{}", answer.body);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // The thread is free again: the run was stopped, not only given up.
    let next = post(server.address(), "/v2/models/slow/infer", &slow(1, &json!({}))).unwrap();
    assert_eq!(next.status, 200, "{}", next.body);
}

#[test]
fn the_servers_deadline_is_kept() {
    let server = Server::start(&[model("slow")], &json!({ "threads": 1, "requestTimeout": "100ms" }));
    assert_eq!(post(server.address(), "/v2/models/slow/infer", &slow(LONG, &json!({}))).unwrap().status, 504);
}

#[test]
fn a_client_that_goes_takes_its_work_along() {
    let server = Server::start(&[model("slow")], &json!({ "threads": 1, "requestTimeout": "1h" }));
    let (running, waiting) = (ask_slow(&server), ask_slow(&server));
    eventually("both are in flight", || (server.in_flight("slow") >= 2.0).then_some(()));
    drop((running, waiting));
    eventually("neither is any more", || (server.in_flight("slow") == 0.0).then_some(()));
    assert!(succeeded(&server) < 1.0);
    let next = post(server.address(), "/v2/models/slow/infer", &slow(1, &json!({}))).unwrap();
    assert_eq!(next.status, 200, "the thread is free again: {}", next.body);
}

#[test]
fn a_full_queue_is_503_with_retry_after() {
    let server = Server::start(&[model("slow")], &json!({ "threads": 1, "requestTimeout": "1h", "queue": { "maxLength": 1 } }));
    let queued = || server.metric("modelyard_queue_length", &["model=\"slow\""]);
    let _running = ask_slow(&server);
    eventually("one runs", || (server.in_flight("slow") >= 1.0 && queued() < 1.0).then_some(()));
    let _waiting = ask_slow(&server);
    eventually("one waits", || (queued() >= 1.0).then_some(()));
    let answer = post(server.address(), "/v2/models/slow/infer", &slow(1, &json!({}))).unwrap();
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.header("retry-after").is_some_and(|value| value.parse::<u32>().is_ok()), "{answer:?}");
    assert!(answer.body.contains("queue is full"), "{}", answer.body);
}

#[test]
fn a_slow_model_does_not_starve_a_fast_one() {
    let server = Server::start(&[model("slow"), mnist()], &json!({ "threads": 1, "requestTimeout": "1h" }));
    let busy: Vec<_> = (0..8).map(|_| ask_slow(&server)).collect();
    eventually("the slow model is busy", || (server.in_flight("slow") >= 8.0).then_some(()));
    let mut connection = Connection::open(server.address()).unwrap();
    for _ in 0..100 {
        assert_eq!(connection.post("/v1/models/mnist:predict", &mnist_body(1)).unwrap().status, 200);
    }
    assert!(server.in_flight("slow") >= 8.0, "it was busy all the time");
    drop(busy);
}
