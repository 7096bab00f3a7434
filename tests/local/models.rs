//! What it says of several models of one deployment, one by one.

use std::io::BufRead;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::session::{Session, condition, deployment, kill, model, one, repository, server, told_models};

fn digits(names: &[&str]) -> String {
    let uri = repository("examples/mnist/model").display().to_string();
    names.iter().map(|name| format!("  - {{name: {name}, uri: \"file:{uri}\"}}\n")).collect()
}

#[test]
fn one_that_left_its_memory_to_another_is_on_standby_there_too() {
    let yaml = |serving: &str| deployment("m", &format!("  models:\n{}{serving}", digits(&["a", "b"])));
    let mut session = Session::start(&yaml(""));
    let ready = session.until_ready("m");
    let (before, states) = (told_models(&ready, "m"), |models: &[Value]| {
        let mut states: Vec<String> = models.iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect();
        states.sort();
        states
    });
    assert_eq!(states(&before), ["Ready", "Ready"], "{before:#?}");
    assert!(before.iter().all(|one| one["since"].as_str().is_some() && one["reason"].is_null()), "{before:#?}");
    let bytes = one(&ready, "m")["replicas"][0]["models"][0]["memoryBytes"].as_u64().unwrap();
    session.edit(&yaml(&format!("  serving: {{memoryBudget: \"{}\"}}\n", bytes * 3 / 2)));
    session.until("one on standby", |event| states(&told_models(event, "m")) == ["Ready", "Standby"]);
}

#[test]
fn without_a_terminal_a_model_that_fails_and_comes_back_gets_a_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("models.yaml");
    let write = |more: &str| {
        let (new, yaml) = (folder.path().join("new"), deployment("m", &format!("  models:\n{}{more}", digits(&["a"]))));
        std::fs::write(&new, yaml).unwrap();
        std::fs::rename(new, &file).unwrap();
    };
    write("");
    let mut child = Command::new(env!("CARGO_BIN_EXE_modelyard"))
        .args(["local", "--port", "0", "--server-bin"])
        .arg(server())
        .arg("-f")
        .arg(&file)
        .env("TMPDIR", folder.path())
        .env("MODELYARD_CACHE_DIR", folder.path().join("cache"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (failed, back) = ("m: model 'b' is Failed (ModelNotFound): ", "m: model 'b' is Ready");
    let mut lines: Vec<String> = Vec::new();
    for line in std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        if line.starts_with("m: ready") && lines.iter().all(|earlier| !earlier.starts_with("m: ready")) {
            write("  - {name: b, uri: \"file:/nowhere.onnx\"}\n");
        } else if line.starts_with(failed) {
            write(&format!("  - {{name: b, uri: \"file:{}\"}}\n", model("add")));
        } else if line == back {
            kill(child.id(), Signal::INT);
        }
        lines.push(line);
    }
    child.wait().unwrap();
    let told = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((told(failed), told(back), told("m: model 'a'")), (1, 1, 0), "{lines:#?}");
    assert!(lines.windows(2).all(|two| two[0] != two[1]), "{lines:#?}");
}

/// One model that fails in every revision keeps none from taking over, and gives none up to one that answers for less.
#[test]
fn what_answers_stays_until_the_new_revision_answers_for_as_much() {
    let yaml = |budget: &str| {
        let models = digits(&["a", "b"]) + "  - {name: lost, uri: \"file:/nowhere.onnx\"}\n";
        deployment("m", &format!("  models:\n{models}  serving: {{memoryBudget: \"{budget}\"}}\n"))
    };
    // The replicas that answer for both, by their revision.
    let answering = |event: &Value| -> Vec<String> {
        let all = one(event, "m")["replicas"].as_array().cloned().unwrap_or_default();
        let both = |replica: &&Value| {
            let ready = |name: &str| {
                let models = replica["models"].as_array().into_iter().flatten();
                models.filter(|model| model["name"] == name && model["state"] == "Ready").count() == 1
            };
            ready("a") && ready("b")
        };
        all.iter().filter(both).map(|replica| replica["revision"].as_str().unwrap().to_owned()).collect()
    };
    let mut session = Session::start(&yaml("512Mi"));
    let first = answering(&session.until("both", |event| answering(event).len() == 1));
    session.edit(&yaml("10Ki"));
    let told = session.until("too little memory", |event| condition(event, "m", "UpToDate")["reason"] == "OutOfMemory");
    assert_eq!(answering(&told), first, "{told:#}");
    session.edit(&yaml("511Mi"));
    session.until("the new one alone", |event| {
        let now = answering(event);
        now.len() == 1 && now != first && one(event, "m")["replicas"].as_array().is_some_and(|all| all.len() == 1)
    });
}
