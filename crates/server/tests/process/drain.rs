//! The end: no request fails that could have been answered.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::http::{Connection, get, post};
use crate::server::{Server, eventually, mnist, mnist_body, model};

#[test]
fn after_sigterm_it_is_not_ready_and_still_serves() {
    let mut server = Server::start(&[mnist()], &json!({ "drainDelay": "3s" }));
    server.terminate();
    eventually("readiness is off", || (get(server.admin(), "/readyz").unwrap().status == 503).then_some(()));
    assert_eq!(get(server.admin(), "/livez").unwrap().status, 200);
    let answer = post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(server.exit().code(), Some(0), "{}", server.log());
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = Server::start(&[mnist()], &json!({ "drainDelay": "1h" }));
    server.terminate();
    eventually("readiness is off", || (get(server.admin(), "/readyz").unwrap().status == 503).then_some(()));
    assert!(server.is_running());
    server.terminate();
    assert_eq!(server.exit().code(), Some(0), "{}", server.log());
}

/// Sends again and again, on one connection for as long as the server keeps it, until nobody is let in any more; counts what was
/// answered, and how often a connection was ended by an answer that said so.
fn keep_asking(server: &Server, answered: &AtomicUsize, ended: &AtomicUsize) {
    let body = mnist_body(1);
    while let Ok(mut connection) = Connection::open(server.address()) {
        for request in 0.. {
            match connection.post("/v1/models/mnist:predict", &body) {
                Ok(answer) => {
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    answered.fetch_add(1, Ordering::Relaxed);
                    if answer.header("connection").is_some_and(|value| value == "close") {
                        ended.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
                // Who comes as the door closes may not be let in; who was let in is never cut.
                Err(error) => {
                    let unread = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
                    assert!(request == 0 && unread.contains(&error.kind()), "request {request}: {error}");
                    break;
                }
            }
        }
    }
}

#[test]
fn no_request_fails_under_load_until_the_listener_closes() {
    let mut server = Server::start(&[mnist()], &json!({ "drainDelay": "3s" }));
    let (answered, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| keep_asking(&server, &answered, &ended));
        }
        eventually("there is load", || (answered.load(Ordering::Relaxed) > 100).then_some(()));
        assert_eq!(ended.load(Ordering::Relaxed), 0, "a connection ended before there was a reason");
        server.terminate();
        eventually("readiness is off", || {
            get(server.admin(), "/readyz").map_or(Some(()), |ready| (ready.status == 503).then_some(()))
        });
        // New connections too, all through the delay; each for one answer.
        let fresh = post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap();
        assert_eq!((fresh.status, fresh.header("connection")), (200, Some("close")));
        eventually("it serves on", || (ended.load(Ordering::Relaxed) > 8).then_some(()));
    });
    assert_eq!(server.exit().code(), Some(0), "{}", server.log());
}

#[test]
fn requests_in_flight_are_finished() {
    let mut server = Server::start(&[model("slow")], &json!({ "drainDelay": "0s", "threads": 2 }));
    let body = json!({ "instances": vec![vec![0.5; 256]; 4] }).to_string();
    let answers: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> = (0..3).map(|_| scope.spawn(|| post(server.address(), "/v1/models/slow:predict", &body))).collect();
        eventually("all are in flight", || (server.in_flight("slow") >= 3.0).then_some(()));
        server.terminate();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for answer in answers {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert_eq!(server.exit().code(), Some(0), "{}", server.log());
}
