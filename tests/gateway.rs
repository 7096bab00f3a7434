//! The gateway before replicas that misbehave: they are raw sockets or bare servers, so that every byte and every cut is the test's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use modelyard::gateway::{self, Absent, Backend, Route, Running, Table};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

type Chunks = StreamBody<futures_util::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// A gateway, and the hand that publishes its table.
struct Front {
    running: Running,
    tables: watch::Sender<Arc<Table>>,
}

fn route(backends: &[SocketAddr], absent: Absent) -> Route {
    let backends = backends.iter().map(|address| Arc::new(Backend::new(*address))).collect();
    Route { deployment: "d".into(), backends, absent, timeout: Duration::from_secs(20), max_request_bytes: 64 << 20 }
}

fn table(routes: &[(&str, Route)]) -> Arc<Table> {
    Arc::new(Table { models: routes.iter().map(|(name, route)| ((*name).to_owned(), route.clone())).collect(), draining: false })
}

fn front(routes: &[(&str, Route)]) -> Front {
    let (tables, receiver) = watch::channel(table(routes));
    let running = gateway::start(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), receiver).unwrap();
    Front { running, tables }
}

impl Front {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address())
    }
}

/// A replica that answers with hyper.
async fn replica<F, A>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Chunks>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                // The gateway may cut the connection: that is what some tests are about.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// A replica that reads a request's first bytes and closes without a word; counts them.
async fn hanging_up(count: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                if stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    address
}

/// An address on which nobody listens.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn chunks(pieces: Vec<&'static str>) -> Chunks {
    let frames = pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
    StreamBody::new(Box::pin(futures_util::stream::iter(frames)))
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn post(url: &str, body: &'static str) -> (StatusCode, String) {
    let response = client().request(Request::post(url).body(Full::from(body)).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

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
    ]);
    let url = front.url("/v2/models/m/infer");
    let waiting = tokio::spawn(async move { post(&url, "{}").await });
    for (path, words) in [
        ("/v2/models/zero/infer", "replicas: 0"),
        ("/v2/models/bad/infer", "no such file"),
        ("/v2/repository/models/m/load", "not ready yet"),
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

/// A gRPC frame whose message names model `m` in field 1.
fn frame(more: &[u8]) -> Bytes {
    let mut message = vec![0x0a, 1, b'm'];
    message.extend_from_slice(more);
    let mut bytes = vec![0];
    bytes.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&message);
    bytes.into()
}

#[tokio::test]
async fn grpc_streams_go_back_and_forth_with_trailers() {
    let address = replica(|request| async move {
        let mut body = request.into_body();
        let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
        tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(piece) = frame.into_data() else { break };
                sender.send(Ok(Frame::data(piece))).await.unwrap();
            }
            let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
            sender.send(Ok(Frame::trailers(trailers))).await.unwrap();
        });
        let stream = futures_util::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        Response::new(StreamBody::new(Box::pin(stream) as _))
    })
    .await;
    let front = front(&[("m", route(&[address], Absent::Starting))]);
    let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    let client: Client<_, Chunks> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(front.url("/inference.GRPCInferenceService/ModelStreamInfer"))
        .header("content-type", "application/grpc")
        .body(StreamBody::new(Box::pin(stream) as _))
        .unwrap();
    let asking = tokio::spawn(async move { client.request(request).await.unwrap() });
    // Each message is answered before the next is sent.
    sender.send(Ok(Frame::data(frame(b"")))).await.unwrap();
    let mut answer = asking.await.unwrap().into_body();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), frame(b""));
    for count in 0..5 {
        let message = frame(&[0x10, count]);
        sender.send(Ok(Frame::data(message.clone()))).await.unwrap();
        assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), message);
    }
    drop(sender);
    assert_eq!(answer.frame().await.unwrap().unwrap().into_trailers().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn the_gateways_own_grpc_answers_are_grpc() {
    let front = front(&[("m", route(&[], Absent::Failing("100% broken".to_owned())))]);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let call = async |method: &str, body: Bytes| {
        let request = Request::post(front.url(&format!("/inference.GRPCInferenceService/{method}")))
            .header("content-type", "application/grpc")
            .body(Full::new(body))
            .unwrap();
        let (head, body) = client.request(request).await.unwrap().into_parts();
        assert_eq!((head.status, &head.headers["content-type"]), (StatusCode::OK, &"application/grpc".parse().unwrap()));
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or(head.headers);
        let message = trailers.get("grpc-message").map_or("", |value| value.to_str().unwrap()).to_owned();
        (trailers["grpc-status"].to_str().unwrap().to_owned(), message, body.to_bytes())
    };
    let (status, message, _) = call("ModelInfer", frame(b"")).await;
    assert_eq!((status.as_str(), message.as_str()), ("14", "model 'm' is not ready: 100%25 broken"));
    let unknown = Bytes::from_static(&[0, 0, 0, 0, 3, 0x0a, 1, b'x']);
    assert_eq!(call("ModelInfer", unknown).await.0, "5");
    assert_eq!(call("ModelInfer", Bytes::from_static(&[0, 0, 0, 0, 0])).await.0, "3");
    assert_eq!(call("ModelInfer", Bytes::from_static(&[0, 0, 0])).await.0, "3");
    assert_eq!(
        call("ServerLive", Bytes::from_static(&[0; 5])).await,
        ("0".to_owned(), String::new(), Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]))
    );
    assert_eq!(call("ServerReady", Bytes::from_static(&[0; 5])).await.2, Bytes::from_static(&[0; 5]));
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

/// Sends `request` as it stands, and reads what comes until the connection ends or says enough.
async fn raw(front: &Front, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(front.running.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
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
        (format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\n"), "400", "malformed"),
        (format!("{post}content-length: 101\r\nexpect: 100-continue\r\n\r\n"), "413", "100 bytes"),
        (format!("{post}content-length: 10\r\n\r\nslow"), "504", "did not come"),
        ("DELETE / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "405", "DELETE"),
        (format!("{post}content-length: 10\r\n\r\n0123456789"), "200", "answered"),
    ] {
        let answer = raw(&front, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        assert!(answer.contains(words), "{request:?}: {answer}");
    }
}
