//! A real `modelyard local` with real servers, followed by what it tells scripts.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing here takes so long on the slowest of machines.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server that is built beside `modelyard`.
pub(crate) fn server() -> PathBuf {
    let server = Path::new(env!("CARGO_BIN_EXE_modelyard")).with_file_name("modelyard-server");
    assert!(server.exists(), "{} is not there: build and test with --workspace", server.display());
    server
}

/// A file of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A model of the tests.
pub(crate) fn model(name: &str) -> String {
    repository(&format!("tests/models/{name}.onnx")).display().to_string()
}

/// One ModelDeployment as YAML.
pub(crate) fn deployment(name: &str, spec: &str) -> String {
    format!("apiVersion: modelyard.dev/v1alpha1\nkind: ModelDeployment\nmetadata:\n  name: {name}\nspec:\n{spec}\n---\n")
}

/// The MNIST example with a version and further lines of its spec.
pub(crate) fn mnist(version: u32, more: &str) -> String {
    let model = repository("examples/mnist/model");
    deployment("mnist", &format!("  model: {{uri: \"file:{}\", version: {version}}}\n{more}", model.display()))
}

pub(crate) struct Session {
    pub(crate) child: Child,
    pub(crate) folder: tempfile::TempDir,
    events: Receiver<Value>,
    pub(crate) said: Arc<Mutex<String>>,
    pub(crate) url: String,
    /// What was told of the deployments last.
    pub(crate) last: Value,
}

impl Session {
    /// Starts with one file of this content.
    pub(crate) fn start(yaml: &str) -> Self {
        Self::with(yaml, &[])
    }

    pub(crate) fn with(yaml: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("models.yaml"), yaml).unwrap();
        let files = folder.path().to_owned();
        Self::launch(folder, &files, arguments)
    }

    /// Starts with these files as they lie there; `folder` is its own, for the cache.
    pub(crate) fn launch(folder: tempfile::TempDir, files: &Path, arguments: &[&str]) -> Self {
        Self::fed(folder, files, arguments, "")
    }

    /// The same, with this on its standard input.
    pub(crate) fn fed(folder: tempfile::TempDir, files: &Path, arguments: &[&str], input: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_modelyard"))
            .args(["local", "--port", "0", "--output", "json", "--server-bin"])
            .arg(server())
            .args(arguments)
            .arg("-f")
            .arg(files)
            .env("MODELYARD_CACHE_DIR", folder.path().join("cache"))
            .env("TMPDIR", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let (sender, events) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("no JSON: {line}: {error}"));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        let said = Arc::<Mutex<String>>::default();
        let (heard, errors) = (Arc::clone(&said), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let mut said = heard.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        let mut session = Self { child, folder, events, said, url: String::new(), last: Value::Null };
        let listening = session.until("a URL", |event| event["event"] == "listening");
        session.url = listening["url"].as_str().unwrap().to_owned();
        session
    }

    /// Writes the file anew, as an editor does: another file first, then renamed.
    pub(crate) fn edit(&self, yaml: &str) {
        let (new, file) = (self.folder.path().join("models.yaml.new"), self.folder.path().join("models.yaml"));
        std::fs::write(&new, yaml).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// The first event from now on for which `wanted` holds.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let Ok(event) = self.events.recv_timeout(left) else {
                panic!("waited for {what} in vain; last: {:#}\nlog: {}", self.last, self.said.lock().unwrap());
            };
            if event["event"] == "status" {
                self.last = event.clone();
            }
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Until this deployment serves its newest spec with all replicas.
    pub(crate) fn until_ready(&mut self, name: &str) -> Value {
        if self.last["event"] == "status" && is_ready(&self.last, name) {
            return self.last.clone();
        }
        self.until(&format!("{name} to be ready"), |event| event["event"] == "status" && is_ready(event, name))
    }

    /// Process ids of the servers.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let deployments = self.last["deployments"].as_array().unwrap();
        let replicas = deployments.iter().flat_map(|one| one["replicas"].as_array().unwrap());
        replicas.filter_map(|replica| replica["pid"].as_u64()).map(|pid| pid as u32).collect()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        kill(self.child.id(), signal);
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::yield_now();
        }
        panic!("modelyard local does not end; log: {}", self.said.lock().unwrap());
    }
}

/// Waits on a thread that may block, so that the load goes on meanwhile.
pub(crate) async fn blocking<T: Send + 'static>(
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

impl Drop for Session {
    fn drop(&mut self) {
        // Its servers go with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn one<'a>(event: &'a Value, name: &str) -> &'a Value {
    let all = event["deployments"].as_array();
    all.into_iter().flatten().find(|one| one["name"] == name).unwrap_or(&Value::Null)
}

pub(crate) fn condition<'a>(event: &'a Value, name: &str, kind: &str) -> &'a Value {
    let conditions = one(event, name)["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|one| one["type"] == kind).unwrap_or(&Value::Null)
}

/// Each of a deployment's models, as its status has it.
pub(crate) fn told_models(event: &Value, name: &str) -> Vec<Value> {
    one(event, name)["status"]["models"].as_array().cloned().unwrap_or_default()
}

fn is_ready(event: &Value, name: &str) -> bool {
    condition(event, name, "Ready")["status"] == "True"
}

pub(crate) fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Whether a process runs; one that has ended and is not yet waited for does not.
pub(crate) fn runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    status.is_ok_and(|status| !status.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}
