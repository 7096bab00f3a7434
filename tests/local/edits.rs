//! Files that change while they are served.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Load, ask};
use crate::session::{Session, blocking, condition, deployment, mnist, model, one, repository, runs, told_models};

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
        // Each by its name, in the words of a cluster.
        let told = told_models(&told, "m");
        let states = told.iter().map(|one| (one["name"].as_str().unwrap(), one["state"].as_str().unwrap()));
        assert_eq!(states.collect::<Vec<_>>(), [("mnist", "Ready"), ("add", "Failed"), ("gather", "Failed")], "{told:#?}");
        assert_eq!((&told[1]["reason"], &told[2]["reason"]), (&json!("ModelInvalid"), &json!("ModelNotFound")));
        assert!(told[1]["message"].as_str().unwrap().contains("the one before serves on"), "{told:#?}");
        assert!(told[2]["message"].as_str().unwrap().contains("/nowhere.onnx"), "{told:#?}");
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
