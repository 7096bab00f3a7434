//! What may be wrong with a model and its store.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::events::v1::Event;
use serde_json::{Value, json};

use crate::deployed::{condition, mnist, model};
use crate::namespace::within;
use crate::store;
use crate::watch::all;

/// A model that fails for this reason, and serves once it is written as it should be.
async fn fails(test: &str, wrong: Value, reason: &str, words: &[&str], exit_code: i32) {
    within(test, async |namespace| {
        let deployed = namespace.deploy("mnist", model(wrong)).await;
        let failing = deployed.until_not_ready(reason, words).await;
        for kind in ["Serving", "UpToDate"] {
            assert_eq!((condition(&failing, kind).status.as_str(), condition(&failing, kind).reason.as_str()), ("False", reason));
        }
        let failure = &failing["status"]["failure"];
        assert_eq!((&failure["reason"], &failure["exitCode"]), (&json!(reason), &json!(exit_code)), "{failure:#}");
        assert!(failure["pod"].as_str().is_some_and(|pod| pod.starts_with("mnist-")), "{failure:#}");
        deployed.until_event(reason, "Warning").await;
        deployed.apply(mnist(1)).await;
        let ready = deployed.until_ready().await;
        assert_eq!(ready["status"]["failure"], json!(null));
    })
    .await;
}

#[tokio::test]
async fn a_model_that_is_not_there() {
    fails("model-not-found", json!({ "uri": store::uri("absent.onnx") }), "ModelNotFound", &["absent.onnx", "404"], 66).await;
}

#[tokio::test]
async fn a_store_that_wants_a_password() {
    let uri = store::uri("private/model.onnx");
    fails("model-unauthorized", json!({ "uri": uri }), "ModelUnauthorized", &["private/model.onnx", "401"], 77).await;
}

#[tokio::test]
async fn bytes_of_another_sum() {
    let wrong = json!({ "uri": store::uri("model.onnx"), "sha256": "0".repeat(64) });
    fails("checksum", wrong, "ChecksumMismatch", &["0000000000", &store::sum()], 65).await;
}

#[tokio::test]
async fn a_damaged_file() {
    fails(
        "model-invalid",
        json!({ "uri": store::uri("truncated.onnx") }),
        "ModelInvalid",
        &["/truncated.onnx: ", "cut short"],
        65,
    )
    .await;
}

#[tokio::test]
async fn an_operator_that_the_engine_lacks() {
    fails(
        "model-unsupported",
        json!({ "uri": store::uri("unsupported_op.onnx") }),
        "ModelUnsupported",
        &["/unsupported_op.onnx: ", "operator"],
        65,
    )
    .await;
}

#[tokio::test]
async fn another_failure_of_the_same_kind_is_another_event() {
    within("another-event", async |namespace| {
        let absent = |name: &str| model(json!({ "uri": store::uri(name) }));
        let deployed = namespace.deploy("mnist", absent("first.onnx")).await;
        deployed.until_not_ready("ModelNotFound", &["first.onnx"]).await;
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
        deployed.apply(absent("second.onnx")).await;
        deployed.until_not_ready("ModelNotFound", &["second.onnx"]).await;
        namespace
            .until("an event for each", all().fields("reason=ModelNotFound"), |events: &[&Event]| {
                let notes = events.iter().filter_map(|event| event.note.as_deref());
                let of = |name: &str| notes.clone().filter(|note| note.contains(name)).count();
                (of("first.onnx") >= 1 && of("second.onnx") >= 1).then_some(())
            })
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_not_there_yet() {
    within("store-unavailable", async |namespace| {
        // An address, and nobody behind it.
        let manifest = store::manifest(&namespace.name);
        let [files, service, pod] = manifest["items"].as_array().unwrap().as_slice() else { panic!("{manifest}") };
        namespace.put::<Service>("store", service.clone()).await;
        let mnist = namespace.deploy("mnist", model(json!({ "uri": "http://store:8080/model.onnx" }))).await;
        mnist.until_not_ready("StoreUnavailable", &["http://store:8080/model.onnx"]).await;
        mnist.until_event("StoreUnavailable", "Warning").await;
        namespace.put::<ConfigMap>("store", files.clone()).await;
        namespace.put::<k8s_openapi::api::core::v1::Pod>("store", pod.clone()).await;
        mnist.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn a_host_that_has_no_address() {
    within("no-such-host", async |namespace| {
        let uri = "http://nobody.invalid/model.onnx";
        let deployed = namespace.deploy("mnist", model(json!({ "uri": uri }))).await;
        deployed.until_not_ready("StoreUnavailable", &["nobody.invalid"]).await;
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
    })
    .await;
}
