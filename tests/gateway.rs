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
use modelyard::gateway::{self, Absent, Backend, Limits, Route, Running, Table};
use modelyard_wire::proto::inference::RepositoryIndexResponse;
use modelyard_wire::proto::inference::repository_index_response::ModelIndex;
use prost::Message;
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
    Route {
        deployment: "d".into(),
        version: Some(1),
        backends,
        absent,
        timeout: Duration::from_secs(20),
        max_request_bytes: 64 << 20,
    }
}

fn table(routes: &[(&str, Route)]) -> Arc<Table> {
    Arc::new(Table { models: routes.iter().map(|(name, route)| ((*name).to_owned(), route.clone())).collect(), draining: false })
}

fn front(routes: &[(&str, Route)]) -> Front {
    front_within(routes, Limits::default())
}

fn front_within(routes: &[(&str, Route)], limits: Limits) -> Front {
    let (tables, receiver) = watch::channel(table(routes));
    let running = gateway::start(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), receiver, limits).unwrap();
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

#[tokio::test]
async fn a_grpc_client_that_stops_within_a_message_is_let_go() {
    let reading = replica(|request: Request<Incoming>| async move {
        let _ = request.into_body().collect().await;
        Response::new(chunks(vec![]))
    })
    .await;
    let hasty = Route { timeout: Duration::from_millis(200), ..route(&[reading], Absent::Starting) };
    let front = front(&[("m", hasty)]);
    let client: Client<_, Chunks> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let whole = frame(&[0x12, 50]);
    for (method, sent) in [
        // Before the model's name, after it, and after a whole message of a stream.
        ("ModelInfer", whole.slice(..6)),
        ("ModelInfer", Bytes::from_static(&[0, 0, 0, 0, 60, 0x0a, 1, b'm', 0x12])),
        ("ModelStreamInfer", Bytes::from_static(&[0, 0, 0, 0, 60, 0x0a, 1, b'm', 0x12])),
        ("ModelStreamInfer", [frame(b""), whole.slice(..6)].concat().into()),
        ("RepositoryIndex", whole.slice(..3)),
        ("NoSuchMethod", whole.slice(..3)),
    ] {
        let silent = futures_util::stream::StreamExt::chain(
            futures_util::stream::iter([Ok(Frame::data(sent))]),
            futures_util::stream::pending(),
        );
        let body: Chunks = StreamBody::new(Box::pin(silent));
        let request = Request::post(front.url(&format!("/inference.GRPCInferenceService/{method}")))
            .header("content-type", "application/grpc")
            .body(body)
            .unwrap();
        // Well before the grace that a relayed call has.
        let response = tokio::time::timeout(Duration::from_secs(4), client.request(request)).await.expect(method).unwrap();
        assert_eq!(response.headers()["grpc-status"], "4", "{method}: {response:?}");
    }
}

/// A replica that lists these models, as far as the lists' paths go.
async fn listing(index: &'static str, models: &'static str) -> SocketAddr {
    replica(move |request: Request<Incoming>| async move {
        let list = match request.uri().path() {
            "/v2/repository/index" => index,
            "/inference.GRPCInferenceService/RepositoryIndex" => {
                let models = vec![ModelIndex { name: "a".to_owned(), state: "READY".to_owned(), ..ModelIndex::default() }];
                let message = RepositoryIndexResponse { models }.encode_to_vec();
                let head = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes()].concat();
                let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
                let frames = [Ok(Frame::data([head, message].concat().into())), Ok(Frame::trailers(trailers))];
                return Response::new(StreamBody::new(Box::pin(futures_util::stream::iter(frames)) as _));
            }
            "/" => {
                r#"{"models": [{"name": "a", "inputs": [{"name": "<x>", "datatype": "FP32", "shape": [1]}], "try": "curl 'a'"}]}"#
            }
            _ => models,
        };
        Response::new(chunks(vec![list]))
    })
    .await
}

