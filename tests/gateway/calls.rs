//! gRPC calls that a server answers in a way of its own: the gateway's answers are the same.

use std::io::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use modelyard::gateway::Absent;

use crate::front::{Front, front, raw, route};
use crate::replica::{Chunks, replica};

/// The header of gRPC's status, and that of its messages' compression.
const STATUS: &str = "grpc-status";
const ENCODING: &str = "grpc-encoding";
/// A message whose field 1 is the text `m`.
const NAMED: &[u8] = &[0, 0, 0, 0, 3, 0x0a, 1, b'm'];
/// An answer whose field 1 is true, and one where it is not.
const TRUE: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
const FALSE: &[u8] = &[0; 5];

/// A replica that answers each call with its own message, and refuses those whose path has `refused` in it.
async fn echoing(refused: &'static str) -> SocketAddr {
    replica(move |request: Request<Incoming>| async move {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        if path.contains(refused) {
            let mut response = Response::new(StreamBody::new(Box::pin(futures_util::stream::empty()) as _));
            response.headers_mut().insert(STATUS, "7".parse().unwrap());
            response.headers_mut().insert("grpc-message", "start the server with --allow-control".parse().unwrap());
            return response;
        }
        let trailers = HeaderMap::from_iter([(STATUS.parse().unwrap(), "0".parse().unwrap())]);
        let frames: [Result<_, std::convert::Infallible>; 2] = [Ok(Frame::data(body)), Ok(Frame::trailers(trailers))];
        Response::new(StreamBody::new(Box::pin(futures_util::stream::iter(frames)) as _))
    })
    .await
}

/// gRPC's status, its message, and the body.
type Answer = (String, String, Bytes);

async fn call(front: &Front, method: &str, encoding: &str, body: &[u8]) -> Answer {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(front.url(method))
        .header("content-type", "application/grpc")
        .header(ENCODING, encoding)
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or(head.headers);
    let text = |name: &str| trailers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    (text(STATUS), text("grpc-message"), body.to_bytes())
}

async fn inference(front: &Front, method: &str, body: &[u8]) -> Answer {
    call(front, &format!("/inference.GRPCInferenceService/{method}"), "identity", body).await
}

#[tokio::test]
async fn each_compression_that_a_server_takes_is_taken() {
    let front = front(&[("m", route(&[echoing("nothing").await], Absent::Starting))]);
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&NAMED[5..]).unwrap();
    let packed = encoder.finish().unwrap();
    let framed = [&[1, 0, 0, 0, u8::try_from(packed.len()).unwrap()][..], &packed].concat();
    let infer = "/inference.GRPCInferenceService/ModelInfer";
    assert_eq!(call(&front, infer, "deflate", &framed).await, ("0".to_owned(), String::new(), framed.clone().into()));
    let (status, words, _) = call(&front, infer, "br", &framed).await;
    assert_eq!((status.as_str(), words.contains("'br'")), ("12", true), "{words}");
    // An answer of the gateway's own reads it too.
    let ready = "/inference.GRPCInferenceService/ServerReady";
    assert_eq!(call(&front, ready, "deflate", &framed).await.2, TRUE);
}

#[tokio::test]
async fn a_call_that_is_none_is_refused_in_https_words() {
    let front = front(&[("m", route(&[], Absent::Zero))]);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    for (kind, method, status) in [
        ("application/grpc-web", "POST", 415),
        ("application/grpc+json", "POST", 415),
        ("application/grpc", "PUT", 405),
        ("application/grpc+proto; a=b", "POST", 200),
    ] {
        let request = Request::builder().method(method).uri(front.url("/inference.GRPCInferenceService/ServerLive"));
        let request = request.header("content-type", kind).body(Full::from(FALSE)).unwrap();
        assert_eq!(client.request(request).await.unwrap().status(), status, "{kind} {method}");
    }
    let path = "/inference.GRPCInferenceService/ServerLive";
    let sent = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n");
    let answer = raw(&front, &sent).await;
    assert!(answer.starts_with("HTTP/1.1 415 ") && answer.contains("gRPC needs HTTP/2"), "{answer}");
}

#[tokio::test]
async fn what_the_gateway_answers_itself_it_reads_first() {
    let front = front(&[("m", route(&[], Absent::Zero))]);
    for (body, status) in [
        (FALSE, "0"),
        (NAMED, "0"),
        (&[], "3"),
        (&[2, 0, 0, 0, 0], "3"),
        (&[1, 0, 0, 0, 0], "3"),
        (&[0; 10], "3"),
        (&[0; 3], "3"),
    ] {
        for method in ["ServerLive", "ServerReady", "ModelReady"] {
            let (found, words, _) = inference(&front, method, body).await;
            assert_eq!(found, status, "{method} {body:?}: {words}");
        }
    }
}

#[tokio::test]
async fn a_model_that_does_not_answer_is_not_ready_rather_than_an_error() {
    let routes = [
        ("m", route(&[echoing("nothing").await], Absent::Starting)),
        ("z", route(&[], Absent::Zero)),
        ("b", route(&[], Absent::Failing("no such file".to_owned()))),
        ("s", route(&[], Absent::Starting)),
    ];
    let front = front(&routes);
    for name in [&b""[..], b"x", b"z", b"b", b"s"] {
        let length = u8::try_from(name.len()).unwrap();
        let message = [&[0, 0, 0, 0, 2 + length, 0x0a, length][..], name].concat();
        let answer = inference(&front, "ModelReady", &message).await;
        assert_eq!(answer, ("0".to_owned(), String::new(), FALSE.into()), "{name:?}");
    }
    assert_eq!(inference(&front, "ModelReady", NAMED).await.2, NAMED, "its replica answers");
}

#[tokio::test]
async fn what_names_no_model_is_answered_as_far_as_it_can_be() {
    let front = front(&[("m", route(&[echoing("Classify").await], Absent::Starting))]);
    let nothing = ("0".to_owned(), String::new(), Bytes::new());
    assert_eq!(inference(&front, "ModelStreamInfer", &[]).await, nothing);
    assert_eq!(inference(&front, "ModelStreamInfer", NAMED).await.2, NAMED);
    // Any replica says that it declines it.
    let classify = "/tensorflow.serving.PredictionService/Classify";
    assert_eq!(call(&front, classify, "identity", FALSE).await.0, "7");
}

#[tokio::test]
async fn loading_is_refused_in_words_that_are_true_here() {
    let grpc = front(&[("m", route(&[echoing("RepositoryModel").await], Absent::Starting))]);
    let named = [&[0, 0, 0, 0, 3, 0x12, 1][..], b"m"].concat();
    let (status, words, _) = inference(&grpc, "RepositoryModelLoad", &named).await;
    assert!(status == "7" && words.contains("modelyard local") && !words.contains("--allow-control"), "{status} {words}");
    let refusing = replica(|_| async {
        let mut response: Response<Chunks> = Response::new(crate::replica::chunks(vec!["--allow-control"]));
        *response.status_mut() = http::StatusCode::FORBIDDEN;
        response
    });
    let rest = front(&[("m", route(&[refusing.await], Absent::Starting))]);
    let (status, words) = crate::front::post(&rest.url("/v2/repository/models/m/unload"), "").await;
    assert!(status == 403 && words.contains("modelyard local") && !words.contains("--allow-control"), "{status} {words}");
    // That a model's own answer is 403 is its own matter.
    assert_eq!(crate::front::post(&rest.url("/v2/models/m/infer"), "").await.1, "--allow-control");
}
