//! A ModelDeployment as its user has it: applied as JSON, read as JSON.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::runtime::watcher::{self, watcher};
use modelyard_core::api::{API_VERSION, ModelDeployment, Reason};
use serde_json::{Value, json};

use crate::cluster::{self, RELEASE, repository};
use crate::namespace::{Namespace, PATIENCE};
use crate::store;
use crate::watch::{all, named};

/// The spec of the example: small, and quick to stop.
pub(crate) fn mnist(version: u32) -> Value {
    model(json!({ "uri": store::uri("model.onnx"), "version": version }))
}

/// The same with another model.
pub(crate) fn model(model: Value) -> Value {
    json!({
        "model": model,
        "serving": { "drainDelay": "1s" },
        "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
    })
}

/// A ModelDeployment of a namespace.
pub(crate) struct Deployed<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) name: String,
}

/// A condition's parts, for comparing.
pub(crate) struct Condition {
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// A condition of an object; empty where it has none.
pub(crate) fn condition(object: &Value, kind: &str) -> Condition {
    let found = object["status"]["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == kind);
    let text = |key: &str| found.and_then(|one| one[key].as_str()).unwrap_or_default().to_owned();
    Condition { status: text("status"), reason: text("reason"), message: text("message") }
}

/// Whether the status is of this spec.
pub(crate) fn is_current(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

impl Namespace {
    /// Applies a ModelDeployment.
    pub(crate) async fn deploy(&self, name: &str, spec: Value) -> Deployed<'_> {
        let deployed = Deployed { namespace: self, name: name.to_owned() };
        deployed.apply(spec).await;
        deployed
    }
}

impl Deployed<'_> {
    pub(crate) fn api(&self) -> Api<DynamicObject> {
        let kind = ApiResource::erase::<ModelDeployment>(&());
        Api::namespaced_with(self.namespace.client.clone(), &self.namespace.name, &kind)
    }

    /// Applies another spec.
    pub(crate) async fn apply(&self, spec: Value) {
        let metadata = json!({ "name": self.name });
        let object = json!({ "apiVersion": API_VERSION, "kind": "ModelDeployment", "metadata": metadata, "spec": spec });
        self.api().patch(&self.name, &PatchParams::apply("e2e").force(), &Patch::Apply(object)).await.unwrap();
    }

    pub(crate) async fn delete(&self) {
        self.api().delete(&self.name, &DeleteParams::default()).await.unwrap();
    }

    /// Watches until the object is as it should be.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let mut events = watcher(self.api(), named(&self.name)).boxed();
        let reached = async {
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        last = serde_json::to_value(object).unwrap();
                        if holds(&last) {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(error) => println!("a watch broke: {error}"),
                }
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("{} {what}: not within {PATIENCE:?}; its status: {:#}", self.name, last["status"]);
        }
        last
    }

    /// Until the newest spec serves, with all its replicas.
    pub(crate) async fn until_ready(&self) -> Value {
        let full = |object: &Value| {
            let counts = object["status"]["readyOfWanted"].as_str().and_then(|counts| counts.split_once('/'));
            counts.is_some_and(|(ready, wanted)| ready == wanted)
        };
        self.until("is ready", |object| is_current(object) && condition(object, "Ready").status == "True" && full(object)).await
    }

    /// Until the newest spec is not ready for this reason, said in words that hold all of `words`, and `modelyard status` says so too, with
    /// what to do about it.
    pub(crate) async fn until_not_ready(&self, reason: &str, words: &[&str]) -> Value {
        let object = self.until_told(reason, words).await;
        self.until_advised(reason, words).await;
        object
    }

    /// Until the object's status says so.
    async fn until_told(&self, reason: &str, words: &[&str]) -> Value {
        let told = |object: &Value| {
            let ready = condition(object, "Ready");
            is_current(object)
                && ready.status == "False"
                && ready.reason == reason
                && words.iter().all(|word| ready.message.contains(word))
        };
        self.until(&format!("is not ready for {reason} with a message that has {words:?}"), told).await
    }

    /// Until `modelyard status` says so, on the screen and for programs, and advises what belongs to the reason.
    async fn until_advised(&self, reason: &str, words: &[&str]) {
        let known = Reason::ALL.iter().find(|one| one.as_str() == reason).unwrap_or_else(|| panic!("no reason {reason}"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (code, printed) = self.asked_for_status(&["-o", "json"]);
            let (_, screen) = self.asked_for_status(&[]);
            let told: Value = serde_json::from_str(&printed).unwrap_or_default();
            let message = told["message"].as_str().unwrap_or_default();
            // What starts again and again is told by turns: both have to say so.
            if told["reason"] == reason
                && words.iter().all(|word| message.contains(word))
                && screen.contains(&format!("  ready       no   {reason} "))
            {
                assert_eq!((code, &told["ready"], told["advice"].as_str()), (1, &Value::Bool(false), Some(known.advice())));
                assert!(screen.contains(&format!("what to do\n  {}\n", known.advice())), "{screen}");
                return;
            }
            assert!(Instant::now() < deadline, "modelyard status does not say {reason} with {words:?}: {printed}\n{screen}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The exit code of `modelyard status`, and what it prints.
    pub(crate) fn asked_for_status(&self, more: &[&str]) -> (i32, String) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_modelyard"));
        let output = command.args(["status", &self.name, "--namespace", &self.namespace.name]).args(more).output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Until an event of this object has this reason.
    pub(crate) async fn until_event(&self, reason: &str, kind: &str) {
        let chosen = all().fields(&format!("reason={reason}"));
        let what = format!("an event {reason} of {}", self.name);
        self.namespace
            .until(&what, chosen, |events: &[&Event]| {
                let about = |event: &&&Event| event.regarding.as_ref().is_some_and(|one| one.name.as_ref() == Some(&self.name));
                events.iter().find(about).map(|event| assert_eq!(event.type_.as_deref(), Some(kind), "{event:?}"))
            })
            .await;
    }

    /// Sends the picture of a seven through the Service, and returns the class that it is taken for.
    pub(crate) async fn predict(&self) -> usize {
        let scores = self.answer().await;
        let scores = scores.as_array().unwrap_or_else(|| panic!("no scores: {scores}"));
        let score = |index: &usize| scores[*index].as_f64().unwrap();
        (0..scores.len()).max_by(|one, other| score(one).total_cmp(&score(other))).unwrap()
    }

    /// Sends it, and returns what is answered for it.
    pub(crate) async fn answer(&self) -> Value {
        let request = std::fs::read_to_string(repository("examples/mnist/request.json")).unwrap();
        let host = format!("{}.{}.svc", self.name, self.namespace.name);
        let path = format!("/v1/models/{}:predict", self.name);
        let call = ["-n", RELEASE, "exec", "-i", "store", "--", "/bin/ask", "post", &host, "80", &path, "-"];
        // The node's rules follow the pods' readiness a moment later; more than a moment on a busy machine.
        let deadline = Instant::now() + Duration::from_secs(20);
        let answer = loop {
            match cluster::attempt("kubectl", &call, &request) {
                Err(said) if said.contains("no connection") && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                outcome => break outcome.unwrap_or_else(|said| panic!("{said}")),
            }
        };
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer.pointer("/predictions/0").unwrap_or_else(|| panic!("no prediction: {answer}")).clone()
    }
}
