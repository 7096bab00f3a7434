//! A server follows the file of its configuration: models come, go and change one by one, and the others do not notice.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::http::{get, post};
use crate::server::{Server, eventually, mnist, mnist_body, model, path};

/// A server with the file that it follows.
struct Followed {
    server: Server,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Followed {
    fn start(models: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        write(&file, &json!({ "models": models }).to_string());
        let server = Server::start_as(|command| {
            command.arg("--config").arg(format!("@{}", file.display()));
        });
        Self { server, file, _folder: folder }
    }

    fn want(&self, models: &[Value]) {
        write(&self.file, &json!({ "models": models }).to_string());
    }

    fn ready(&self) -> Value {
        get(self.server.admin(), "/readyz").unwrap().json()
    }

    fn state(&self, name: &str) -> Option<Value> {
        self.ready()["models"].as_array().unwrap().iter().find(|model| model["name"] == name).cloned()
    }

    fn status(&self, path: &str) -> u16 {
        get(self.server.address(), path).unwrap().status
    }

    fn digits(&self) -> u16 {
        post(self.server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap().status
    }
}

/// As an editor writes, and in effect the kubelet: beside it, then in its place.
fn write(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, file).unwrap();
}

/// Ends a load, even where the test fails meanwhile.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn versioned(version: u32) -> Value {
    let mut one = model("add");
    one["version"] = version.into();
    one
}

#[test]
fn models_come_change_and_go_while_another_is_under_load() {
    let followed = Followed::start(&[mnist(), versioned(1)]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let end = End(&done);
        let load = scope.spawn(|| {
            let mut answered = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(followed.digits(), 200);
                assert_eq!(followed.status("/v2/health/ready"), 200, "the server is never unready");
                answered += 1;
            }
            answered
        });
        followed.want(&[mnist(), versioned(1), model("gather")]);
        eventually("one more answers", || (followed.status("/v2/models/gather/ready") == 200).then_some(()));
        followed.want(&[mnist(), versioned(2), model("gather")]);
        eventually("it is another", || (followed.status("/v2/models/add/versions/2/ready") == 200).then_some(()));
        assert_eq!(followed.status("/v2/models/add/versions/1"), 404);
        followed.want(&[mnist(), versioned(2)]);
        eventually("it is gone", || (followed.status("/v2/models/gather") == 404).then_some(()));
        drop(end);
        assert!(load.join().unwrap() > 0);
    });
    assert_eq!(followed.server.metric("modelyard_model_loads_total", &["model=\"mnist\""]), 1.0, "it was not touched");
}

#[test]
fn a_bad_change_is_told_and_what_was_there_stays() {
    let followed = Followed::start(&[mnist(), versioned(1)]);
    let before = followed.ready()["config"]["sha256"].clone();
    for (text, part) in [
        ("{".to_owned(), "EOF"),
        (json!({ "models": [] }).to_string(), "expected at least one model"),
        (json!({ "models": [mnist()], "serving": { "threads": 7 } }).to_string(), "only a new process can change it"),
    ] {
        write(&followed.file, &text);
        let refused = eventually("it is refused", || {
            let refused = followed.ready()["config"]["refused"].as_str()?.to_owned();
            refused.contains(part).then_some(refused)
        });
        assert!(followed.server.log().contains(&refused), "{refused}");
        assert_eq!((&followed.ready()["config"]["sha256"], followed.digits()), (&before, 200));
    }
    // One that does not load changes nothing of the one that serves, nor of the others, and a new one fails alone.
    let broken = |name: &str| json!({ "name": name, "uri": format!("file:{}", path("tests/models/not_onnx.onnx").display()), "version": 2 });
    followed.want(&[mnist(), broken("add"), broken("new")]);
    let refused = eventually("the change is refused", || followed.state("add")?.get("refused").cloned());
    assert_eq!(refused["reason"], "ModelInvalid", "{refused}");
    assert_eq!(followed.status("/v2/models/add/versions/1/ready"), 200);
    eventually("the new one has failed", || (followed.state("new")?["state"] == "Failed").then_some(()));
    assert_eq!((followed.status("/v2/health/ready"), followed.digits()), (200, 200));
    // Taken back, it is as if nothing had been.
    followed.want(&[mnist(), versioned(1)]);
    eventually("nothing is refused any more", || {
        let add = followed.state("add")?;
        (add.get("refused").is_none() && followed.state("new").is_none()).then_some(())
    });
}

#[test]
fn the_kubelets_swapped_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let fill = |name: &str, models: &[Value]| {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("config.json"), json!({ "models": models }).to_string()).unwrap();
        std::os::unix::fs::symlink(name, at("data.new")).unwrap();
        std::fs::rename(at("data.new"), at("..data")).unwrap();
    };
    fill("one", &[mnist()]);
    std::os::unix::fs::symlink("..data/config.json", at("config.json")).unwrap();
    let server = Server::start_as(|command| {
        command.arg("--config").arg(format!("@{}", at("config.json").display()));
    });
    fill("two", &[mnist(), model("gather")]);
    eventually("the new one answers", || (get(server.address(), "/v2/models/gather/ready").unwrap().status == 200).then_some(()));
}
