//! What a model is and how it is: status, metadata, the list; and paths, methods, versions and labels.

use http::{Method, StatusCode};
use modelyard_server::fault::Code;
use modelyard_server::protocol::Protocol;
use serde_json::json;

use crate::house::{call, get, house, post};

#[tokio::test]
async fn a_ready_model_answers_both_families() {
    let house = house();
    for path in ["/v1/models/half", "/V1/Models/half", "/v1/models/half/versions/3", "/v1/models/half/VERSIONS/03"] {
        let got = get(&house, path).await;
        assert_eq!(got.status, StatusCode::OK, "{path}");
        let want = json!({
            "name": "half",
            "ready": true,
            "model_version_status": [{ "version": "3", "state": "AVAILABLE", "status": { "error_code": "OK", "error_message": "" } }],
        });
        assert_eq!(got.json(), want);
        assert_eq!(got.header("content-type"), "application/json");
        assert_eq!(got.protocol, Protocol::TfsRest);
    }
}

#[tokio::test]
async fn a_model_that_does_not_answer_says_its_state() {
    let house = house();
    for (name, status, state, error_code) in [
        ("downloading", 503, "START", "OK"),
        ("loading", 503, "LOADING", "OK"),
        ("warming", 503, "LOADING", "OK"),
        ("failed", 503, "END", "DATA_LOSS"),
        ("unloading", 404, "UNLOADING", "OK"),
        ("unloaded", 404, "END", "OK"),
    ] {
        let got = get(&house, &format!("/v1/models/{name}")).await;
        assert_eq!(got.status.as_u16(), status, "{name}");
        let body = got.json();
        assert_eq!(body["ready"], false);
        assert_eq!(body["model_version_status"][0]["state"], state, "{name}");
        assert_eq!(body["model_version_status"][0]["status"]["error_code"], error_code);
        assert!(got.error().contains(name), "{}", got.error());
        assert_eq!(got.header("retry-after"), if status == 503 { "1" } else { "" });
        assert_eq!(got.code.http().as_u16(), status);
        for path in [format!("/v1/models/{name}/metadata"), format!("/v1/models/{name}:predict")] {
            let method = if path.ends_with("predict") { Method::POST } else { Method::GET };
            let got = call(&house, method, &path, "{}").await;
            assert_eq!(got.status.as_u16(), status, "{path}");
            assert_eq!(got.header("retry-after"), if status == 503 { "1" } else { "" });
        }
    }
    let failed = get(&house, "/v1/models/failed").await.json();
    assert_eq!(failed["model_version_status"][0]["status"]["error_message"], "ChecksumMismatch: expected another");
}

#[tokio::test]
async fn models_are_listed() {
    let house = house();
    let got = get(&house, "/v1/models").await;
    let names = got.json()["models"].as_array().unwrap().clone();
    assert_eq!(names[0], "mnist");
    assert!(names.contains(&json!("loading")));
}

