//! The end: no request fails that could have been answered.

use std::io;
use std::net::TcpStream;
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

/// Sends on one connection, again and again, until it is closed; counts what was answered.
fn keep_asking(server: &Server, answered: &AtomicUsize) {
    let body = mnist_body(1);
    let mut connection = Connection::open(server.address()).unwrap();
    loop {
        match connection.post("/v1/models/mnist:predict", &body) {
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{}", answer.body);
                answered.fetch_add(1, Ordering::Relaxed);
                if answer.header("connection").is_some_and(|value| value == "close") {
                    return;
                }
            }
            // An idle connection may be closed just when the next request is on its way: it was not read, and may be sent
            // elsewhere. An answer that was begun must be whole.
            Err(error) => {
                let unread = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
                assert!(unread.contains(&error.kind()), "{error}");
                return;
            }
        }
    }
}

#[test]
fn no_request_fails_under_load_until_the_listener_closes() {
    let mut server = Server::start(&[mnist()], &json!({ "drainDelay": "3s" }));
    let answered = AtomicUsize::new(0);
    let connection_ends = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                keep_asking(&server, &answered);
                connection_ends.fetch_add(1, Ordering::Relaxed);
                // By now, or at once, nobody is let in any more.
                eventually("the listener is closed", || TcpStream::connect(server.address()).err());
            });
        }
        eventually("there is load", || (answered.load(Ordering::Relaxed) > 100).then_some(()));
        server.terminate();
        eventually("readiness is off", || {
            get(server.admin(), "/readyz").map_or(Some(()), |ready| (ready.status == 503).then_some(()))
        });
        let before = answered.load(Ordering::Relaxed);
        assert_eq!(connection_ends.load(Ordering::Relaxed), 0, "a connection ended before the delay was over");
        // New connections too, all through the delay.
        let fresh = post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap();
        assert_eq!(fresh.status, 200);
        eventually("it serves on", || (answered.load(Ordering::Relaxed) > before + 4).then_some(()));
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
