//! Models that cannot be served, and data that cannot be computed with: refused in words, with the server alive.

use serde_json::json;

use crate::http::{get, post};
use crate::server::{Server, mnist, mnist_body, model, path};

/// The second group of tests/models.
const REFUSED: [&str; 11] = [
    "constant_huge",
    "external_escape/model",
    "external_missing/model",
    "identity_bf16",
    "loop",
    "not_onnx",
    "tree_class_ids",
    "tree_cycle",
    "truncated",
    "unsupported_op",
    "no_such_file",
];

#[test]
fn each_hostile_model_is_refused_with_a_reason() {
    let folder = path("tests/models");
    let named = |file: &str| json!({ "name": file.replace('/', "-"), "uri": format!("file:{}/{file}.onnx", folder.display()) });
    let models: Vec<_> = REFUSED.iter().map(|file| named(file)).chain([mnist()]).collect();
    let mut server = Server::start_with(&models, &json!({}), |command| {
        command.arg("--allow-control");
    });
    for state in get(server.admin(), "/readyz").unwrap().json()["models"].as_array().unwrap() {
        let name = state["name"].as_str().unwrap();
        if name == "mnist" {
            assert_eq!(state["state"], "Ready");
            continue;
        }
        assert_eq!(state["state"], "Failed", "{state}");
        assert!(state["message"].as_str().is_some_and(|message| message.len() > 20), "{state}");
        let reasons = ["ModelUnsupported", "ModelInvalid", "ModelNotFound"];
        assert!(reasons.contains(&state["reason"].as_str().unwrap()), "{state}");
        // Asked to try again, it fails again, and says the same.
        let again = post(server.address(), &format!("/v2/repository/models/{name}/load"), "{}").unwrap();
        assert!((400..=503).contains(&again.status) && again.status != 500, "{name}: {} {}", again.status, again.body);
        assert!(again.body.len() > 20, "{name}: {}", again.body);
    }
    assert!(server.is_running());
    assert!(!server.log().contains("panicked"), "{}", server.log());
    assert_eq!(post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap().status, 200);
}

#[test]
fn data_that_cannot_be_computed_with_is_400_and_the_next_request_works() {
    let mut server = Server::start(&[model("gather"), model("div")], &json!({}));
    for _ in 0..20 {
        for (path, bad, good) in [
            ("/v1/models/gather:predict", json!({ "instances": [1_000_000] }), json!({ "instances": [3] })),
            (
                "/v1/models/div:predict",
                json!({ "inputs": { "a": [1, 2], "b": [1, 0] } }),
                json!({ "inputs": { "a": [7, 9], "b": [2, 3] } }),
            ),
        ] {
            let refused = post(server.address(), path, &bad.to_string()).unwrap();
            assert_eq!(refused.status, 400, "{}", refused.body);
            let answered = post(server.address(), path, &good.to_string()).unwrap();
            assert_eq!(answered.status, 200, "{}", answered.body);
        }
    }
    assert!(server.is_running());
}
