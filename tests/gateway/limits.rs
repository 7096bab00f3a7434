//! Bounds: of bodies, of what is kept for a second try, of a client's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use modelyard::gateway::{Absent, Limits, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::front::{front, front_within, post, raw, route};
use crate::replica::{Chunks, chunks, hanging_up, replica};

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_over_the_limit_is_413_however_it_comes() {
    let reading = replica(|request: Request<Incoming>| async move {
        let read = request.into_body().collect().await;
        Response::new(chunks(vec![if read.is_ok() { "read" } else { "cut" }]))
    })
    .await;
    // The replica takes all: it is never sent so much that it has to refuse, which it might do while more is on its way.
    let limited = Route { max_request_bytes: 100_000, ..route(&[reading], Absent::Starting) };
    let front = front(&[("m", limited)]);
    let chunked = async |pieces: usize| {
        let pieces = (0..pieces).map(|_| Ok(Frame::data(Bytes::from(vec![7; 10_000]))));
        let body: Chunks = StreamBody::new(Box::pin(futures_util::stream::iter(pieces.collect::<Vec<_>>())));
        let request = Request::post(front.url("/v2/models/m/infer")).body(body).unwrap();
        let client: Client<_, Chunks> = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.unwrap();
        (response.status(), String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    };
    assert_eq!(chunked(10).await, (StatusCode::OK, "read".to_owned()));
    for pieces in [11, 12, 40] {
        let (status, words) = chunked(pieces).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{pieces} pieces: {words}");
    }
}

#[tokio::test]
async fn past_the_budget_a_request_is_served_and_not_repeated() {
    let count = Arc::<AtomicUsize>::default();
    let dying = [hanging_up(Arc::clone(&count)).await, hanging_up(Arc::clone(&count)).await];
    for (kept_bytes, sent) in [(1, 2), (0, 1)] {
        count.store(0, Ordering::SeqCst);
        let front = front_within(&[("m", route(&dying, Absent::Starting))], Limits { kept_bytes, ..Limits::default() });
        let (status, _) = post(&front.url("/v2/models/m/infer"), "{}").await;
        assert_eq!((status, count.load(Ordering::SeqCst)), (StatusCode::BAD_GATEWAY, sent), "{kept_bytes} bytes are kept");
    }
    let good = replica(|request: Request<Incoming>| async move {
        let length = request.into_body().collect().await.unwrap().to_bytes().len();
        Response::new(chunks(vec![if length == 2 { "good" } else { "bad" }]))
    })
    .await;
    let front = front_within(&[("m", route(&[good], Absent::Starting))], Limits { kept_bytes: 0, ..Limits::default() });
    assert_eq!(post(&front.url("/v2/models/m/infer"), "{}").await, (StatusCode::OK, "good".to_owned()));
    // A list has to be asked of several, so its body must be kept.
    let (status, words) = post(&front.url("/v2/repository/index"), "{}").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_own_faults_are_no_fault_of_a_replica() {
    let reads_all = |request: Request<Incoming>| async move {
        let _ = request.into_body().collect().await;
        Response::new(chunks(vec!["answered"]))
    };
    let mut limited = route(&[replica(reads_all).await], Absent::Starting);
    (limited.max_request_bytes, limited.timeout) = (100, Duration::from_millis(200));
    let front = front(&[("m", limited)]);
    let post = "POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\n";
    for (request, status, words) in [
        (format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\n"), "400", "not in chunks"),
        (format!("{post}content-length: 101\r\nexpect: 100-continue\r\n\r\n"), "413", "100 bytes"),
        (format!("{post}content-length: 10\r\n\r\nslow"), "408", "did not come"),
        ("DELETE / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "405", "DELETE"),
        (format!("{post}content-length: 10\r\n\r\n0123456789"), "200", "answered"),
    ] {
        let answer = raw(&front, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        assert!(answer.contains(words), "{request:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_short_is_a_time_out_as_a_servers() {
    let reads_all = |request: Request<Incoming>| async move {
        let _ = request.into_body().collect().await;
        Response::new(chunks(vec!["answered"]))
    };
    let front = front(&[("m", route(&[replica(reads_all).await], Absent::Starting))]);
    for more in ["content-length: 10\r\n\r\nslow", "transfer-encoding: chunked\r\n\r\n5\r\nsl"] {
        let mut stream = TcpStream::connect(front.running.address()).await.unwrap();
        stream.write_all(format!("POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\n{more}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("cut short"), "{more}: {answer}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up_and_an_idle_connection_is_kept() {
    let limits = Limits { head: Duration::from_millis(200), ..Limits::default() };
    let front = front_within(&[("m", route(&[], Absent::Zero))], limits);
    let mut idle = TcpStream::connect(front.running.address()).await.unwrap();
    let mut used = TcpStream::connect(front.running.address()).await.unwrap();
    let whole = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    let answered = async |stream: &mut TcpStream| {
        stream.write_all(whole.as_bytes()).await.unwrap();
        let mut answer = [0; 1024];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap().unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 "), "{:?}", String::from_utf8_lossy(&answer[..read]));
    };
    answered(&mut used).await;
    let mut slow = TcpStream::connect(front.running.address()).await.unwrap();
    slow.write_all(&whole.as_bytes()[..20]).await.unwrap();
    // It is closed, with or without a word.
    let closed = tokio::time::timeout(Duration::from_secs(10), slow.read_to_end(&mut Vec::new())).await;
    assert!(closed.is_ok(), "the head is waited for");
    answered(&mut used).await;
    answered(&mut idle).await;
}
