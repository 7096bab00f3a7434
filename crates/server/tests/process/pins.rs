//! What a model's name led to stays what is served, whatever lies there later: in one process, and by what a file says of it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::http::{Response, get, post};
use crate::server::{Server, eventually, model, path};

/// A model whose file can be written anew, with bytes of its own.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.put("one");
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("add.onnx")
    }

    fn pins(&self) -> PathBuf {
        self.folder.path().join("pins.json")
    }

    /// The model with this doc_string (field 6).
    fn put(&self, note: &str) {
        let length = u8::try_from(note.len()).unwrap();
        let bytes = [&std::fs::read(path("tests/models/add.onnx")).unwrap()[..], &[0x32, length], note.as_bytes()].concat();
        std::fs::write(self.file(), bytes).unwrap();
    }

    fn config(&self) -> Value {
        json!({ "name": "add", "uri": format!("file:{}", self.file().display()) })
    }

    /// A server that looks for pins, and is of this restart.
    fn served(&self, restart: &str) -> Server {
        Server::start_with(&[self.config()], &json!({ "drainDelay": "0s" }), |command| {
            command.arg("--pins-file").arg(self.pins()).args(["--restarted-at", restart, "--allow-control"]);
        })
    }

    /// Writes down for a restart what a server has said.
    fn note(&self, restart: &str, pin: &Value) {
        write(&self.pins(), &json!({ restart: { "add": pin } }).to_string());
    }
}

/// Beside it, then in its place, as whoever notes it does.
fn write(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, file).unwrap();
}

fn said(server: &Server) -> Value {
    get(server.admin(), "/readyz").unwrap().json()["models"][0].clone()
}

fn ask(server: &Server) -> Response {
    let row = [[1.0, 2.0, 3.0, 4.0]];
    let body = json!({ "inputs": { "a": row, "b": row } }).to_string();
    post(server.address(), "/v1/models/add:predict", &body).unwrap()
}

fn load(server: &Server) -> Response {
    post(server.address(), "/v2/repository/models/add/load", "{}").unwrap()
}

#[test]
fn what_comes_back_from_standby_is_what_it_was() {
    let place = Place::new();
    let alone = Server::start(&[place.config()], &json!({}));
    let bytes = said(&alone)["memoryBytes"].as_u64().unwrap();
    drop(alone);
    // Room for one of the two.
    let server = Server::start(&[place.config(), model("div")], &json!({ "memoryBudget": bytes + bytes / 2 }));
    let pin = eventually("it was loaded", || {
        ask(&server);
        (said(&server)["state"] == "Ready").then(|| said(&server)["pin"].clone())
    });
    let divide = json!({ "inputs": { "a": [7, 9], "b": [2, 3] } }).to_string();
    let leave = || {
        assert_eq!(post(server.address(), "/v1/models/div:predict", &divide).unwrap().status, 200);
        assert_eq!(said(&server)["state"], "Standby");
    };
    leave();
    place.put("two");
    let refused = ask(&server);
    assert_eq!(refused.status, 503, "{}", refused.body);
    for part in ["ModelChanged", "add.onnx", pin["digest"].as_str().unwrap(), "run modelyard restart"] {
        assert!(refused.body.contains(part), "{part}: {}", refused.body);
    }
    assert_eq!(said(&server)["state"], "Standby", "and stays what it was");
    place.put("one");
    eventually("the bytes are back, and so is the model", || (ask(&server).status == 200).then_some(()));
    assert_eq!(said(&server)["pin"], pin);
}

#[test]
fn a_server_that_starts_with_a_pin_serves_that_or_nothing() {
    let place = Place::new();
    let first = place.served("");
    let pin = said(&first)["pin"].clone();
    assert_eq!((pin["digest"].as_str().map(str::len), pin["digest"] == said(&first)["digest"]), (Some(64), true), "{pin}");
    drop(first);
    place.note("", &pin);
    assert_eq!(said(&place.served(""))["pin"], pin);
    place.put("two");
    let other = place.served("2026-11-26T10:00:00Z");
    assert_ne!(said(&other)["digest"], pin["digest"], "what is noted of another restart does not hold");
    let mut held = Server::start_unready(&[place.config()], |command| {
        command.arg("--pins-file").arg(place.pins());
    });
    assert_eq!(held.exit().code(), Some(65));
    for part in ["ModelChanged", pin["digest"].as_str().unwrap(), said(&other)["digest"].as_str().unwrap()] {
        assert!(held.log().contains(part), "{part}: {}", held.log());
    }
}

#[test]
fn one_that_serves_something_else_changes_over_or_ends() {
    let place = Place::new();
    let first = said(&place.served(""))["pin"].clone();
    place.put("two");
    let server = place.served("");
    let second = said(&server)["pin"].clone();
    assert_ne!(first["digest"], second["digest"]);
    place.put("one");
    place.note("", &first);
    eventually("it serves what is noted", || {
        assert_eq!(ask(&server).status, 200, "it answers all the time");
        (said(&server)["pin"] == first).then_some(())
    });
    drop(server);

    place.put("two");
    std::fs::remove_file(place.pins()).unwrap();
    let mut lost = Server::start_with(&[place.config()], &json!({ "drainDelay": "0s" }), |command| {
        command.arg("--pins-file").arg(place.pins());
    });
    place.note("", &first);
    assert_eq!(lost.exit().code(), Some(65), "{}", lost.log());
    assert!(lost.log().contains("ModelChanged"), "{}", lost.log());
}

#[test]
fn a_client_that_loads_a_model_gets_what_is_there_now_unless_that_is_noted() {
    let place = Place::new();
    let by_hand = Server::start_with(&[place.config()], &json!({}), |command| {
        command.arg("--allow-control");
    });
    let noted = place.served("");
    let first = said(&noted)["digest"].clone();
    place.put("two");
    assert_eq!(load(&by_hand).status, 200);
    assert_ne!(said(&by_hand)["digest"], first);
    let refused = load(&noted);
    assert!(refused.status == 503 && refused.body.contains("ModelChanged"), "{} {}", refused.status, refused.body);
    assert_eq!((ask(&noted).status, &said(&noted)["digest"]), (200, &first), "it serves on");
    place.put("one");
    assert_eq!(load(&noted).status, 200);
}

#[test]
fn a_change_beside_the_bytes_keeps_them_and_another_version_does_not() {
    let place = Place::new();
    let file = place.folder.path().join("config.json");
    let want = |more: Value| {
        let mut config = place.config();
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        write(&file, &json!({ "models": [config] }).to_string());
    };
    want(json!({}));
    let server = Server::start_as(|command| {
        command.arg("--config").arg(format!("@{}", file.display()));
    });
    let first = said(&server)["digest"].clone();
    place.put("two");
    want(json!({ "engine": { "selfCheck": "Disabled" } }));
    let refused = eventually("the change is refused", || said(&server)["refused"].as_object().cloned());
    assert_eq!((&refused["reason"], &said(&server)["digest"]), (&json!("ModelChanged"), &first));
    want(json!({ "version": 2 }));
    eventually("it is what is there now", || (said(&server)["version"] == 2).then_some(()));
    assert_ne!(said(&server)["digest"], first);
}
