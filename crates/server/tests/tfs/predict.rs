//! What `:predict` takes, and what it refuses with which words.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::Request;
use modelyard_server::protocol::Protocol;

use crate::house::{house, predict, send};

#[tokio::test]
async fn what_is_taken() {
    let house = house();
    let zeros = vec!["0"; 784].join(",");
    for (model, body, want) in [
        ("mnist", format!(r#"{{"instances":[[{zeros}],[{zeros}]]}}"#), r#"{"predictions":[[0.0,"#),
        ("mnist", format!(r#"{{"signature_name":"serving_default","instances":[[{zeros}]]}}"#), r#"{"predictions":[[0.0,"#),
        ("mnist", format!(r#"{{"instances":[{{"image":[{zeros}]}}]}}"#), r#"{"predictions":[[0.0,"#),
        ("half", r#"{"instances":[[1,2]],"signature_name":""}"#.to_owned(), r#"{"predictions":[[0.5,1.0]]}"#),
        (
            "half",
            r#" { "instances" : [ [ 1e0 , 2.0 ] ] , "id" : "7", "parameters":{"x":[{}]} } "#.to_owned(),
            r#"{"predictions":[[0.5,1.0]]}"#,
        ),
        ("half", r#"{"inputs":{"other":[1,{"y":2}],"x":[[1,2]]}}"#.to_owned(), r#"{"outputs":[[0.5,1.0]]}"#),
        ("half", r#"{"instances":[[NaN,-Infinity]]}"#.to_owned(), r#"{"predictions":[[NaN,-Infinity]]}"#),
        ("is_bytes", r#"{"instances":[{"b64":"YQ=="},"b"]}"#.to_owned(), r#"{"predictions":["a","b"]}"#),
        ("is_bytes", r#"{"instances":[{"x":{"b64":"YQ=="}},{"x":"b"}]}"#.to_owned(), r#"{"predictions":["a","b"]}"#),
        ("is_bytes", r#"{"inputs":{"x":[{"b64":"YQ=="}]}}"#.to_owned(), r#"{"outputs":["a"]}"#),
        ("b64", r#"{"instances":[{"b64":"YQ=="}]}"#.to_owned(), r#"{"predictions":["a"]}"#),
        ("b64", r#"{"inputs":{"b64":["a"]}}"#.to_owned(), r#"{"outputs":["a"]}"#),
        ("a%20model%2Fx%3Ay", r#"{"instances":[1]}"#.to_owned(), r#"{"predictions":[1.0]}"#),
        ("half/versions/3", r#"{"instances":[[1,2]]}"#.to_owned(), r#"{"predictions":[[0.5,1.0]]}"#),
    ] {
        let got = predict(&house, model, &body).await;
        assert_eq!(got.status.as_u16(), 200, "{model}: {}", got.text());
        assert!(got.text().starts_with(want), "{model}: {}", got.text());
        assert_eq!(got.protocol, Protocol::TfsRest);
    }
}

/// Inputs of one column, as skl2onnx makes them of a table, take plain values and columns of one value alike.
#[tokio::test]
async fn rows_of_columns_are_plain_values() {
    let house = house();
    let two = r#"{"predictions":[{"age":[3.0],"city":["Oslo"]},{"age":[NaN],"city":["Roma"]}]}"#;
    for (body, want) in [
        (r#"{"instances":[{"age":3,"city":"Oslo"},{"city":"Roma","age":NaN}]}"#, two),
        (r#"{"instances":[{"age":3,"city":"Oslo"},{"city":"Roma","age":null}]}"#, two),
        (r#"{"instances":[{"age":[3],"city":["Oslo"]},{"age":[NaN],"city":["Roma"]}]}"#, two),
        (r#"{"inputs":{"age":[3],"city":["Oslo"]}}"#, r#"{"outputs":{"age":[[3.0]],"city":[["Oslo"]]}}"#),
        (r#"{"inputs":{"age":[[3]],"city":["Oslo"]}}"#, r#"{"outputs":{"age":[[3.0]],"city":[["Oslo"]]}}"#),
    ] {
        let got = predict(&house, "person", body).await;
        assert_eq!((got.status.as_u16(), got.text()), (200, want), "{body}");
    }
    for (body, words) in [
        (r#"{"instances":[{"age":[3,4],"city":"Oslo"}]}"#, "input 'age': expected shape [-1, 1] (-1 is any size), found [1, 2]"),
        (r#"{"instances":[{"age":3,"city":"Oslo"},{"age":[3],"city":"Oslo"}]}"#, "instances[1]: input 'age' has shape [1]"),
        (r#"{"inputs":{"age":3,"city":["Oslo"]}}"#, "input 'age': expected shape [-1, 1] (-1 is any size), found []"),
        (r#"{"inputs":{"age":[3,4],"city":["Oslo"]}}"#, "input 'city' has 1 rows, input 'age' has 2"),
    ] {
        let got = predict(&house, "person", body).await;
        assert_eq!(got.status.as_u16(), 400, "{body}: {}", got.text());
        assert!(got.text().contains(words), "{body}: {}", got.text());
    }
}

#[tokio::test]
async fn what_is_refused() {
    let house = house();
    for (model, body, words) in [
        // The document.
        ("half", "", "byte 0: expected an object, found the end of the body"),
        ("half", "[1]", "byte 0: expected an object, found '['"),
        ("half", r#"{"instances":[[1,2]]"#, "byte 20: expected ',' or '}', found the end of the body"),
        ("half", r#"{"instances":[[1,2]]} x"#, "byte 22: expected the end of the body, found 'x'"),
        ("half", r#"{"instances":[[1,2]]}{}"#, "expected the end of the body"),
        ("half", "{}", "Missing 'inputs' or 'instances' key"),
        ("half", r#"{"instance":[[1,2]]}"#, "Missing 'inputs' or 'instances' key"),
        ("half", r#"{"instances":[[1,2]],"inputs":[[1,2]]}"#, "exactly one of 'instances' and 'inputs', found 'inputs' too"),
        ("half", r#"{"inputs":[[1,2]],"instances":[[1,2]]}"#, "found 'instances' too"),
        ("half", r#"{"instances":[[1,2]],"instances":[[1,2]]}"#, "found 'instances' again"),
        ("half", r#"{"instances":[[1,2]],"signature_name":7}"#, "expected a string, found '7'"),
        ("half", r#"{"instances":[[1,2]],"signature_name":"other"}"#, "Serving signature key \"other\" not found"),
        // Rows.
        ("half", r#"{"instances":7}"#, "expected a list of rows for 'instances', found '7'"),
        ("half", r#"{"instances":{"x":[[1,2]]}}"#, "expected a list of rows for 'instances', found '{'"),
        ("half", r#"{"instances":[]}"#, "'instances' is empty; expected at least one row"),
        ("pair", r#"{"instances":[]}"#, "'instances' is empty"),
        ("half", r#"{"instances":[[1,2,3]]}"#, "input 'x': expected shape [-1, 2] (-1 is any size), found [1, 3]"),
        ("half", r#"{"instances":[1,2]}"#, "input 'x': expected shape [-1, 2] (-1 is any size), found [2]"),
        ("half", r#"{"instances":[[[1,2]]]}"#, "found [1, 1, 2]"),
        ("half", r#"{"instances":[[]]}"#, "found [1, 0]"),
        ("half", r#"{"instances":[[1,2],[3]]}"#, "'instances': byte 22: expected a list of the same length and depth"),
        ("half", r#"{"instances":[[1,2],3]}"#, "'instances': byte 20: expected a list of the same length and depth"),
        ("half", r#"{"instances":[[1,"2"]]}"#, "byte 17: expected a number for FP32, found '\"'"),
        ("is_int64", r#"{"instances":[1,null]}"#, "for INT64, found 'n'"),
        ("half", r#"{"instances":[[1,true]]}"#, "expected a number for FP32, found 't'"),
        ("half", r#"{"instances":[[1,1e39]]}"#, "a number within FP32's range"),
        ("half", r#"{"instances":[[1,2],{"x":[1,2]}]}"#, "found '{'"),
        ("half", r#"{"instances":[{"x":[1,2]},[1,2]]}"#, "expected an object, found '['"),
        ("half", r#"{"instances":[{"y":[1,2]}]}"#, "instances[0]: unknown input 'y'; the model takes 'x'"),
        ("half", r#"{"instances":[{"b64":"YQ=="}]}"#, "instances[0]: unknown input 'b64'"),
        ("half", r#"{"instances":[{"x":[1,2]},{}]}"#, "instances[1]: input 'x' is missing"),
        ("half", r#"{"instances":[{}]}"#, "instances[0]: input 'x' is missing"),
        ("half", r#"{"instances":[{"x":[1,2]},{"x":[1]}]}"#, "instances[1]: input 'x' has shape [1], the rows before have [2]"),
        ("half", r#"{"instances":[{"x":[1,2],"x":[1,2]}]}"#, "instances[0]: input 'x' is given twice"),
        ("pair", r#"{"instances":[[1,2]]}"#, "expected a list of objects with the inputs 'a', 'b'"),
        ("pair", r#"{"instances":[{"a":[1,2]}]}"#, "instances[0]: input 'b' is missing; found 1 of 2 inputs"),
        ("pair", r#"{"instances":[{"a":[1,2],"b":1,"c":1}]}"#, "instances[0]: unknown input 'c'; the model takes 'a', 'b'"),
        ("pair", r#"{"instances":[{"a":[1,2],"b":1},{"a":[1,2]}]}"#, "instances[1]: input 'b' is missing"),
        ("pair", r#"{"instances":[{"a":[[1,2],[3]],"b":1}]}"#, "instances[0]: input 'a': byte"),
        ("pair", r#"{"instances":[{"a":[1,2],"b":1.5}]}"#, "expected an integer from -9223372036854775808"),
        ("scalar", r#"{"instances":[1]}"#, "input 'x': expected shape [] (-1 is any size), found [1]"),
        ("fixed", r#"{"instances":[1,2]}"#, "expected shape [3] (-1 is any size), found [2]"),
        // Columns.
        ("half", r#"{"inputs":[]}"#, "found [0]"),
        ("half", r#"{"inputs":7}"#, "found []"),
        ("half", r#"{"inputs":null}"#, "input 'x': expected shape [-1, 2] (-1 is any size), found []"),
        ("half", r#"{"inputs":{}}"#, "Missing named input: 'x'; the model takes 'x'"),
        ("half", r#"{"inputs":{"y":[[1,2]]}}"#, "Missing named input: 'x'; the model takes 'x', found 'y'"),
        ("half", r#"{"inputs":{"x":[[1,2]],"x":[[1,2]]}}"#, "input 'x' is given twice"),
        ("half", r#"{"inputs":{"x":[[1,2],[3]]}}"#, "input 'x': byte"),
        ("pair", r#"{"inputs":[[1,2]]}"#, "an object with the inputs 'a', 'b' for 'inputs', found '['"),
        ("pair", r#"{"inputs":{"a":[[1,2]]}}"#, "Missing named input: 'b'"),
        ("pair", r#"{"inputs":{"a":[[1,2]],"b":[1,2]}}"#, "input 'b' has 2 rows, input 'a' has 1"),
        ("pair", r#"{"inputs":{"a":[[1,2]],"b":{"b64":"YQ=="}}}"#, "expected an integer"),
        // Elements.
        ("is_int32", r#"{"instances":[1.0]}"#, "for INT32, found 1.0"),
        ("is_int32", r#"{"instances":[2147483648]}"#, "for INT32, found 2147483648"),
        ("is_uint8", r#"{"instances":[-1]}"#, "for UINT8, found -1"),
        ("is_bool", r#"{"instances":[1]}"#, "expected true or false, found '1'"),
        ("is_bytes", r#"{"instances":[1]}"#, "a string or {\"b64\": ...} for BYTES, found '1'"),
        ("is_bytes", r#"{"instances":[{"b64":"!"}]}"#, "base64"),
        ("is_bytes", r#"{"instances":[{"b64":7}]}"#, "unknown input 'b64'"),
        ("is_bytes", r#"{"instances":["\ud800"]}"#, "lone surrogate"),
        // The model's own opinion.
        ("fails", r#"{"instances":[1]}"#, "model 'fails': index 9 is out of range"),
    ] {
        let got = predict(&house, model, body).await;
        assert_eq!(got.status.as_u16(), 400, "{model} {body}: {}", got.text());
        assert!(got.error().contains(words), "{model} {body}: {}", got.error());
    }
}

#[tokio::test]
async fn depth_and_size_are_bounded() {
    let house = house();
    let deep = format!(r#"{{"instances":{}1{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    let got = predict(&house, "half", &deep).await;
    assert_eq!(got.status.as_u16(), 400);
    assert!(got.error().contains("at most 100 levels of nesting"), "{}", got.error());
    let large = format!(r#"{{"instances":[[{}1]]}}"#, "1,".repeat(600_000));
    let got = predict(&house, "half", &large).await;
    assert_eq!(got.status.as_u16(), 413);
    assert!(got.error().contains("serving.maxRequestBytes"));
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    let house = house();
    for kind in ["", "application/json", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"] {
        let request = Request::post("/v1/models/half:predict").header("content-type", kind);
        let got = send(&house, request.body(br#"{"instances":[[1,2]]}"#.to_vec()).unwrap()).await;
        assert_eq!(got.status.as_u16(), 200, "{kind}");
    }
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_may_be_compressed() {
    let house = house();
    let ask = |encoding: &str, body: Vec<u8>| {
        Request::post("/v1/models/half:predict").header("content-encoding", encoding).body(body).unwrap()
    };
    let body = br#"{"instances":[[1,2]]}"#;
    let got = send(&house, ask("gzip", gzipped(body))).await;
    assert_eq!(got.text(), r#"{"predictions":[[0.5,1.0]]}"#);
    for (encoding, body, status) in
        [("br", body.to_vec(), 415), ("gzip", body.to_vec(), 400), ("gzip", gzipped(&vec![b' '; 2 << 20]), 413)]
    {
        let got = send(&house, ask(encoding, body)).await;
        assert_eq!(got.status.as_u16(), status, "{encoding}: {}", got.text());
        assert!(!got.error().is_empty());
    }
}

#[tokio::test]
async fn answers_may_be_compressed() {
    let house = house();
    let body = format!(r#"{{"instances":[{}[1,2]]}}"#, "[1,2],".repeat(500));
    let request = Request::post("/v1/models/half:predict").header("accept-encoding", "gzip");
    let got = send(&house, request.body(body.clone().into()).unwrap()).await;
    assert_eq!(got.header("content-encoding"), "gzip");
    let mut text = String::new();
    GzDecoder::new(&got.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, predict(&house, "half", &body).await.text());
}
