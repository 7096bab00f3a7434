//! Health, metadata, the index, loading, statistics and configuration.

use modelyard_server::registry::State;
use serde_json::json;

use crate::house::{get, infer, send, service, x};

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