#[tokio::test]
async fn metadata_is_the_signature() {
    let house = house();
    let tensor = |name: &str, dtype: &str, sizes: &[&str]| {
        let dims: Vec<_> = sizes.iter().map(|size| json!({ "size": size, "name": "" })).collect();
        json!({ "dtype": dtype, "tensor_shape": { "dim": dims, "unknown_rank": false }, "name": name })
    };
    let got = get(&house, "/v1/models/pair/metadata").await;
    let want = json!({
        "model_spec": { "name": "pair", "signature_name": "", "version": "3" },
        "metadata": { "signature_def": { "signature_def": { "serving_default": {
            "inputs": { "a": tensor("a", "DT_FLOAT", &["-1", "2"]), "b": tensor("b", "DT_INT64", &["-1"]) },
            "outputs": { "sum": tensor("sum", "DT_FLOAT", &["-1"]), "same": tensor("same", "DT_INT64", &["-1"]) },
            "method_name": "tensorflow/serving/predict",
        } } } },
    });
    assert_eq!(got.json(), want);
    assert_eq!(got.model.as_deref(), Some("pair"));
    for (model, dtype) in [
        ("is_bool", "DT_BOOL"),
        ("is_uint8", "DT_UINT8"),
        ("is_uint16", "DT_UINT16"),
        ("is_uint32", "DT_UINT32"),
        ("is_uint64", "DT_UINT64"),
        ("is_int8", "DT_INT8"),
        ("is_int16", "DT_INT16"),
        ("is_int32", "DT_INT32"),
        ("is_int64", "DT_INT64"),
        ("is_fp16", "DT_HALF"),
        ("is_bf16", "DT_BFLOAT16"),
        ("is_fp32", "DT_FLOAT"),
        ("is_fp64", "DT_DOUBLE"),
        ("is_bytes", "DT_STRING"),
    ] {
        let got = get(&house, &format!("/v1/models/{model}/versions/3/metadata")).await.json();
        assert_eq!(got["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["x"]["dtype"], dtype);
    }
}

#[tokio::test]
async fn what_is_not_there() {
    let house = house();
    for (path, status, words) in [
        ("/v1/models/nix", 404, "Servable not found for request: Latest(nix): unknown model 'nix'; this server has mnist"),
        ("/v1/models/HALF", 404, "Latest(HALF)"),
        (
            "/v1/models/half/versions/9",
            404,
            "Servable not found for request: Specific(half, 9): model 'half' has no version '9'; it has 3",
        ),
        ("/v1/models/half/versions/99999999999999999999999", 404, "no version"),
        ("/v1/models/nix/versions/3", 404, "Specific(nix, 3)"),
        ("/v1/models/half/labels/stable", 400, "Unrecognized servable version label: stable"),
        ("/v1/models/nix/labels/stable", 404, "Latest(nix)"),
        ("/v1/models/half/versions/x", 400, "Malformed request: GET /v1/models/half/versions/x"),
        ("/v1/models/half/", 400, "Malformed request: GET /v1/models/half/"),
        ("/v1/models/", 400, "Malformed request: GET /v1/models/"),
        ("/v1/model/half", 400, "Malformed request"),
        ("/v1x", 404, "unknown path '/v1x'"),
        ("/v1models/half", 404, "/v1/models"),
    ] {
        let got = get(&house, path).await;
        assert_eq!(got.status.as_u16(), status, "{path}: {}", got.text());
        assert!(got.error().contains(words), "{path}: {}", got.error());
        if status != 400 && !path.contains("versions") {
            continue;
        }
        let predict = post(&house, &format!("{path}:predict"), r#"{"instances":[[1,2]]}"#).await;
        assert_eq!(predict.status.as_u16(), status, "{path}: {}", predict.text());
    }
    assert!(get(&house, "/v1").await.error().starts_with("Malformed request: GET /v1;"));
    let got = post(&house, "/v1/models/half:train", "{}").await;
    assert!(got.error().starts_with("Malformed request: POST /v1/models/half:train"), "{}", got.error());
}

#[tokio::test]
async fn methods() {
    let house = house();
    for (path, allow) in [
        ("/v1/models", "GET, HEAD"),
        ("/v1/models/half", "GET, HEAD"),
        ("/v1/models/half/metadata", "GET, HEAD"),
        ("/v1/models/half:predict", "POST"),
        ("/v1/models/half:classify", "POST"),
        ("/v1/models/half:explain", "POST"),
        ("/v1/models/nix:predict", "POST"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            let got = call(&house, method.parse().unwrap(), path, "").await;
            if allow.split(", ").any(|one| one == method) {
                assert_ne!(got.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                continue;
            }
            assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(got.header("allow"), allow);
            assert_eq!(got.code, Code::MethodNotAllowed);
        }
    }
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let house = house();
    for path in ["/v1/models", "/v1/models/half", "/v1/models/loading", "/v1/models/half/metadata", "/", "/docs", "/openapi.json"]
    {
        let (head, body) = (call(&house, Method::HEAD, path, "").await, get(&house, path).await);
        assert_eq!(head.status, body.status, "{path}");
        assert_eq!(head.header("content-length"), body.body.len().to_string(), "{path}");
        assert!(head.body.is_empty());
    }
}

#[tokio::test]
async fn verbs_that_no_model_has() {
    let house = house();
    for (verb, status, words) in [
        ("classify", 400, "no classification signature (tf.Example)"),
        ("Regress", 400, "no regression signature (tf.Example)"),
        ("explain", 501, "no explainer"),
    ] {
        for path in ["/v1/models/half", "/v1/models/half/versions/3"] {
            let got = post(&house, &format!("{path}:{verb}"), r#"{"examples":[{"x":1}]}"#).await;
            assert_eq!(got.status.as_u16(), status);
            assert!(got.error().contains(words), "{}", got.error());
            assert!(got.error().contains("/v1/models/half:predict"), "{}", got.error());
        }
        assert_eq!(post(&house, &format!("/v1/models/nix:{verb}"), "{}").await.status.as_u16(), 404);
    }
}
