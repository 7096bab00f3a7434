//! Local mode from YAML to prediction, with real processes on real ports.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

#[path = "local/client.rs"]
mod client;
#[path = "local/session.rs"]
mod session;

use std::io::BufRead;
use std::process::Command;
use std::time::{Duration, Instant};

use client::{Load, ask};
use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use session::{Session, condition, deployment, kill, mnist, one, repository, runs, server};

fn model(name: &str) -> String {
    repository(&format!("tests/models/{name}.onnx")).display().to_string()
}

/// Waits on a thread that may block, so that the load goes on meanwhile.
async fn blocking<T: Send + 'static>(
    mut session: Session,
    work: impl FnOnce(&mut Session) -> T + Send + 'static,
) -> (Session, T) {
    tokio::task::spawn_blocking(move || {
        let outcome = work(&mut session);
        (session, outcome)
    })
    .await
    .unwrap()
}

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
async fn an_edit_takes_over_without_one_failed_request() {
    let mut session = Session::start(&mnist(1, "  replicas: 2\n  serving: {drainDelay: 1s}"));
    session.until_ready("mnist");
    let old = session.pids();
    let mut load = Load::start(&session.url, 4);
    load.more(20).await;
    session.edit(&mnist(2, "  replicas: 2\n  serving: {drainDelay: 1s}"));
    let (session, last) = blocking(session, |session| {
        session.until("version 2 alone", |event| {
            let replicas = one(event, "mnist")["replicas"].as_array().map_or(0, Vec::len);
            condition(event, "mnist", "Ready")["status"] == "True" && replicas == 2 && {
                one(event, "mnist")["status"]["revisions"][0]["version"] == 2
            }
        })
    })
    .await;
    load.more(20).await;
    let seen = load.end().await;
    assert_eq!(seen.failures, Vec::<String>::new());
    assert!(seen.versions.iter().all(|version| version == "2"), "{seen:?} {last:#}");
    assert!(old.iter().all(|pid| !session.pids().contains(pid) && !runs(*pid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_overwritten_in_place_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(model("add"), folder.path().join("m.onnx")).unwrap();
    let yaml = |replicas: u32| deployment("m", &format!("  model: {{uri: \"file:m.onnx\"}}\n  replicas: {replicas}"));
    std::fs::write(folder.path().join("models.yaml"), yaml(1)).unwrap();
    let files = folder.path().join("models.yaml");
    let mut session = Session::launch(folder, &files, &[]);
    let first = one(&session.until_ready("m"), "m")["revision"].clone();
    let inputs = async |session: &Session| {
        ask(Method::GET, &format!("{}/v2/models/m", session.url), &Value::Null).await.unwrap().1["inputs"]
            .as_array()
            .unwrap()
            .len()
    };
    let adding = inputs(&session).await;
    // What is no model leaves the revision as it is serving; what is one takes over.
    for (source, good) in [("not_onnx", false), ("identity_fp32", true)] {
        std::fs::copy(model(source), session.folder.path().join("m.onnx")).unwrap();
        let event = session.until("the new revision", |event| {
            let (ready, up) = (condition(event, "m", "Ready"), condition(event, "m", "UpToDate"));
            one(event, "m")["revision"] != first && if good { ready["status"] == "True" } else { up["reason"] == "ModelInvalid" }
        });
        assert_eq!(condition(&event, "m", "Serving")["status"], "True", "{event:#}");
        assert_eq!(inputs(&session).await, if good { 1 } else { adding });
    }
    assert_ne!(adding, 1);
    // A change of replicas alone makes none.
    let second = one(&session.last, "m")["revision"].clone();
    session.edit(&yaml(2));
    let scaled = session.until("two replicas", |event| one(event, "m")["status"]["readyOfWanted"] == "2/2");
    assert_eq!(one(&scaled, "m")["revision"], second);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_models_each_comes_and_goes_without_a_new_process() {
    let several = |others: &str| {
        let uri = repository("examples/mnist/model").display().to_string();
        deployment("m", &format!("  models:\n  - {{name: mnist, uri: \"file:{uri}\"}}\n{others}"))
    };
    let one_more = |name: &str, file: &str, version: u32| {
        let uri = if file.starts_with('/') { file.to_owned() } else { model(file) };
        format!("  - {{name: {name}, uri: \"file:{uri}\", version: {version}}}\n")
    };
    let mut session = Session::start(&several(&one_more("add", "add", 1)));
    session.until_ready("m");
    let before = session.pids();
    let mut load = Load::start(&session.url, 2);
    load.more(20).await;
    let url = session.url.clone();
    let (session, ()) = blocking(session, move |session| {
        let ready = |event: &Value| condition(event, "m", "Ready")["status"] == "True";
        let shown = |event: &Value, name: &str| {
            let models = one(event, "m")["replicas"][0]["models"].as_array().cloned().unwrap_or_default();
            models.into_iter().find(|model| model["name"] == name)
        };
        session.edit(&several(&(one_more("add", "add", 1) + &one_more("gather", "gather", 1))));
        session.until("the new one", |event| ready(event) && shown(event, "gather").is_some_and(|one| one["state"] == "Ready"));
        // One that does not load is told, and harms nobody.
        session.edit(&several(&(one_more("add", "not_onnx", 2) + &one_more("gather", "/nowhere.onnx", 1))));
        let told = session.until("both refusals", |event| {
            let reasons = ["add", "gather"].map(|name| shown(event, name).map(|one| one["reason"].clone()));
            reasons == [Some(json!("ModelInvalid")), Some(json!("ModelNotFound"))]
        });
        assert_eq!(condition(&told, "m", "Serving")["status"], "True", "{told:#}");
        assert_eq!(condition(&told, "m", "Ready")["status"], "False", "{told:#}");
        session.edit(&several(""));
        session.until("the first alone", |event| ready(event) && shown(event, "add").is_none());
    })
    .await;
    load.more(20).await;
    let seen = load.end().await;
    assert_eq!((seen.failures, session.pids()), (Vec::<String>::new(), before));
    assert_eq!(ask(Method::GET, &format!("{url}/v2/models/add"), &Value::Null).await.unwrap().0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_edit_leaves_the_old_revision_serving_and_says_why() {
    let mut session = Session::start(&mnist(1, ""));
    session.until_ready("mnist");
    let mut load = Load::start(&session.url, 2);
    load.more(20).await;
    let (session, ()) = blocking(session, |session| {
        session.edit("kind: ModelDeployment\nspec: {modle: {}}");
        let refused = session.until("a refusal", |event| event["event"] == "refused");
        assert!(refused["messages"][0].as_str().unwrap().contains("models.yaml:"), "{refused}");
        for (uri, reason) in [("/nowhere.onnx".to_owned(), "ModelNotFound"), (model("not_onnx"), "ModelInvalid")] {
            session.edit(&deployment("mnist", &format!("  model: {{uri: \"file:{uri}\", version: 2}}")));
            let event = session.until(reason, |event| condition(event, "mnist", "UpToDate")["reason"] == reason);
            assert_eq!(condition(&event, "mnist", "Serving")["status"], "True", "{event:#}");
            assert_eq!(condition(&event, "mnist", "Ready")["status"], "False", "{event:#}");
        }
        session.edit(&mnist(3, ""));
        session.until("version 3", |event| {
            condition(event, "mnist", "Ready")["status"] == "True"
                && one(event, "mnist")["status"]["revisions"][0]["version"] == 3
        });
    })
    .await;
    load.more(20).await;
    let seen = load.end().await;
    drop(session);
    assert_eq!(seen.failures, Vec::<String>::new());
    assert!(seen.versions.iter().all(|version| version == "3"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_costs_no_request() {
    for replicas in [2, 1] {
        let mut session = Session::start(&mnist(1, &format!("  replicas: {replicas}")));
        session.until_ready("mnist");
        let victim = session.pids()[0];
        let mut load = Load::start(&session.url, 4);
        load.more(20).await;
        let (session, ()) = blocking(session, move |session| {
            kill(victim, Signal::KILL);
            session.until("a failure", |event| one(event, "mnist")["replicas"][0]["restarts"] == 1);
            session.until_ready("mnist");
        })
        .await;
        load.more(20).await;
        let seen = load.end().await;
        assert_eq!(seen.failures, Vec::<String>::new(), "{replicas} replicas");
        assert!(!session.pids().contains(&victim));
    }
}

#[test]
fn a_killed_parent_leaves_no_server() {
    let mut session = Session::start(&mnist(1, "  replicas: 2"));
    session.until_ready("mnist");
    let pids = session.pids();
    assert!(pids.len() == 2 && pids.iter().all(|pid| runs(*pid)));
    session.signal(Signal::KILL);
    session.ended();
    let begun = Instant::now();
    while pids.iter().any(|pid| runs(*pid)) {
        assert!(begun.elapsed() < Duration::from_secs(10), "servers outlive their parent");
        std::thread::yield_now();
    }
    // Its folder is there still; the next start in the same place removes it, and has its own.
    let folders = |parent: &std::path::Path| {
        let names = std::fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("modelyard-local-")).collect::<Vec<_>>()
    };
    let left = folders(session.folder.path());
    assert_eq!(left.len(), 1, "{left:?}");
    let files = session.folder.path().join("models.yaml");
    let parent = std::mem::replace(&mut session.folder, tempfile::tempdir().unwrap());
    let next = Session::launch(parent, &files, &[]);
    let now = folders(next.folder.path());
    assert!(now.len() == 1 && now != left, "{now:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_answers_what_is_in_flight_and_exits_0() {
    let slow = deployment("slow", &format!("  model: {{uri: \"file:{}\"}}", model("slow")));
    let mut session = Session::start(&slow);
    session.until_ready("slow");
    let url = format!("{}/v2/models/slow/infer", session.url);
    let body = json!({"inputs": [{"name": "x", "shape": [8, 256], "datatype": "FP32", "data": vec![0.1; 2048]}]});
    let in_flight = tokio::spawn(async move { ask(Method::POST, &url, &body).await });
    let health = format!("{}/v2/models/slow/stats", session.url);
    // The signal comes once the request is at the replica: the connection's answer to another question says nothing of that,
    // its queue does.
    let admin = one(&session.last, "slow")["replicas"][0]["adminPort"].as_u64().unwrap();
    let begun = Instant::now();
    loop {
        let (_, metrics) = ask(Method::GET, &format!("http://127.0.0.1:{admin}/metrics"), &Value::Null).await.unwrap();
        let busy = metrics
            .as_str()
            .unwrap()
            .lines()
            .any(|line| line.contains("in_flight") && !line.starts_with('#') && line.ends_with(" 1"));
        if busy || in_flight.is_finished() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{metrics}");
    }
    assert!(!in_flight.is_finished(), "the slow model is too fast for this test");
    let pids = session.pids();
    session.signal(Signal::INT);
    let (mut session, _) = blocking(session, |session| session.until("draining", |event| event["event"] == "draining")).await;
    assert!(ask(Method::GET, &health, &Value::Null).await.is_err(), "new connections are refused once it drains");
    let (status, answer) = in_flight.await.unwrap().unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(session.ended().code(), Some(0));
    assert!(pids.iter().all(|pid| !runs(*pid)));
    // Servers log what is worth a warning: an end that somebody asked for is not.
    let said = session.said.lock().unwrap().clone();
    assert!(!said.contains("signal"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let slow = deployment("slow", &format!("  model: {{uri: \"file:{}\"}}\n  serving: {{drainDelay: 60s}}", model("slow")));
    let mut session = Session::with(&slow, &["--direct"]);
    session.until_ready("slow");
    let pids = session.pids();
    session.signal(Signal::TERM);
    session.until("draining", |event| event["event"] == "draining");
    let begun = Instant::now();
    session.signal(Signal::TERM);
    assert_eq!(session.ended().code(), Some(143));
    assert!(begun.elapsed() < Duration::from_secs(10) && pids.iter().all(|pid| !runs(*pid)));
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

#[test]
fn an_edit_keeps_what_came_by_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("models.yaml");
    let of_file = |version: u32| deployment("plus", &format!("  model: {{uri: \"file:{}\", version: {version}}}", model("add")));
    std::fs::write(&file, of_file(1)).unwrap();
    let mut session = Session::fed(folder, &file, &["-f", "-"], &mnist(1, ""));
    session.until_ready("mnist");
    session.until_ready("plus");
    session.edit(&of_file(2));
    let event = session.until("version 2 of plus", |event| {
        event["event"] == "status" && {
            let plus = one(event, "plus");
            condition(event, "plus", "Ready")["status"] == "True" && plus["status"]["revisions"][0]["version"] == 2
        }
    });
    assert_eq!(condition(&event, "mnist", "Ready")["status"], "True", "{event:#}");
}

#[test]
fn a_server_that_refuses_its_settings_is_quoted() {
    // The server refuses it before it can write its last words.
    let mut session = Session::with(&mnist(1, ""), &["--log-level", "a b=info,=warn"]);
    let event = session.until("the failure", |event| condition(event, "mnist", "Ready")["reason"] == "InvalidSpec");
    let message = condition(&event, "mnist", "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("exited with code 64: --log-level"), "{message}");
}

#[test]
fn without_a_terminal_a_replicas_port_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("models.yaml"), mnist(1, "  replicas: 2")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_modelyard"))
        .args(["local", "--direct", "--port", "0", "--server-bin"])
        .arg(server())
        .arg("-f")
        .arg(folder.path().join("models.yaml"))
        .env("TMPDIR", folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    for line in std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let ready = line.contains("2/2 replicas");
        lines.push(line);
        if ready {
            kill(child.id(), Signal::INT);
        }
    }
    child.wait().unwrap();
    for replica in ["mnist/1", "mnist/2"] {
        let told = lines.iter().filter(|line| line.starts_with(&format!("{replica} is http://"))).count();
        assert_eq!(told, 1, "{lines:#?}");
    }
}

#[test]
fn what_cannot_be_served_is_said_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let run = |yaml: &str, arguments: &[&str]| {
        let file = folder.path().join("models.yaml");
        std::fs::write(&file, yaml).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard"));
        let output = command.args(["local", "-f"]).arg(&file).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let server = server().display().to_string();
    let same = deployment("a", "  model: {uri: \"file:m\", name: x}") + &deployment("b", "  model: {uri: \"file:m\", name: x}");
    for (yaml, arguments, words) in [
        (same.as_str(), &["--port", "0"][..], "ModelDeployment/b"),
        ("", &["--port", "0"], "no ModelDeployment in"),
        ("kind: [", &["--port", "0"], "models.yaml:1"),
        (&mnist(1, ""), &["--server-bin", &server, "--port", &port], "--port: cannot listen on"),
    ] {
        let message = run(yaml, arguments);
        assert!(message.starts_with("error: ") && message.contains(words), "{message}");
    }
}

/// gRPC by hand: a frame there, a frame back, the status in the trailers.
mod grpc {
    use bytes::{BufMut, Bytes, BytesMut};
    use http::Request;
    use http_body_util::{BodyExt, Full};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use modelyard_wire::proto::inference::model_infer_request::InferInputTensor;
    use modelyard_wire::proto::inference::{ModelInferRequest, ModelInferResponse};
    use prost::Message;

    /// Infers one row of zeros; an error is gRPC's status and message.
    pub(crate) async fn infer(url: &str, model: &str, width: usize) -> Result<ModelInferResponse, (String, String)> {
        let input = InferInputTensor {
            name: "pixels".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, width as i64],
            ..InferInputTensor::default()
        };
        let message = ModelInferRequest {
            model_name: model.to_owned(),
            inputs: vec![input],
            raw_input_contents: vec![vec![0; width * 4].into()],
            ..ModelInferRequest::default()
        };
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.encoded_len()).unwrap());
        message.encode(&mut framed).unwrap();
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let request = Request::post(format!("{url}/inference.GRPCInferenceService/ModelInfer"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(framed.freeze()))
            .unwrap();
        let (head, body) = client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or(head.headers);
        let text = |name: &str| trailers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        match text("grpc-status").as_str() {
            "0" => Ok(ModelInferResponse::decode(&body.to_bytes()[5..]).unwrap()),
            status => Err((status.to_owned(), text("grpc-message"))),
        }
    }
}
