//! Spans reach a collector, under the trace that the client began.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use serde_json::json;

use crate::http::{Connection, post, request};
use crate::server::{DEADLINE, Server, eventually, mnist, mnist_body};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// Takes the requests of one connection: their paths and bodies.
fn collect(stream: TcpStream, taken: &mpsc::Sender<(String, Vec<u8>)>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end().split_once([' ', ':']) {
                None => break,
                Some(("POST", rest)) => path = rest.split(' ').next().unwrap_or_default().to_owned(),
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().unwrap(),
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        if taken.send((path, body)).is_err() {
            return Ok(());
        }
    }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len()).step_by(2).map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_span_carries_the_clients_trace() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, taken) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            // Where the server closes first, there is nothing more to take.
            thread::spawn(move || collect(stream, &sender));
        }
    });
    let mut server = Server::start_with(&[mnist()], &json!({ "drainDelay": "0s" }), |command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "50");
    });
    let mut connection = Connection::open(server.address()).unwrap();
    let asked = String::from_utf8(request("/v1/models/mnist:predict", &mnist_body(1))).unwrap();
    let traced = asked.replacen("host: test", &format!("host: test\r\ntraceparent: 00-{TRACE}-{SPAN}-01"), 1);
    connection.send(traced.as_bytes()).unwrap();
    let answer = connection.read().unwrap();
    assert_eq!(answer.status, 200);
    let said = answer.header("traceparent").unwrap();
    assert!(said.starts_with(&format!("00-{TRACE}-")) && !said.contains(SPAN), "{said}");
    let holds = |body: &[u8], part: &[u8]| body.windows(part.len()).any(|window| window == part);
    loop {
        let (path, body) = taken.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("{error}: {}", server.log()));
        assert_eq!(path, "/v1/traces");
        if holds(&body, &bytes(TRACE)) && holds(&body, &bytes(SPAN)) && holds(&body, b"infer mnist") {
            break;
        }
    }
    server.terminate();
    assert_eq!(server.exit().code(), Some(0), "{}", server.log());
}

#[test]
fn lost_spans_are_warned_of_and_not_again_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut server = Server::start_with(&[mnist()], &json!({ "drainDelay": "0s" }), |command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "20");
    });
    let ask = || assert_eq!(post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap().status, 200);
    let warnings = || server.log().matches("spans were lost").count();
    ask();
    eventually("the first warning", || (warnings() > 0).then_some(()));
    // Each of these is sent by itself, or with others, and fails.
    (0..20).for_each(|_| ask());
    assert_eq!(warnings(), 1, "{}", server.log());
    server.terminate();
    assert_eq!(server.exit().code(), Some(0), "{}", server.log());
    // What was lost since is said at the end.
    assert_eq!(server.log().matches("spans were lost").count(), 2, "{}", server.log());
}

#[test]
fn a_collector_that_never_answers_holds_no_spans_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let mut server = Server::start_with(&[mnist()], &json!({ "drainDelay": "0s" }), |command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "20");
        command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "100");
    });
    assert_eq!(post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap().status, 200);
    // It is connected to, by the system, and nobody reads.
    eventually("the warning", || server.log().contains("no answer within 100ms").then_some(()));
    server.terminate();
    assert_eq!(server.exit().code(), Some(0), "{}", server.log());
}
