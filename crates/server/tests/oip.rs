//! The Open Inference Protocol over HTTP, through the same entry as the network's requests, with engines whose answers are known.
//! The statuses are the "Ours" column of the protocol's table, line by line.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use modelyard_core::server_config::{BatchingConfig, ServerConfig};
use modelyard_server::engine::{Engine, Facts, RunError, Stop};
use modelyard_server::fault::Code;
use modelyard_server::infer::{Measured, Model, Scheduling};
use modelyard_server::load::Loader;
use modelyard_server::protocol::{Inbound, Protocol, Seen, Service, handle};
use modelyard_server::registry::{Failure, State};
use modelyard_server::signature::{Signature, TensorSpec};
use modelyard_server::store::{Limits, Store};
use modelyard_wire::json::oip::{Encoded, Form, Outgoing, Response};
use modelyard_wire::{DataType, Tensor};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Answers with its inputs.
struct Echo {
    signature: Signature,
    facts: Facts,
}

impl Echo {
    fn boxed(datatype: DataType, names: &[(&str, &str)], shape: &[i64]) -> Box<dyn Engine> {
        let spec = |name: &str| TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() };
        let inputs = names.iter().map(|(input, _)| spec(input)).collect();
        let outputs = names.iter().map(|(_, output)| spec(output)).collect();
        let facts = Facts { platform: "onnx_onnxv1", engine: "Echo", ..Facts::default() };
        Box::new(Self { signature: Signature { inputs, outputs, batched: shape[0] < 0 }, facts })
    }
}

impl Engine for Echo {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], _stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        Ok(inputs.to_vec())
    }
}

fn scheduling(batching: Option<BatchingConfig>) -> Scheduling {
    Scheduling { threads: 1, queue_length: 100, batching, request_timeout: Duration::from_secs(10) }
}

/// A server of `scores` (x -> y, FP32 [-1, 3], classes zero and one), `pair` (a, b -> c, d), one echo per datatype, `batched`
/// with dynamic batching, and `coming` and `failed`, which do not answer.
fn service(allow_control: bool) -> Arc<Service> {
    let names = ["scores", "pair", "batched", "coming", "failed"].map(str::to_owned).into_iter();
    let names: Vec<_> = names.chain(DataType::ALL.map(|one| one.as_str().to_lowercase())).collect();
    let models: Vec<_> = names.iter().map(|name| json!({ "name": name, "uri": "file:none.onnx", "version": 3 })).collect();
    let mut config = json!({ "models": models, "serving": { "maxRequestBytes": 100_000 } });
    config["models"][0]["classes"] = json!(["zero", "one"]);
    let config = ServerConfig::from_json(&config.to_string()).unwrap();
    let loader = Loader::new(Store::new("none", Limits::default()), scheduling(None));
    let service = Service::new(&config, loader, allow_control);
    let ready = |name: &str, engine, batching| {
        let entry = service.registry.entry(name).unwrap();
        entry.enter(State::Ready(Model::new(&entry.config, engine, &scheduling(batching), Measured::default()).unwrap()));
    };
    ready("scores", Echo::boxed(DataType::Fp32, &[("x", "y")], &[-1, 3]), None);
    ready("pair", Echo::boxed(DataType::Fp32, &[("a", "c"), ("b", "d")], &[-1]), None);
    let batching = BatchingConfig { max_size: 8, max_delay: Duration::from_micros(500) };
    ready("batched", Echo::boxed(DataType::Fp32, &[("x", "y")], &[-1, 3]), Some(batching));
    for one in DataType::ALL {
        ready(&one.as_str().to_lowercase(), Echo::boxed(one, &[("x", "y")], &[-1, 2]), None);
    }
    let failure = Failure { reason: "ChecksumMismatch", message: "expected sha256 1, found 2".to_owned() };
    service.registry.entry("failed").unwrap().enter(State::Failed(failure));
    service
}

/// What came back.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    seen: Seen,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The `error` of an error body.
    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("{:?}", self.body)).to_owned()
    }

    fn decoded(&self) -> Response<'_> {
        let length = self.header("inference-header-content-length").map(|text| text.parse().unwrap());
        Response::read(&self.body, length).unwrap()
    }
}

async fn send(service: &Arc<Service>, (method, path): (&str, &str), headers: &[(&str, &str)], body: impl Into<Bytes>) -> Got {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body: Bytes = body.into();
    let request = request.body(Inbound::Whole(Some(body).filter(|body| !body.is_empty()))).unwrap();
    let mut seen = Seen::now();
    let response = handle(service, request, &mut seen).await;
    seen.answered();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    assert_eq!(seen.code.http(), head.status, "what is logged is what is answered");
    Got { status: head.status, headers: head.headers, body, seen }
}

