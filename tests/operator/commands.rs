//! What people type, against a real cluster: one revision after another, and back.

use std::process::Command;

use serde_json::{Value, json};

use crate::cluster::repository;
use crate::deployed::mnist;
use crate::namespace::{Namespace, within};

/// The exit code of a command, what it prints, and what it says beside.
fn modelyard(namespace: &Namespace, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard"));
    let output = command.args(arguments).args(["--namespace", &namespace.name]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The same of one that has to end with this code, and prints JSON.
fn document(namespace: &Namespace, arguments: &[&str], expected: i32) -> Value {
    let (code, printed, said) = modelyard(namespace, &[arguments, &["-o", "json"]].concat());
    assert_eq!(code, expected, "{arguments:?}: {printed}{said}");
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {printed}"))
}

/// The one that has to end well; what it prints.
pub(crate) fn text(namespace: &Namespace, arguments: &[&str]) -> String {
    let (code, printed, said) = modelyard(namespace, arguments);
    assert_eq!(code, 0, "{arguments:?}: {printed}{said}");
    printed
}

#[tokio::test]
async fn commands_go_forward_and_back() {
    within("commands", async |namespace| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mnist.yaml");
        let write = |spec: &Value| {
            let metadata = json!({ "name": "mnist", "namespace": namespace.name });
            let object =
                json!({ "apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment", "metadata": metadata, "spec": spec });
            std::fs::write(&file, object.to_string()).unwrap();
        };
        let path = file.to_str().unwrap();
        let (first, second) = (mnist(1), mnist(2));

        let (code, _, said) = modelyard(namespace, &["wait", "mnist", "--timeout", "5s"]);
        assert!(code == 1 && said.contains("mnist"), "{code} {said}");
        write(&first);
        let planned = document(namespace, &["diff", path], 1);
        assert_eq!((planned[0]["name"].as_str(), planned[0]["from"].as_str()), (Some("mnist"), None), "{planned}");
        let deployed = namespace.deploy("mnist", first.clone()).await;
        let reached = document(namespace, &["wait", "mnist"], 0);
        assert_eq!((&reached["reached"], reached["for"].as_str()), (&true.into(), Some("ready")), "{reached}");
        assert_eq!(document(namespace, &["diff", path], 0)[0]["effect"], "unchanged");

        write(&second);
        let planned = document(namespace, &["diff", path], 1);
        assert_eq!(planned[0]["effect"], "newRevision", "{planned}");
        deployed.apply(second.clone()).await;
        assert_eq!(document(namespace, &["wait", "mnist", "--for", "up-to-date"], 0)["reached"], true);
        let listed = document(namespace, &["list"], 0);
        let served = &listed["items"][0]["status"];
        let stable = |status: &Value| {
            let all = status["revisions"].as_array().cloned().unwrap_or_default();
            all.into_iter().find(|one| one["role"] == "Stable").map(|one| one["name"].clone()).unwrap_or_default()
        };
        assert_eq!((&planned[0]["to"], served["readyOfWanted"].as_str()), (&stable(served), Some("1/1")), "{listed}");
        assert!(text(namespace, &["list", "-o", "wide"]).contains("mnist"), "a line for it");

        let would = document(namespace, &["rollback", "mnist", "--dry-run"], 0);
        assert_eq!((&would["dryRun"], &would["from"]), (&true.into(), &stable(served)), "{would}");
        assert_eq!(deployed.api().get("mnist").await.unwrap().data["spec"]["model"]["version"], 2, "it only showed");
        let back = document(namespace, &["rollback", "mnist"], 0);
        assert_eq!((&back["to"], &back["dryRun"]), (&would["to"], &false.into()), "{back}");
        assert_eq!(document(namespace, &["wait", "mnist"], 0)["reached"], true);
        let object = deployed.until_ready().await;
        assert_eq!((&object["spec"]["model"], stable(&object["status"])), (&first["model"], back["to"].clone()));

        let restarted = document(namespace, &["restart", "mnist"], 0);
        assert_eq!((&restarted["revision"], &restarted["finished"]), (&back["to"], &true.into()), "{restarted}");
        assert_eq!(document(namespace, &["wait", "mnist"], 0)["reached"], true);

        let pictures = repository("examples/mnist/request.json");
        let input = ["--input", pictures.to_str().unwrap()];
        for protocol in ["json", "grpc"] {
            let answer =
                document(namespace, &[&["predict", "mnist", "--cluster", "--protocol", protocol][..], &input].concat(), 0);
            assert!(answer["outputs"][0]["data"].as_array().is_some_and(|data| data.len() == 10), "{answer}");
        }
        let described = document(namespace, &["inspect", "mnist", "--cluster"], 0);
        assert!(described.to_string().contains("FP32"), "{described}");
        let measured = document(namespace, &["bench", "mnist", "--cluster", "-n", "20", "-c", "2", "--warm-up", "0"], 0);
        assert_eq!(measured["answered"], 20, "{measured}");
        let logged = text(namespace, &["logs", "mnist", "--tail", "3"]);
        assert!(logged.lines().all(|line| line.starts_with("mnist-") || line.starts_with('[')), "{logged}");

        let findings = document(namespace, &["doctor"], 0);
        let states: Vec<&str> = findings.as_array().unwrap().iter().filter_map(|one| one["state"].as_str()).collect();
        assert!(states.len() > 4 && !states.contains(&"wrong"), "{findings}");

        deployed.delete().await;
        assert_eq!(document(namespace, &["wait", "mnist", "--for", "deleted"], 0)["reached"], true);
        let (code, _, said) = modelyard(namespace, &["rollback", "mnist"]);
        assert!(code == 1 && said.contains("mnist"), "{code} {said}");
    })
    .await;
}
