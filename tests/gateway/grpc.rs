//! gRPC: relayed, and the gateway's own answers.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use modelyard::gateway::{Absent, Route};
use tokio::sync::mpsc;

use crate::front::{front, route};
use crate::replica::{Chunks, chunks, replica};

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