#[tokio::test]
async fn lists_name_what_does_not_answer_and_say_why() {
    let good = listing(r#"[{"name": "a", "version": "1", "state": "READY"}]"#, r#"{"models": ["a"]}"#).await;
    let hanging = replica(|_| std::future::pending::<Response<Chunks>>()).await;
    let of = |deployment: &str, route: Route| Route { deployment: deployment.into(), ..route };
    let routes = [
        ("a", of("good", route(&[good], Absent::Starting))),
        ("b", of("bad", route(&[], Absent::Failing("no such file".to_owned())))),
        ("h", of("hung", route(&[hanging], Absent::Starting))),
        ("s", of("new", route(&[], Absent::Starting))),
        ("z", of("none", route(&[], Absent::Zero))),
    ];
    let front = front_within(&routes, Limits { part: Duration::from_millis(300), ..Limits::default() });
    let begun = Instant::now();
    let get = async |path: &str| {
        let request = Request::get(front.url(path)).header("accept", "text/html").body(Full::default()).unwrap();
        let response = client().request(request).await.unwrap();
        let (head, body) = response.into_parts();
        (head, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
    };
    let (status, index) = post(&front.url("/v2/repository/index"), "{}").await;
    let hung = "a replica was asked: it did not answer within 300ms";
    let unavailable = serde_json::json!([
        {"name": "b", "version": "1", "state": "UNAVAILABLE", "reason": "no such file"},
        {"name": "h", "version": "1", "state": "UNAVAILABLE", "reason": hung},
        {"name": "s", "version": "1", "state": "LOADING"},
        {"name": "z", "version": "1", "state": "UNAVAILABLE", "reason": "it has no replicas (replicas: 0)"},
    ]);
    let mut all = vec![serde_json::json!({"name": "a", "version": "1", "state": "READY"})];
    all.extend(unavailable.as_array().unwrap().clone());
    assert_eq!((status, serde_json::from_str::<Vec<serde_json::Value>>(&index).unwrap()), (StatusCode::OK, all.clone()));
    let (_, ready) = post(&front.url("/v2/repository/index"), r#"{"ready": true}"#).await;
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&ready).unwrap(), all[..1]);
    for path in ["/v2/models", "/v1/models"] {
        let (head, body) = get(path).await;
        let list: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(list, serde_json::json!({"models": ["a", "b", "h", "s", "z"], "unavailable": unavailable}), "{path}");
        assert_eq!(head.headers["x-modelyard-missing"], "hung: it did not answer within 300ms");
    }

    let (head, page) = get("/").await;
    assert_eq!(head.headers["content-type"], "text/html; charset=utf-8");
    for words in [
        "<h3>a <small>version 1, deployment good, 1 replica</small> <span class=\"state READY\">",
        "<code>&lt;x&gt;</code></td><td>FP32</td><td>[1]",
        "curl &#39;a&#39;",
        "<h3>b <small>version 1, deployment bad, 0 replicas</small> <span class=\"state UNAVAILABLE\">UNAVAILABLE</span></h3><p>no such file</p>",
        &format!("<pre>curl http://{}/v2/models/h</pre>", front.running.address()),
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let tools = client().request(Request::get(front.url("/")).body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(tools.headers()["content-type"], "application/json");

    let call: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    for (sent, expected) in [(&[0, 0, 0, 0, 0][..], &["a", "b", "h", "s", "z"][..]), (&[0, 0, 0, 0, 2, 0x10, 1], &["a"])] {
        let request = Request::post(front.url("/inference.GRPCInferenceService/RepositoryIndex"))
            .header("content-type", "application/grpc")
            .body(Full::new(Bytes::copy_from_slice(sent)))
            .unwrap();
        let body = call.request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        let models = RepositoryIndexResponse::decode(&body[5..]).unwrap().models;
        assert_eq!(models.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), expected);
        assert!(expected.len() < 5 || models[1].reason == "no such file", "{models:?}");
    }
    // One after another, six answers that each wait for the one that hangs.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn lists_are_given_while_nothing_answers() {
    let front = front(&[("b", route(&[], Absent::Failing("no such file".to_owned())))]);
    let (status, index) = post(&front.url("/v2/repository/index"), "").await;
    let entry = serde_json::json!([{"name": "b", "version": "1", "state": "UNAVAILABLE", "reason": "no such file"}]);
    assert_eq!((status, serde_json::from_str::<serde_json::Value>(&index).unwrap()), (StatusCode::OK, entry));
    let get =
        async |path: &str| client().request(Request::get(front.url(path)).body(Full::default()).unwrap()).await.unwrap().status();
    assert_eq!(get("/v1/models").await, StatusCode::OK);
    assert_eq!(get("/v2/repository/index").await, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(get("/openapi.json").await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn counts_come_from_those_that_answer() {
    let counting = replica(|_| async {
        Response::new(chunks(vec![r#"{"model_stats": [{"name": "m", "version": "1", "inference_count": 3}]}"#]))
    })
    .await;
    let hanging = replica(|_| std::future::pending::<Response<Chunks>>()).await;
    let routes = [("m", route(&[counting, hanging, counting], Absent::Starting))];
    let front = front_within(&routes, Limits { part: Duration::from_millis(300), ..Limits::default() });
    let response = client().request(Request::get(front.url("/v2/models/m/stats")).body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["x-modelyard-missing"], "d: it did not answer within 300ms");
    let counts: serde_json::Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(counts["model_stats"][0]["inference_count"], 6);
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
