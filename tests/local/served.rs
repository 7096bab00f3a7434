//! What is served: every protocol, and several deployments on one port.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::ask;
use crate::grpc;
use crate::session::{Session, blocking, condition, deployment, mnist, model, one, repository};

#[tokio::test(flavor = "multi_thread")]
async fn yaml_becomes_a_prediction_in_every_protocol() {
    let mut session = Session::with(&mnist(3, ""), &["--direct"]);
    let ready = session.until_ready("mnist");
    assert_eq!(one(&ready, "mnist")["status"]["readyOfWanted"], "1/1");
    let request: Value = serde_json::from_slice(&std::fs::read(repository("examples/mnist/request.json")).unwrap()).unwrap();
    let url = |path: &str| format!("{}{path}", session.url);
    let (status, answer) = ask(Method::POST, &url("/v1/models/mnist:predict"), &request).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["predictions"][0].as_array().unwrap().len(), 10);
    let (_, answer) = ask(Method::GET, &url("/v2/models/mnist"), &Value::Null).await.unwrap();
    assert_eq!(answer["versions"], json!(["3"]));
    // A replica's own port answers the same.
    let port = one(&ready, "mnist")["replicas"][0]["port"].as_u64().unwrap();
    let direct = format!("http://127.0.0.1:{port}/v1/models/mnist:predict");
    assert_eq!(ask(Method::POST, &direct, &request).await.unwrap().0, StatusCode::OK);
    let grpc = grpc::infer(&session.url, "mnist", 784).await.unwrap();
    assert_eq!((grpc.model_version.as_str(), grpc.raw_output_contents[0].len()), ("3", 40));
    assert_eq!(grpc::infer(&session.url, "nobody", 784).await.unwrap_err().0, "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_deployments_share_the_port() {
    let two = |more: &str| {
        mnist(1, "")
            + &deployment("add", &format!("  models: [{{name: plus, uri: \"file:{}\"}}]{more}", model("add")))
            + "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
    };
    let mut session = Session::start(&two(""));
    let note = session.until("a note", |event| event["event"] == "note");
    assert!(note["message"].as_str().unwrap().contains("Secret"), "{note}");
    session.until_ready("mnist");
    session.until_ready("add");
    let url = session.url.clone();
    let get = async |path: &str| ask(Method::GET, &format!("{url}{path}"), &Value::Null).await.unwrap();
    assert_eq!(get("/v2/models").await.1, json!({"models": ["mnist", "plus"]}));
    let (_, index) = ask(Method::POST, &format!("{url}/v2/repository/index"), &json!({})).await.unwrap();
    assert_eq!(index.as_array().unwrap().len(), 2, "{index}");
    let paths = get("/openapi.json").await.1["paths"].to_string();
    assert!(paths.contains("mnist") && paths.contains("plus"));
    assert_eq!(get("/v2/models/plus").await.0, StatusCode::OK);
    let (status, unknown) = get("/v2/models/minus").await;
    assert_eq!((status, &unknown["error"]), (StatusCode::NOT_FOUND, &json!("unknown model 'minus'; served here: mnist, plus")));

    // Scaled to nothing, one is refused at once and the other serves on; then it is gone altogether.
    session.edit(&two("\n  replicas: 0"));
    let (mut session, _) =
        blocking(session, |session| session.until("zero", |event| condition(event, "add", "Ready")["reason"] == "ScaledToZero"))
            .await;
    let (status, answer) = get("/v2/models/plus").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && answer["error"].to_string().contains("replicas: 0"), "{answer}");
    assert_eq!(get("/v2/health/ready").await.0, StatusCode::OK);
    session.edit(&mnist(1, ""));
    session.until("add to go", |event| event["event"] == "status" && one(event, "add").is_null());
    assert_eq!(get("/v2/models/plus").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get("/v2/models/mnist").await.0, StatusCode::OK);
}
