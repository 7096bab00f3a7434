//! Clients that idle, break off, babble, flood or hurry.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::http::{Connection, post, request};
use crate::server::{Server, eventually, mnist, mnist_body};

/// The bodies' limit in these tests.
const LIMIT: usize = 100_000;

fn start() -> Server {
    Server::start(&[mnist()], &json!({ "maxRequestBytes": LIMIT }))
}

fn still_answers(server: &Server) {
    let answer = post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap();
    assert_eq!(answer.status, 200, "{}\n{}", answer.body, server.log());
}

/// Every connection of the test is closed on the server's side too.
fn nothing_leaked(server: &Server, before: usize) {
    // The connection to the admin port of an earlier question may have been open when they were counted.
    eventually("the descriptors come back", || (server.descriptors() <= before + 1).then_some(()));
}

#[test]
fn a_thousand_idle_connections_hinder_nobody() {
    let server = start();
    server.may_open_as_many_files_as_allowed();
    // This process needs as many as the server.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    still_answers(&server);
    let before = server.descriptors();
    let idle: Vec<_> = (0..1000).map(|_| Connection::open(server.address()).unwrap()).collect();
    let begun: Vec<_> = (0..100)
        .map(|_| {
            let mut connection = Connection::open(server.address()).unwrap();
            connection.send(b"POST /v1/models/mnist:pre").unwrap();
            connection
        })
        .collect();
    // A connection of the questions before may still have been open when they were counted.
    eventually("all are accepted", || (server.descriptors() + 5 >= before + 1100).then_some(()));
    (0..20).for_each(|_| still_answers(&server));
    drop((idle, begun));
    nothing_leaked(&server, before);
}

#[test]
fn half_closed_connections_neither_hang_nor_leak() {
    let server = start();
    still_answers(&server);
    let before = server.descriptors();
    let whole = request("/v1/models/mnist:predict", &mnist_body(1));
    // After a whole request it is taken for a client that has gone, whose work is dropped (docs/server.md): the two look alike. It may
    // as well have been answered by then.
    for cut in [0, 5, 40, whole.len() / 2, whole.len() - 1, whole.len()] {
        let mut connection = Connection::open(server.address()).unwrap();
        connection.send(&whole[..cut]).unwrap();
        connection.stream.shutdown(Shutdown::Write).unwrap();
        assert!(connection.is_closed(), "cut after {cut} bytes");
    }
    still_answers(&server);
    nothing_leaked(&server, before);
}

#[test]
fn an_oversize_head_is_431() {
    let server = start();
    for head in [
        format!("GET /v2 HTTP/1.1\r\nhost: test\r\nlong: {}\r\n\r\n", "a".repeat(300 << 10)),
        format!("GET /v2?{} HTTP/1.1\r\nhost: test\r\n\r\n", "a".repeat(300 << 10)),
        format!("GET /v2 HTTP/1.1\r\nhost: test\r\n{}\r\n", "many: a\r\n".repeat(1000)),
    ] {
        let mut connection = Connection::open(server.address()).unwrap();
        // The answer may come before all was sent.
        let _ = connection.send(head.as_bytes());
        let status = connection.read().unwrap().status;
        assert!([431, 414].contains(&status), "{status}");
        assert!(connection.is_closed());
    }
    still_answers(&server);
}

#[test]
fn a_body_declared_too_large_is_413_before_it_is_sent() {
    let server = start();
    for path in ["/v1/models/mnist:predict", "/v2/models/mnist/infer"] {
        let mut connection = Connection::open(server.address()).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", LIMIT + 1);
        connection.send(head.as_bytes()).unwrap();
        let answer = connection.read().unwrap();
        assert_eq!(answer.status, 413, "{}", answer.body);
        assert!(answer.body.contains(&LIMIT.to_string()), "{}", answer.body);
    }
    still_answers(&server);
}

#[test]
fn an_endless_body_is_cut_at_the_limit() {
    let server = start();
    let before = server.resident();
    let mut connection = Connection::open(server.address()).unwrap();
    connection.send(b"POST /v1/models/mnist:predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    let refused = loop {
        match connection.stream.write_all(&chunk) {
            Ok(()) => sent += chunk.len(),
            Err(error) => break error.kind(),
        }
        assert!(sent < 64 << 20, "{sent} bytes were taken");
    };
    assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&refused), "{refused}");
    assert!(server.resident() < before + (16 << 20));
    still_answers(&server);
}

#[test]
fn an_endless_body_is_told_why() {
    let server = start();
    let mut connection = Connection::open(server.address()).unwrap();
    connection.send(b"POST /v1/models/mnist:predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    connection.send(&chunk).unwrap();
    connection.send(&chunk).unwrap();
    assert_eq!(connection.read().unwrap().status, 413);
}

#[test]
fn chunks_that_are_none_are_400_and_a_body_that_stalls_408() {
    let server = Server::start(&[mnist()], &json!({ "requestTimeout": "300ms" }));
    let head = "POST /v1/models/mnist:predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
    for (chunks, status, reason) in [
        ("zz\r\n", 400, "not in chunks, as its head says (Transfer-Encoding): Invalid chunk size"),
        ("\r\n", 400, "not in chunks"),
        ("fffffffffffffffff\r\n", 400, "not in chunks"),
        ("3\r\n{}  oh\r\n", 400, "not in chunks"),
        ("3\r\n{", 408, "did not come within the request timeout"),
        ("", 408, "did not come within the request timeout"),
    ] {
        let mut connection = Connection::open(server.address()).unwrap();
        connection.send([head, chunks].concat().as_bytes()).unwrap();
        let answer = connection.read().unwrap();
        assert!(answer.status == status && answer.body.contains(reason), "{chunks:?}: {} {}", answer.status, answer.body);
        assert!(connection.is_closed());
    }
    still_answers(&server);
}

#[test]
fn garbage_closes_the_connection() {
    let server = start();
    let before = server.descriptors();
    let noise: Vec<u8> = (0..4096_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let prefaced = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &noise].concat();
    for bytes in [
        noise.as_slice(),
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello",
        b"\r\n\r\nHELO\r\n\r\n",
        &prefaced,
    ] {
        let mut connection = Connection::open(server.address()).unwrap();
        let _ = connection.send(bytes);
        let _ = connection.stream.shutdown(Shutdown::Write);
        assert!(connection.is_closed(), "{:?}", &bytes[..8]);
    }
    still_answers(&server);
    nothing_leaked(&server, before);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = start();
    let mut connection = Connection::open(server.address()).unwrap();
    let body = |index: usize| {
        let data = vec![0.5; 784];
        let input = json!({ "name": "pixels", "shape": [1, 784], "datatype": "FP32", "data": data });
        json!({ "id": index.to_string(), "inputs": [input] }).to_string()
    };
    let mut sender = connection.stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let all: Vec<u8> = (0..200).flat_map(|index| request("/v2/models/mnist/infer", &body(index))).collect();
            sender.write_all(&all).unwrap();
        });
        for index in 0..200 {
            let answer = connection.read().unwrap();
            assert_eq!((answer.status, answer.json()["id"].as_str()), (200, Some(index.to_string().as_str())), "{}", answer.body);
        }
    });
}
