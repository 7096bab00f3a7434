//! Predictions as CloudEvents, in both modes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use serde_json::{Value, json};

use crate::house::{Got, house, send};

const BODY: &str = r#"{"instances":[[1,2]]}"#;

async fn binary(skip: &str, change: (&'static str, &'static str)) -> Got {
    let mut request = Request::post("/v1/models/half:predict").header("content-type", "application/json");
    for (name, value) in [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-source", "/me"), ("ce-type", "ask"), ("ce-extra", "x")]
    {
        if name != skip {
            request = request.header(name, if name == change.0 { change.1 } else { value });
        }
    }
    send(&house(), request.body(BODY.into()).unwrap()).await
}

async fn structured(path: &str, kind: &str, document: &str) -> Got {
    let request = Request::post(path).header("content-type", kind).header("accept-encoding", "gzip");
    send(&house(), request.body(document.into()).unwrap()).await
}

fn event(change: impl FnOnce(&mut Value)) -> String {
    let mut event = json!({
        "specversion": "1.0", "id": "7", "source": "/me", "type": "ask", "time": "2020-01-01T00:00:00Z",
        "data": { "instances": [[1, 2]] },
    });
    change(&mut event);
    event.to_string()
}

const KIND: &str = "application/cloudevents+json";
const PREDICT: &str = "/v1/models/half:predict";

#[tokio::test]
async fn binary_mode_is_echoed() {
    let got = binary("", ("", "")).await;
    assert_eq!(got.text(), r#"{"predictions":[[0.5,1.0]]}"#);
    assert_eq!(got.header("content-type"), "application/json");
    assert_eq!(got.header("ce-specversion"), "1.0");
    assert_eq!(got.header("ce-type"), "io.modelyard.inference.response");
    assert_eq!(got.header("ce-source"), "io.modelyard.inference.half");
    assert_eq!(got.header("ce-id").len(), 36);
    assert_ne!(got.header("ce-id"), binary("", ("", "")).await.header("ce-id"));
}

#[tokio::test]
async fn binary_mode_needs_its_attributes() {
    for name in ["ce-specversion", "ce-id", "ce-source", "ce-type"] {
        for got in [binary(name, ("", "")).await, binary("", (name, "")).await] {
            assert_eq!(got.status.as_u16(), 400, "{name}");
            assert_eq!(got.error(), format!("CloudEvent: the header '{name}' is missing or empty"));
        }
    }
    let got = binary("", ("ce-specversion", "0.3")).await;
    assert_eq!(got.error(), "CloudEvent: expected specversion 1.0, found '0.3'");
}

#[tokio::test]
async fn structured_mode_is_echoed() {
    for kind in [KIND, "Application/CloudEvents+JSON; charset=utf-8"] {
        for document in [
            event(|_| {}),
            event(|event| event["datacontenttype"] = json!("application/json")),
            event(|event| {
                event.as_object_mut().unwrap().remove("data");
                event["data_base64"] = json!(STANDARD.encode(BODY));
            }),
        ] {
            let got = structured(PREDICT, kind, &document).await;
            assert_eq!(got.status.as_u16(), 200, "{}", got.text());
            assert_eq!(got.header("content-type"), KIND);
            let answer = got.json();
            assert_eq!(answer["data"], json!({ "predictions": [[0.5, 1.0]] }));
            assert_eq!(answer["specversion"], "1.0");
            assert_eq!(answer["datacontenttype"], "application/json");
            assert_eq!(answer["type"], "io.modelyard.inference.response");
            assert_eq!(answer["source"], "io.modelyard.inference.half");
            assert_eq!(answer["id"].as_str().unwrap().len(), 36);
        }
    }
}

#[tokio::test]
async fn structured_mode_needs_its_attributes_and_data() {
    for name in ["specversion", "id", "source", "type"] {
        let got = structured(PREDICT, KIND, &event(|event| drop(event.as_object_mut().unwrap().remove(name)))).await;
        assert_eq!(got.status.as_u16(), 400);
        assert_eq!(got.error(), format!("CloudEvent: the attribute '{name}' is missing or empty"));
    }
    for (document, words) in [
        (String::new(), "CloudEvent: byte 0: expected an object"),
        ("[]".to_owned(), "CloudEvent: byte 0: expected an object"),
        (event(|_| {}) + "x", "expected the end of the body"),
        (event(|event| event["id"] = json!(7)), "expected a string, found '7'"),
        (event(|event| event["specversion"] = json!("2.0")), "expected specversion 1.0, found '2.0'"),
        (event(|event| event["data_base64"] = json!("")), "found both"),
        (event(|event| drop(event.as_object_mut().unwrap().remove("data"))), "found neither"),
        (event(|event| event["data"] = Value::Null), "byte 0: expected an object"),
        (event(|event| event["data"]["instances"] = json!([])), "'instances' is empty"),
        (event(|event| event["datacontenttype"] = json!("a\nb")), "'datacontenttype' is no media type"),
    ] {
        let got = structured(PREDICT, KIND, &document).await;
        assert_eq!(got.status.as_u16(), 400, "{document}");
        assert!(got.error().contains(words), "{document}: {}", got.error());
        assert_eq!(got.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn other_formats_are_refused() {
    for kind in ["application/cloudevents-batch+json", "application/cloudevents+avro", "application/cloudevents"] {
        let got = structured(PREDICT, kind, &event(|_| {})).await;
        assert_eq!(got.status.as_u16(), 415, "{kind}");
    }
}

#[tokio::test]
async fn errors_are_plain() {
    let got = structured("/v1/models/nix:predict", KIND, &event(|_| {})).await;
    assert_eq!(got.status.as_u16(), 404);
    assert!(got.error().contains("nix"));
}

#[tokio::test]
async fn the_open_inference_protocol_speaks_them_too() {
    let data = json!({ "inputs": [{ "name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2] }] });
    let got = structured("/v2/models/half/infer", KIND, &event(|event| event["data"] = data.clone())).await;
    assert_eq!(got.json()["data"]["outputs"][0]["data"], json!([0.5, 1.0]), "{}", got.text());
    let mut binary = data;
    binary["parameters"] = json!({ "binary_data_output": true });
    let got = structured("/v2/models/half/infer", KIND, &event(|event| event["data"] = binary)).await;
    let answer = got.json();
    assert_eq!(answer["datacontenttype"], "application/octet-stream");
    let bytes = STANDARD.decode(answer["data_base64"].as_str().unwrap()).unwrap();
    assert!(bytes.ends_with(&[0.5_f32.to_le_bytes(), 1_f32.to_le_bytes()].concat()));
}
