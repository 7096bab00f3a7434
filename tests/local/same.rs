//! What the one port answers is what a replica answers on a port of its own, strange requests included.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::session::{Session, mnist, one};

/// The status line of the answer to a request; one that is `cut` ends with its last byte.
async fn status(address: SocketAddr, request: &str, cut: bool) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    if cut {
        stream.shutdown().await.unwrap();
    }
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.expect(request).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Of a gRPC call: HTTP's status, gRPC's, its message, and the body.
async fn call(address: SocketAddr, path: &str, kind: &str, encoding: &str, body: &[u8]) -> (u16, String, String, Bytes) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(format!("http://{address}{path}"))
        .header("content-type", kind)
        .header("grpc-encoding", encoding)
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or(head.headers);
    let text = |name: &str| trailers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    (head.status.as_u16(), text("grpc-status"), text("grpc-message"), body.to_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_requests_are_answered_alike() {
    let mut session = Session::with(&mnist(1, ""), &["--direct"]);
    let ready = session.until_ready("mnist");
    let port = u16::try_from(one(&ready, "mnist")["replicas"][0]["port"].as_u64().unwrap()).unwrap();
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    let gateway: SocketAddr = session.url.strip_prefix("http://").unwrap().parse().unwrap();

    let infer = "POST /v2/models/mnist/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    for (request, cut) in [
        ("POST /inference.GRPCInferenceService/ServerLive HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n".to_owned(), false),
        ("CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\nconnection: close\r\n\r\n".to_owned(), false),
        ("GET /v2/health/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), false),
        (format!("{infer}content-length: 10\r\n\r\nslow"), true),
        (format!("{infer}transfer-encoding: chunked\r\n\r\n5\r\nsl"), true),
    ] {
        let (here, there) = (status(gateway, &request, cut).await, status(server, &request, cut).await);
        assert!(here == there && here.starts_with("HTTP/1.1 "), "{request:?}: '{here}' and '{there}'");
    }

    let live = "/inference.GRPCInferenceService/ServerLive";
    let model_ready = "/inference.GRPCInferenceService/ModelReady";
    let (plain, none) = ("application/grpc", &[0; 5][..]);
    let named = |field: u8, name: &str| {
        let length = u8::try_from(name.len()).unwrap();
        [&[0, 0, 0, 0, length + 2, field << 3 | 2, length], name.as_bytes()].concat()
    };
    for (path, kind, encoding, body) in [
        (live, plain, "identity", none.to_vec()),
        (live, "application/grpc-web", "identity", none.to_vec()),
        (live, "application/grpc+json", "identity", none.to_vec()),
        (live, plain, "identity", vec![]),
        (live, plain, "identity", vec![2, 0, 0, 0, 0]),
        (live, plain, "identity", vec![1, 0, 0, 0, 0]),
        (live, plain, "identity", vec![0; 10]),
        (live, plain, "br", none.to_vec()),
        (model_ready, plain, "identity", none.to_vec()),
        (model_ready, plain, "identity", named(1, "nobody")),
        (model_ready, plain, "identity", named(1, "mnist")),
        ("/inference.GRPCInferenceService/ModelStreamInfer", plain, "identity", vec![]),
        ("/tensorflow.serving.PredictionService/Classify", plain, "identity", none.to_vec()),
        ("/tensorflow.serving.PredictionService/NoSuch", plain, "identity", none.to_vec()),
    ] {
        let (here, there) = (call(gateway, path, kind, encoding, &body).await, call(server, path, kind, encoding, &body).await);
        assert_eq!(here, there, "{path} {kind} {encoding} {body:?}");
    }
    // The one answer that differs on purpose: the flag that a server names is none of local mode's.
    let load = "/inference.GRPCInferenceService/RepositoryModelLoad";
    for name in ["mnist", "nobody"] {
        let (_, status, words, _) = call(gateway, load, plain, "identity", &named(2, name)).await;
        assert!(status == "7" && words.contains("modelyard local") && !words.contains("--allow-control"), "{name}: {words}");
    }
}
