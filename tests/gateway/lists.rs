//! Lists and counts, put together from what several replicas say.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use modelyard::gateway::{Absent, Limits, Route};
use modelyard_wire::proto::inference::RepositoryIndexResponse;
use modelyard_wire::proto::inference::repository_index_response::ModelIndex;
use prost::Message;

use crate::front::{client, front, front_within, post, raw, route};
use crate::replica::{Chunks, chunks, replica};

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

#[tokio::test]
async fn a_failed_model_is_unavailable_though_its_deployment_answers_for_others() {
    let both = listing("[]", r#"{"models": ["a", "f"]}"#).await;
    let routes = [("a", route(&[both], Absent::Starting)), ("f", route(&[], Absent::Failing("no such file".to_owned())))];
    let front = front(&routes);
    let unavailable = serde_json::json!([{"name": "f", "version": "1", "state": "UNAVAILABLE", "reason": "no such file"}]);
    for path in ["/v1/models", "/v2/models"] {
        let response = client().request(Request::get(front.url(path)).body(Full::default()).unwrap()).await.unwrap();
        let list: serde_json::Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
        assert_eq!(list, serde_json::json!({"models": ["a", "f"], "unavailable": unavailable}), "{path}");
    }
}

#[tokio::test]
async fn readiness_is_by_the_servers_rule_and_says_why_not() {
    let good = listing("[]", "{}").await;
    let failing = || route(&[], Absent::Failing("no such file".to_owned()));
    let ready = async |routes: &[(&str, Route)]| {
        let front = front(routes);
        let request = Request::get(front.url("/v2/health/ready")).body(Full::default()).unwrap();
        let response = client().request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice::<serde_json::Value>(&body).unwrap())
    };
    let (status, body) = ready(&[("a", route(&[good], Absent::Starting)), ("f", failing())]).await;
    assert_eq!((status, body), (StatusCode::OK, serde_json::json!({"live": true, "ready": true})));
    let (status, body) = ready(&[("f", failing()), ("z", route(&[], Absent::Zero))]).await;
    let why = "not ready: model 'f' fails: no such file";
    assert_eq!(
        (status, body),
        (StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({"live": true, "ready": false, "error": why}))
    );
}

#[tokio::test]
async fn a_request_for_a_list_may_come_in_chunks_and_not_be_large() {
    let front = front(&[("b", route(&[], Absent::Zero))]);
    let head = "POST /v2/repository/index HTTP/1.1\r\nhost: x\r\n";
    let (size, filler) = ((1 << 20) + 1, "x".repeat((1 << 20) + 1));
    for (request, status) in [
        (format!("{head}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"), 200),
        (format!("{head}content-length: 2\r\n\r\n{{}}"), 200),
        (format!("{head}content-length: {size}\r\n\r\n"), 413),
        (format!("{head}transfer-encoding: chunked\r\n\r\n{size:x}\r\n{filler}\r\n"), 413),
    ] {
        let answer = raw(&front, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{}: {answer}", &request[..head.len()]);
    }
}
