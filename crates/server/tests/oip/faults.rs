//! The table of statuses, paths and methods, deadlines, and mutated requests.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use modelyard_server::fault::Code;
use modelyard_server::protocol::{Inbound, Protocol, Seen, handle};
use modelyard_wire::Tensor;
use modelyard_wire::json::oip::{Form, Outgoing};

use crate::house::{infer, send, service, x};

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
        (
            "nested otherwise",
            "scores",
            swap("[1,2,3]", "[[1],[2],[3]]"),
            400,
            "'x': dimension 0 of data is 3, expected 1 by its shape [1, 3]",
        ),
        ("byte-order mark", "scores", format!("\u{feff}{good}"), 400, "byte 0: expected an object, found a byte-order mark"),
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
async fn deadlines() {
    let late = x("[1,3]", "[1,2,3]").replace(r#"{"inputs""#, r#"{"parameters":{"timeout":1},"inputs""#);
    let service = service(false);
    let request =
        Request::builder().method(Method::POST).uri("/v2/models/scores/infer").body(Inbound::Whole(Some(late.into()))).unwrap();
    let mut seen = Seen::now();
    seen.received -= Duration::from_millis(1);
    let (head, body) = request.into_parts();
    let response = handle(&service, (&head, body), &mut seen).await;
    assert_eq!((response.status(), seen.code), (StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded));
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
