//! A request and its answer on their way through: what is passed on, sent again, waited for and broken off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use modelyard::gateway::Absent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::front::{client, front, post, raw, route, table};
use crate::replica::{chunks, hanging_up, nobody, replica};

#[tokio::test]
async fn headers_and_bodies_go_through_both_ways() {
    let address = replica(|request| async move {
        let told = |name: &str| request.headers().get(name).map_or("none", |value| value.to_str().unwrap()).to_owned();
        let seen = format!("{} {} {} {}", told("host"), told("x-forwarded-for"), told("connection"), told("x-mine"));
        let path = request.uri().to_string();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut response = Response::new(chunks(vec!["one ", "two"]));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response.headers_mut().insert("x-seen", seen.parse().unwrap());
        response.headers_mut().insert("x-path", path.parse().unwrap());
        response.headers_mut().insert("x-length", body.len().into());
        response.headers_mut().insert("keep-alive", "timeout=5".parse().unwrap());
        response
    })
    .await;
    let front = front(&[("m", route(&[address], Absent::Starting))]);
    // Above a megabyte bodies are streamed rather than gathered.
    for length in [0, 100, 3 << 20] {
        let request = Request::post(front.url("/v2/models/m/infer?a=b"))
            .header("host", "models.example")
            .header("x-mine", "yes")
            .body(Full::new(Bytes::from(vec![7; length])))
            .unwrap();
        let response = client().request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(response.headers()["x-seen"], "models.example 127.0.0.1 none yes");
        assert_eq!(response.headers()["x-path"], "/v2/models/m/infer?a=b");
        assert_eq!(response.headers()["x-length"], length.to_string());
        assert!(!response.headers().contains_key("keep-alive"));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "one two");
    }
}

#[tokio::test]
async fn what_was_not_sent_goes_to_another_replica() {
    let good = replica(|_| async { Response::new(chunks(vec!["good"])) }).await;
    let front = front(&[("m", route(&[nobody(), nobody(), good], Absent::Starting))]);
    for _ in 0..20 {
        assert_eq!(post(&front.url("/v2/models/m/infer"), "{}").await, (StatusCode::OK, "good".to_owned()));
    }
}

#[tokio::test]
async fn what_was_sent_is_repeated_once_and_only_if_it_changes_nothing() {
    let count = Arc::<AtomicUsize>::default();
    let mut dying = Vec::new();
    for _ in 0..3 {
        dying.push(hanging_up(Arc::clone(&count)).await);
    }
    let front = front(&[("m", route(&dying, Absent::Starting))]);
    for (path, sent) in [("/v2/models/m/infer", 2), ("/v2/repository/models/m/load", 1)] {
        count.store(0, Ordering::SeqCst);
        let (status, body) = post(&front.url(path), "{}").await;
        assert_eq!((status, count.load(Ordering::SeqCst)), (StatusCode::BAD_GATEWAY, sent), "{path}: {body}");
        assert!(body.contains("ended before it answered"), "{body}");
    }
}

#[tokio::test]
async fn a_request_waits_for_a_replica_on_its_way_and_no_other() {
    let good = replica(|_| async { Response::new(chunks(vec!["good"])) }).await;
    let front = front(&[
        ("m", route(&[], Absent::Starting)),
        ("zero", route(&[], Absent::Zero)),
        ("bad", route(&[], Absent::Failing("no such file".to_owned()))),
        ("again", route(&[], Absent::Retrying("no answer".to_owned()))),
    ]);
    let url = front.url("/v2/models/m/infer");
    let waiting = tokio::spawn(async move { post(&url, "{}").await });
    for (path, words) in [
        ("/v2/models/zero/infer", "replicas: 0"),
        ("/v2/models/bad/infer", "no such file"),
        ("/v2/repository/models/m/load", "not ready yet"),
        ("/v2/repository/models/again/load", "not ready yet: no answer"),
    ] {
        let response = client().request(Request::post(front.url(path)).body(Full::from("{}")).unwrap()).await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["retry-after"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap())
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(words), "{body:?}");
    }
    assert_eq!(post(&front.url("/v2/models/other/infer"), "{}").await.0, StatusCode::NOT_FOUND);
    assert!(!waiting.is_finished());
    front.tables.send_replace(table(&[("m", route(&[good], Absent::Starting))]));
    assert_eq!(waiting.await.unwrap(), (StatusCode::OK, "good".to_owned()));
}

#[tokio::test]
async fn a_replica_that_dies_mid_answer_breaks_the_answer_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
    });
    let front = front(&[("m", route(&[address], Absent::Starting))]);
    let request = Request::post(front.url("/v2/models/m/infer")).body(Full::from("{}")).unwrap();
    let response = client().request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err(), "half an answer must not look whole");
}

#[tokio::test]
async fn nobody_gets_a_tunnel() {
    let good = replica(|_| async { Response::new(chunks(vec!["good"])) }).await;
    let front = front(&[("m", route(&[good], Absent::Starting))]);
    let answer = raw(&front, "CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("no proxy"), "{answer}");
}

/// Tells when it is dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn a_client_that_goes_takes_its_request_along() {
    let (gone, mut noticed) = mpsc::unbounded_channel();
    let (came, mut arrived) = mpsc::unbounded_channel();
    let address = replica(move |_| {
        let (held, came) = (Dropped(gone.clone()), came.clone());
        async move {
            came.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(held);
            Response::new(chunks(vec![]))
        }
    })
    .await;
    let front = front(&[("m", route(&[address], Absent::Starting))]);
    let url = front.url("/v2/models/m/infer");
    let asking = tokio::spawn(async move { post(&url, "{}").await });
    arrived.recv().await.unwrap();
    let backend = Arc::clone(&front.tables.borrow().models["m"].backends[0]);
    assert_eq!(backend.in_flight(), 1);
    asking.abort();
    let _ = asking.await;
    tokio::time::timeout(Duration::from_secs(10), noticed.recv()).await.expect("the replica computes for nobody").unwrap();
    assert_eq!(backend.in_flight(), 0);
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight_and_takes_no_more() {
    let (go, wait) = watch::channel(false);
    let (came, mut arrived) = mpsc::channel::<()>(1);
    let address = replica(move |_| {
        let (mut wait, came) = (wait.clone(), came.clone());
        async move {
            came.send(()).await.unwrap();
            wait.wait_for(|go| *go).await.unwrap();
            Response::new(chunks(vec!["done"]))
        }
    })
    .await;
    let front = front(&[("m", route(&[address], Absent::Starting))]);
    let (url, ready) = (front.url("/v2/models/m/infer"), front.url("/v2/health/ready"));
    let asking = tokio::spawn(async move { post(&url, "{}").await });
    arrived.recv().await.unwrap();
    let stopping = tokio::spawn(front.running.stop(Duration::from_secs(20)));
    let begun = Instant::now();
    let get = |url: &str| Request::builder().method(Method::GET).uri(url).body(Full::default()).unwrap();
    while client().request(get(&ready)).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert!(!stopping.is_finished());
    go.send_replace(true);
    assert_eq!(asking.await.unwrap(), (StatusCode::OK, "done".to_owned()));
    assert!(stopping.await.unwrap());
}