async fn get(service: &Arc<Service>, path: &str) -> Got {
    send(service, ("GET", path), &[], "").await
}

async fn infer(service: &Arc<Service>, model: &str, body: &str) -> Got {
    send(service, ("POST", &format!("/v2/models/{model}/infer")), &[], body.to_owned()).await
}

fn x(shape: &str, data: &str) -> String {
    format!(r#"{{"inputs":[{{"name":"x","shape":{shape},"datatype":"FP32","data":{data}}}]}}"#)
}

#[tokio::test]
async fn health_and_metadata() {
    let service = service(true);
    let tensor = |name: &str| json!([{ "name": name, "datatype": "FP32", "shape": [-1, 3] }]);
    let properties = json!({ "classes": r#"["zero","one"]"# });
    let metadata = json!({ "name": "scores", "versions": ["3"], "platform": "onnx_onnxv1",
        "inputs": tensor("x"), "outputs": tensor("y"), "properties": properties });
    for (path, status, body) in [
        ("/v2/health/live", 200, json!({ "live": true, "ready": false })),
        (
            "/v2/health/ready",
            503,
            json!({ "live": true, "ready": false, "error": "not ready: model 'coming' is Downloading, model 'failed' is Failed" }),
        ),
        ("/v2/models/scores/ready", 200, json!({ "name": "scores", "ready": true })),
        ("/v2/models/scores/versions/3/ready", 200, json!({ "name": "scores", "ready": true })),
        ("/v2/models/coming/ready", 503, json!({ "name": "coming", "ready": false, "error": "model 'coming' is loading" })),
        (
            "/v2/models/failed/ready",
            503,
            json!({ "name": "failed", "ready": false, "error": "model 'failed' did not load: expected sha256 1, found 2" }),
        ),
        ("/v2/models/scores", 200, metadata.clone()),
        ("/v2/models/scores/versions/3", 200, metadata),
    ] {
        let got = get(&service, path).await;
        assert_eq!((got.status.as_u16(), got.json()), (status, body), "{path}");
        assert_eq!(got.header("content-type"), Some("application/json"), "{path}");
        let head = send(&service, ("HEAD", path), &[], "").await;
        assert_eq!((head.status, head.body.len()), (got.status, 0), "HEAD {path}");
        assert_eq!(head.header("content-length"), Some(got.body.len().to_string().as_str()), "HEAD {path}");
    }
    for path in ["/v2", "/v2/"] {
        let body = get(&service, path).await.json();
        assert_eq!(body["name"], "modelyard");
        assert!(body["version"].is_string());
        assert!(body["extensions"].as_array().unwrap().contains(&json!("model_repository")));
    }
    assert!(
        !get(&self::service(false), "/v2").await.json()["extensions"].as_array().unwrap().contains(&json!("model_repository"))
    );
    assert_eq!(get(&service, "/v2/models").await.json()["models"][0], "scores");
}

#[tokio::test]
async fn ready_once_every_model_answers_and_while_one_is_unloaded_on_purpose() {
    let service = service(true);
    for name in ["coming", "failed"] {
        service.registry.entry(name).unwrap().enter(State::Unloaded);
    }
    let ready = get(&service, "/v2/health/ready").await;
    assert_eq!((ready.status.as_u16(), ready.json()), (200, json!({ "live": true, "ready": true })));
    service.registry.entry("coming").unwrap().enter(State::Unloading);
    assert_eq!(get(&service, "/v2/health/ready").await.status, 200);
    assert_eq!(get(&service, "/v2/models/coming/ready").await.status, 404);
    service.drain();
    let leaving = get(&service, "/v2/health/ready").await;
    assert_eq!((leaving.status.as_u16(), leaving.error().as_str()), (503, "not ready: the server is on its way out"));
    assert_eq!(infer(&service, "scores", &x("[1,3]", "[1,2,3]")).await.status, 200);
}

/// One line each of the table of statuses.
#[tokio::test]
async fn the_table_of_statuses() {
    let service = service(false);
    let good = x("[1,3]", "[1,2,3]");
    let with = |extra: &str| format!("{},{extra}}}", good.strip_suffix('}').unwrap());
    let swap = |from: &str, to: &str| good.replace(from, to);
    let inputs = |one: &str, other: &str| format!(r#"{{"inputs":[{one},{other}]}}"#);
    let input = good.strip_prefix(r#"{"inputs":["#).and_then(|rest| rest.strip_suffix("]}")).unwrap().to_owned();
    for (case, model, body, status, message) in [
        ("good", "scores", good.clone(), 200, ""),
        ("nested", "scores", swap("[1,2,3]", "[[1,2,3]]"), 200, ""),
        ("unknown model", "none", good.clone(), 404, "unknown model 'none'"),
        ("unknown version", "scores/versions/9", good.clone(), 404, "model 'scores' has no version '9'; it has 3"),
        ("known version", "scores/versions/3", good.clone(), 200, ""),
        ("version without digits", "scores/versions/abc", good.clone(), 404, "model 'scores' has no version 'abc'"),
        ("loading", "coming", good.clone(), 503, "model 'coming' is loading"),
        ("failed", "failed", good.clone(), 503, "model 'failed' did not load"),
        ("malformed JSON", "scores", good[..20].to_owned(), 400, "byte 20: expected '\"' at the end of the string"),
        ("missing inputs", "scores", "{}".to_owned(), 400, "byte 0: expected a request with 'inputs'"),
        ("integer id", "scores", with(r#""id":7"#), 400, "byte 77: expected a string, found '7'"),
        ("no inputs", "scores", r#"{"inputs":[]}"#.to_owned(), 400, "'inputs': expected at least one tensor"),
        ("wrong input name", "scores", swap("\"x\"", "\"z\""), 400, "unknown input 'z'; the model has 'x'"),
        ("wrong shape", "scores", x("[1,2]", "[1,2]"), 400, "input 'x': expected shape [-1, 3] (-1 is any size), found [1, 2]"),
        ("wrong rank", "scores", x("[3]", "[1,2,3]"), 400, "input 'x': expected shape [-1, 3]"),
        ("wrong datatype", "scores", swap("FP32", "INT64"), 400, "input 'x': expected datatype FP32, found INT64"),
        ("unknown datatype", "scores", swap("FP32", "FLOAT"), 400, "unknown datatype 'FLOAT'; expected one of BOOL"),
        (
            "FP16 as JSON",
            "fp16",
            r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP16","data":[0.5,1]}]}"#.to_owned(),
            200,
            "",
        ),
        ("unknown output", "scores", with(r#""outputs":[{"name":"z"}]"#), 400, "unknown output 'z'; the model has 'y'"),
        ("output twice", "scores", with(r#""outputs":[{"name":"y"},{"name":"y"}]"#), 400, "output 'y' is asked for twice"),
        ("no outputs named", "scores", with(r#""outputs":[]"#), 200, ""),
        ("too little data", "scores", x("[1,3]", "[1,2]"), 400, "'x': shape [1, 3] of FP32 needs 3 elements, found 2"),
        ("too much data", "scores", x("[1,3]", "[1,2,3,4]"), 400, "'x': shape [1, 3] of FP32 needs 3 elements, found 4"),
        ("text for FP32", "scores", x("[1,3]", "[1,\"a\",3]"), 400, "byte 65: expected a number for FP32, found '\"'"),
        ("negative dimension", "scores", x("[-1,3]", "[1,2,3]"), 400, "byte 32: expected an integer from 0"),
        (
            "shape that overflows",
            "scores",
            x("[9223372036854775807,9]", "[]"),
            400,
            "'x': shape [9223372036854775807, 9] has more elements",
        ),
        ("duplicate input", "scores", inputs(&input, &input), 400, "input 'x' is given twice"),
        (
            "missing input",
            "pair",
            r#"{"inputs":[{"name":"a","shape":[1],"datatype":"FP32","data":[1]}]}"#.to_owned(),
            400,
            "input 'b' is missing",
        ),
        (
            "rows that differ",
            "pair",
            inputs(
                r#"{"name":"a","shape":[1],"datatype":"FP32","data":[1]}"#,
                r#"{"name":"b","shape":[2],"datatype":"FP32","data":[1,2]}"#,
            ),
            400,
            "input 'b' has 2 rows, input 'a' has 1",
        ),
        ("missing data", "scores", swap(",\"data\":[1,2,3]", ""), 400, "'x': expected data or binary_data_size, found neither"),
        (
            "parameter null",
            "scores",
            with(r#""parameters":{"a":null}"#),
            400,
            "byte 90: expected a string, a number, true or false",
        ),
        (
            "parameter list",
            "scores",
            with(r#""parameters":{"a":[1]}"#),
            400,
            "byte 90: expected a string, a number, true or false",
        ),
        ("triton's parameter", "scores", with(r#""parameters":{"triton_x":1}"#), 200, ""),
        ("own parameter", "scores", with(r#""parameters":{"own":"value"}"#), 200, ""),
        (
            "sequence",
            "scores",
            with(r#""parameters":{"sequence_id":5}"#),
            400,
            "parameter 'sequence_id': this model keeps no sequence state",
        ),
        ("empty body", "scores", String::new(), 400, "byte 0: expected an object, found the end of the body"),
        ("trailing garbage", "scores", format!("{good}x"), 400, "byte 72: expected the end of the body, found 'x'"),
        (
            "too large",
            "scores",
            format!("{good}{}", " ".repeat(100_000)),
            413,
            "the request's body is larger than the limit of 100000 bytes",
        ),
        ("too deep", "scores", x("[1,3]", &"[".repeat(5000)), 400, "byte 159: expected at most 100 levels"),
        (
            "classification",
            "scores",
            with(r#""outputs":[{"name":"y","parameters":{"classification":0}}]"#),
            400,
            "output 'y': classification: expected 1 or more",
        ),
    ] {
        let got = infer(&service, model, &body).await;
        assert_eq!(got.status.as_u16(), status, "{case}: {:?}", got.body);
        assert_eq!(got.seen.protocol, Protocol::OipJson);
        if status == 200 {
            assert!(got.seen.model.is_some());
            assert_eq!(got.json()["model_version"], "3", "{case}");
        } else {
            assert!(got.error().starts_with(message), "{case}: {}", got.error());
            assert_eq!(got.header("retry-after").is_some(), status == 503, "{case}");
        }
    }
}

#[tokio::test]
async fn a_batch_of_zero_rows_is_no_fault_of_the_server() {
    let got = infer(&service(false), "scores", &x("[0,3]", "[]")).await;
    assert!(got.status == 200 || got.status == 400, "{:?}", got.body);
}

#[tokio::test]
async fn paths_and_methods() {
    let service = service(false);
    for (method, path, status, allow) in [
        ("POST", "/v2/health/live", 405, Some("GET, HEAD")),
        ("POST", "/v2/models/scores", 405, Some("GET, HEAD")),
        ("GET", "/v2/models/scores/infer", 405, Some("POST")),
        ("HEAD", "/v2/models/scores/infer", 405, Some("POST")),
        ("DELETE", "/v2", 405, Some("GET, HEAD")),
        ("GET", "/v2/repository/index", 405, Some("POST")),
        ("GET", "/v2/repository/models/scores/load", 405, Some("POST")),
        ("GET", "/v2/models/none", 404, None),
        ("GET", "/v2/models/none/ready", 404, None),
        ("GET", "/v2/models/scores/versions/9/ready", 404, None),
        ("GET", "/v2/models/scores/versions/abc", 404, None),
        ("GET", "/v2/models/none/config", 404, None),
        ("GET", "/v2/models/none/stats", 404, None),
        ("GET", "/v2/logging", 404, None),
        ("GET", "/v2/systemsharedmemory/status", 404, None),
        ("GET", "/v2/health/live/", 404, None),
    ] {
        let got = send(&service, (method, path), &[], "").await;
        assert_eq!(got.status.as_u16(), status, "{method} {path}");
        assert_eq!(got.header("allow"), allow, "{method} {path}");
        assert!(!got.error().is_empty());
    }
}

#[tokio::test]
async fn the_answer_is_exact_json() {
    let body =
        r#"{"id":"a\"b","inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","data":[0.1,2,-3e-8,NaN,Infinity,-Infinity]}]}"#;
    for kind in [None, Some("text/plain"), Some("application/octet-stream"), Some("application/json; charset=utf-8")] {
        let headers: Vec<_> = kind.map(|kind| ("content-type", kind)).into_iter().collect();
        let got = send(&service(false), ("POST", "/v2/models/scores/infer"), &headers, body).await;
        assert_eq!(
            std::str::from_utf8(&got.body).unwrap(),
            r#"{"model_name":"scores","model_version":"3","id":"a\"b","outputs":[{"name":"y","datatype":"FP32","shape":[2,3],"data":[0.1,2.0,-3e-8,NaN,Infinity,-Infinity]}]}"#
        );
        assert_eq!(got.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn integers_keep_all_digits() {
    let body = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"UINT64","data":[18446744073709551615,9007199254740993]}]}"#;
    let got = infer(&service(false), "uint64", body).await;
    assert!(String::from_utf8_lossy(&got.body).contains("[18446744073709551615,9007199254740993]"), "{:?}", got.body);
}

#[tokio::test]
async fn strings_that_json_cannot_carry_need_binary_output() {
    let service = service(false);
    let tensor = Tensor::strings(vec![1, 2], vec![Bytes::from_static(b"ok"), Bytes::from_static(b"\xff")]).unwrap();
    let inputs = [("x", &tensor)];
    let Encoded { body, json_length } = Outgoing { inputs: &inputs, ..Outgoing::default() }.write(Form::Binary).unwrap();
    let length = json_length.unwrap();
    let headers = |length: usize| length.to_string();
    let path = ("POST", "/v2/models/bytes/infer");
    let binary = send(&service, path, &[("inference-header-content-length", &headers(length))], body.clone()).await;
    assert_eq!(binary.decoded().outputs[0].tensor, tensor);
    let ask = String::from_utf8(body[..length].to_vec()).unwrap().replace("true", "false");
    let body = [ask.as_bytes(), &body[length..]].concat();
    let refused = send(&service, path, &[("inference-header-content-length", &headers(ask.len()))], body).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.error(), "output 'y': element 1 is not UTF-8, which JSON cannot carry; ask for binary output");
}

#[tokio::test]
async fn binary_tensors() {
    let service = service(false);
    let path = ("POST", "/v2/models/scores/infer");
    let raw: Vec<u8> = [1.0_f32, 2.0, 3.0].iter().flat_map(|one| one.to_le_bytes()).collect();
    let json = |output: &str| {
        format!(r#"{{"inputs":[{{"name":"x","shape":[1,3],"datatype":"FP32","parameters":{{"binary_data_size":12}}}}]{output}}}"#)
    };
    let body = |output: &str| [json(output).as_bytes(), &raw].concat();
    let length = |output: &str| json(output).len().to_string();
    let tensor = Tensor::from_f32(vec![1, 3], &[1.0, 2.0, 3.0]).unwrap();
    for (output, binary) in [
        ("", false),
        (r#","parameters":{"binary_data_output":true}"#, true),
        (r#","outputs":[{"name":"y","parameters":{"binary_data":true}}]"#, true),
        (r#","outputs":[{"name":"y","parameters":{"binary_data":false}}],"parameters":{"binary_data_output":true}"#, false),
    ] {
        let got = send(&service, path, &[("Inference-Header-Content-Length", &length(output))], body(output)).await;
        assert_eq!(got.status, 200, "{:?}", got.body);
        assert_eq!(got.seen.protocol, Protocol::OipBinary);
        assert_eq!(got.header("inference-header-content-length").is_some(), binary);
        assert_eq!(got.header("content-type"), Some(if binary { "application/octet-stream" } else { "application/json" }));
        assert_eq!(got.decoded().outputs[0].tensor, tensor);
    }
    let plus = (json("").len() + 13).to_string();
    for (case, header, body, message) in [
        ("header past the body", Some(plus.as_str()), body(""), "the header Inference-Header-Content-Length says"),
        (
            "header not a number",
            Some("NaN"),
            body(""),
            "the header Inference-Header-Content-Length: expected a number of bytes, found 'NaN'",
        ),
        (
            "header negative",
            Some("-1"),
            body(""),
            "the header Inference-Header-Content-Length: expected a number of bytes, found '-1'",
        ),
        (
            "truncated",
            Some(&length("")),
            body("")[..body("").len() - 1].to_vec(),
            "'x': binary_data_size is 12, 11 bytes are left of the body",
        ),
        ("surplus", Some(&length("")), [body(""), vec![0]].concat(), "1 bytes are left after the last binary tensor"),
        ("no header", None, body(""), "'x': binary_data_size needs the header"),
        (
            "raw mode, wrong size",
            Some("0"),
            raw[..11].to_vec(),
            "input 'x': a raw body of shape [-1, 3] and datatype FP32 has a multiple of 12 bytes, found 11",
        ),
        ("raw mode, empty", Some("0"), Vec::new(), "a raw body (Inference-Header-Content-Length: 0) must not be empty"),
    ] {
        let headers: Vec<_> = header.map(|value| ("inference-header-content-length", value)).into_iter().collect();
        let got = send(&service, path, &headers, body).await;
        assert_eq!(got.status, 400, "{case}");
        assert!(got.error().starts_with(message), "{case}: {}", got.error());
    }
    let got = send(&service, path, &[("inference-header-content-length", "0")], raw.clone()).await;
    assert_eq!(got.decoded().outputs[0].tensor, tensor, "raw mode");
    assert_eq!(got.header("content-type"), Some("application/octet-stream"), "raw mode answers in binary");
    let pair = send(&service, ("POST", "/v2/models/pair/infer"), &[("inference-header-content-length", "0")], raw).await;
    assert_eq!((pair.status.as_u16(), pair.error().contains("needs a model with one input, this one has 2")), (400, true));
}

#[tokio::test]
async fn large_binary_answers_come_in_pieces() {
    let values: Vec<f32> = (0_u16..6000).map(f32::from).collect();
    let tensor = Tensor::from_f32(vec![2000, 3], &values).unwrap();
    let inputs = [("x", &tensor)];
    let sent = Outgoing { inputs: &inputs, ..Outgoing::default() }.write(Form::Binary).unwrap();
    let length = sent.json_length.unwrap().to_string();
    let headers = [("inference-header-content-length", length.as_str())];
    let got = send(&service(false), ("POST", "/v2/models/scores/infer"), &headers, sent.body).await;
    assert_eq!(got.decoded().outputs[0].tensor, tensor);
}

#[tokio::test]
async fn classification() {
    let service = service(false);
    let ask = |data: &str, output: &str| {
        format!(
            r#"{{"inputs":[{{"name":"x","shape":[2,3],"datatype":"FP32","data":{data}}}],"outputs":[{{"name":"y","parameters":{{{output}}}}}]}}"#
        )
    };
    let got = infer(&service, "scores", &ask("[0.1,0.7,0.7,5,NaN,-1]", r#""classification":2"#)).await.json();
    assert_eq!(
        got["outputs"][0],
        json!({ "name": "y", "datatype": "BYTES", "shape": [2, 2],
        "data": ["0.700000:1:one", "0.700000:2", "5.000000:0:zero", "-1.000000:2"] })
    );
    let more = infer(&service, "scores", &ask("[1,2,3,4,5,6]", r#""classification":30"#)).await.json();
    assert_eq!(more["outputs"][0]["shape"], json!([2, 3]));
    let binary = infer(&service, "scores", &ask("[1,2,3,4,5,6]", r#""classification":1,"binary_data":true"#)).await;
    assert_eq!(binary.decoded().outputs[0].tensor.datatype(), DataType::Bytes);
    let words = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"BYTES","data":["a","b"]}],"outputs":[{"name":"y","parameters":{"classification":1}}]}"#;
    let refused = infer(&service, "bytes", words).await;
    assert_eq!(
        (refused.status.as_u16(), refused.error().as_str()),
        (400, "output 'y': classification needs numbers, the output is BYTES")
    );
}

#[tokio::test]
async fn deadlines() {
    let late = x("[1,3]", "[1,2,3]").replace(r#"{"inputs""#, r#"{"parameters":{"timeout":1},"inputs""#);
    let service = service(false);
    let request =
        Request::builder().method(Method::POST).uri("/v2/models/scores/infer").body(Inbound::Whole(Some(late.into()))).unwrap();
    let mut seen = Seen::now();
    seen.received -= Duration::from_millis(1);
    let response = handle(&service, request, &mut seen).await;
    assert_eq!((response.status(), seen.code), (StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded));
}

#[tokio::test]
async fn content_encodings() {
    let service = service(false);
    let path = ("POST", "/v2/models/scores/infer");
    let body = x("[1,3]", "[1,2,3]");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(send(&service, path, &[("content-encoding", "gzip")], gzip.clone()).await.status, 200);
    assert_eq!(send(&service, path, &[("content-encoding", "gzip")], body.clone()).await.status, 400);
    let refused = send(&service, path, &[("content-encoding", "br")], body.clone()).await;
    assert_eq!((refused.status.as_u16(), refused.header("accept-encoding")), (415, Some("gzip, deflate")));
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 10_000_000]).unwrap();
    assert_eq!(send(&service, path, &[("content-encoding", "gzip")], bomb.finish().unwrap()).await.status, 413);

    let long = x("[300,3]", &format!("[{}]", vec!["0.5"; 900].join(",")));
    let plain = send(&service, path, &[], long.clone()).await;
    for (accept, packed) in [("gzip", true), ("gzip;q=0", false), ("br", false), ("deflate, gzip;q=0.3", true)] {
        let got = send(&service, path, &[("accept-encoding", accept)], long.clone()).await;
        assert_eq!(got.header("content-encoding") == Some("gzip"), packed, "{accept}");
        if packed {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&got.body[..]).read_to_end(&mut text).unwrap();
            assert_eq!(text, plain.body);
        }
    }
    let short = send(&service, path, &[("accept-encoding", "gzip")], body).await;
    assert_eq!(short.header("content-encoding"), None);
}

#[tokio::test]
async fn the_index() {
    let service = service(false);
    let path = ("POST", "/v2/repository/index");
    for body in ["", "{}", r#"{"ready":false}"#, r#"{"repository":"own"}"#] {
        let all = send(&service, path, &[], body).await.json();
        assert_eq!(all[0], json!({ "name": "scores", "version": "3", "state": "READY" }));
        assert_eq!(all[3], json!({ "name": "coming", "version": "3", "state": "LOADING" }));
        let reason = "ChecksumMismatch: expected sha256 1, found 2";
        assert_eq!(all[4], json!({ "name": "failed", "version": "3", "state": "UNAVAILABLE", "reason": reason }));
    }
    let ready = send(&service, path, &[], r#"{"ready":true}"#).await.json();
    assert!(ready.as_array().unwrap().iter().all(|one| one["state"] == "READY"));
    for body in ["[]", "{", r#"{"ready":1}"#] {
        assert_eq!(send(&service, path, &[], body).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn loading_and_unloading() {
    let load = |name: &str| format!("/v2/repository/models/{name}/load");
    let unload = |name: &str| format!("/v2/repository/models/{name}/unload");
    for path in [load("scores"), unload("scores"), load("none")] {
        let refused = send(&service(false), ("POST", &path), &[], "").await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.error().contains("--allow-control"));
    }
    let service = service(true);
    assert_eq!(send(&service, ("POST", &load("none")), &[], "").await.status, 404);
    assert_eq!(send(&service, ("POST", &unload("none")), &[], "").await.status, 404);
    let config = r#"{"parameters":{"config":"{}"}}"#;
    assert_eq!(send(&service, ("POST", &load("scores")), &[], config).await.status, 400);
    let again = send(&service, ("POST", &load("scores")), &[], "{}").await;
    assert_eq!(again.status, 503, "its file is not there");
    assert_eq!(infer(&service, "scores", &x("[1,3]", "[1,2,3]")).await.status, 200, "what answered before goes on");
    let unloaded = send(&service, ("POST", &unload("scores")), &[], r#"{"parameters":{"unload_dependents":false}}"#).await;
    assert_eq!((unloaded.status.as_u16(), unloaded.body.len()), (200, 0));
    assert_eq!(infer(&service, "scores", &x("[1,3]", "[1,2,3]")).await.status, 404);
    let broken = send(&service, ("POST", &load("scores")), &[], "").await;
    assert_eq!(broken.status, 503, "its file is not there");
    assert!(broken.error().starts_with("model 'scores' did not load: "), "{}", broken.error());
}

#[tokio::test]
async fn statistics() {
    let service = service(false);
    assert_eq!(infer(&service, "scores", &x("[2,3]", "[1,2,3,4,5,6]")).await.status, 200);
    let all = get(&service, "/v2/models/stats").await.json();
    assert_eq!(all["model_stats"].as_array().unwrap().len(), 17);
    for path in ["/v2/models/scores/stats", "/v2/models/scores/versions/3/stats"] {
        let body = get(&service, path).await.json();
        let stats = &body["model_stats"][0];
        assert_eq!((&stats["name"], &stats["version"]), (&json!("scores"), &json!("3")));
        assert_eq!((&stats["inference_count"], &stats["execution_count"]), (&json!(2), &json!(1)));
        assert!(stats["last_inference"].as_u64().unwrap() > 1_600_000_000_000);
        for key in ["success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"] {
            assert!(stats["inference_stats"][key]["ns"].is_u64() && stats["inference_stats"][key]["count"].is_u64(), "{key}");
        }
        for key in ["success", "compute_input", "compute_infer", "compute_output"] {
            assert_eq!(stats["inference_stats"][key]["count"], 1, "{key}");
        }
        let (run, memory) = (&stats["batch_stats"][0], &stats["memory_usage"][0]);
        assert_eq!((&run["batch_size"], &run["compute_infer"]["count"]), (&json!(2), &json!(1)));
        assert_eq!(run["compute_infer"]["ns"], stats["inference_stats"]["compute_infer"]["ns"]);
        assert_eq!((&memory["type"], memory["byte_size"].is_u64()), (&json!("CPU"), true));
    }
}

#[tokio::test]
async fn configuration_says_what_was_decided() {
    let service = service(false);
    let alone = get(&service, "/v2/models/scores/config").await.json();
    assert_eq!((&alone["max_batch_size"], &alone["input"][0]["dims"]), (&json!(0), &json!([-1, 3])));
    assert_eq!(alone["parameters"]["rows"]["string_value"], "stack");
    let batched = get(&service, "/v2/models/batched/config").await.json();
    assert_eq!((&batched["max_batch_size"], &batched["input"][0]["dims"]), (&json!(8), &json!([3])));
    assert_eq!(batched["dynamic_batching"]["max_queue_delay_microseconds"], 500);
    assert_eq!(get(&service, "/v2/models/bytes/config").await.json()["input"][0]["data_type"], "TYPE_STRING");
}

/// Two elements of any datatype and one to three rows.
fn tensor() -> impl Strategy<Value = Tensor> {
    (proptest::sample::select(&DataType::ALL[..]), 1_usize..4).prop_flat_map(|(datatype, rows)| match datatype.size() {
        None => prop::collection::vec(any::<String>(), rows * 2)
            .prop_map(move |words| Tensor::strings(vec![rows, 2], words.into_iter().map(Bytes::from).collect()).unwrap())
            .boxed(),
        Some(size) => prop::collection::vec(any::<u8>(), rows * 2 * size)
            .prop_map(move |mut raw| {
                if datatype == DataType::Bool {
                    raw.iter_mut().for_each(|byte| *byte &= 1);
                }
                Tensor::new(datatype, vec![rows, 2], raw.into()).unwrap()
            })
            .boxed(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// What goes in comes out, in every datatype and both forms.
    #[test]
    fn every_datatype_passes_through(tensor in tensor(), binary: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let inputs = [("x", &tensor)];
        let sent = Outgoing { inputs: &inputs, ..Outgoing::default() }.write(if binary { Form::Binary } else { Form::Json }).unwrap();
        let length = sent.json_length.map(|length| length.to_string());
        let headers: Vec<_> = length.iter().map(|length| ("inference-header-content-length", length.as_str())).collect();
        let path = format!("/v2/models/{}/infer", tensor.datatype().as_str().to_lowercase());
        let got = runtime.block_on(async { send(&service(false), ("POST", &path), &headers, sent.body).await });
        prop_assert_eq!(got.status, 200, "{:?}", got.body);
        let decoded = got.decoded();
        let found = &decoded.outputs[0].tensor;
        // JSON has one NaN; numbers are compared as numbers.
        let numbers = |tensor: &Tensor| tensor.to_f64().map(|all| all.into_iter().map(|one| if one.is_nan() { None } else { Some(one.to_bits()) }).collect::<Vec<_>>());
        prop_assert!(found == &tensor || (!binary && numbers(found).is_some() && numbers(found) == numbers(&tensor)), "{:?}", found);
    }
}

/// Mutated requests are answered or refused, never with a fault of the server.
#[tokio::test]
async fn mutated_requests_are_the_clients_fault() {
    let service = service(false);
    let tensor = Tensor::from_f32(vec![2, 3], &[0.5, -1.0, 2e-7, 0.0, 1.0, 3.5]).unwrap();
    let inputs = [("x", &tensor)];
    let mut state = 11_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for form in [Form::Json, Form::Binary] {
        let whole = Outgoing { id: Some("7"), inputs: &inputs, outputs: &["y"] }.write(form).unwrap();
        for _ in 0..3000 {
            let mut body = whole.body.clone();
            for _ in 0..=random(3) {
                let at = random(body.len());
                match random(3) {
                    0 => body[at] = u8::try_from(random(256)).unwrap(),
                    1 => drop(body.remove(at)),
                    _ => body.insert(at, b"[]{}\",:0123456789-.eEtfn\\"[random(25)]),
                }
            }
            let length = whole.json_length.map(|length| (length + random(3) - 1).to_string());
            let headers: Vec<_> = length.iter().map(|length| ("inference-header-content-length", length.as_str())).collect();
            let got = send(&service, ("POST", "/v2/models/scores/infer"), &headers, body.clone()).await;
            assert!(got.status.as_u16() < 500, "{} {:?}", got.status, Bytes::from(body));
        }
    }
}
