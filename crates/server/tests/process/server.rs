//! The real binary, started on free ports, asked by signals and over its ports, and killed with the test.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;

/// Everything that should happen happens within this, on a busy machine too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    port: u16,
    admin_port: u16,
}

/// A command that starts the server on free ports, with its log in `folder`.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard-server"));
    command.args(["--host", "127.0.0.1", "--port", "0", "--admin-port", "0"]);
    command.arg("--ports-file").arg(folder.join("ports")).arg("--termination-log").arg(folder.join("termination"));
    command.arg("--cache-dir").arg(folder.join("cache"));
    // What is tested here are the engines within.
    command.env_remove("MODELYARD_ORT_LIB");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(folder.join("log")).unwrap());
    command
}

/// A model of tests/models, as a configuration names it.
pub(crate) fn model(name: &str) -> Value {
    json!({ "name": name, "uri": format!("file:{}", path(&format!("tests/models/{name}.onnx")).display()) })
}

/// The digits.
pub(crate) fn mnist() -> Value {
    json!({ "name": "mnist", "uri": format!("file:{}", path("examples/mnist/model").display()) })
}

/// A prediction of `rows` digits.
pub(crate) fn mnist_body(rows: usize) -> String {
    json!({ "instances": vec![vec![0.5; 784]; rows] }).to_string()
}

/// A file of the repository.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name).canonicalize().unwrap()
}

/// Waits until `condition` gives something.
#[allow(clippy::disallowed_methods, reason = "a pause between two looks at the condition itself")]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(outcome) = condition() {
            return outcome;
        }
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Server {
    /// Starts these models with these settings of `serving`, and waits until they are ready.
    pub(crate) fn start(models: &[Value], serving: &Value) -> Self {
        Self::start_with(models, serving, |_| ())
    }

    /// The same, with more arguments or environment.
    pub(crate) fn start_with(models: &[Value], serving: &Value, more: impl FnOnce(&mut Command)) -> Self {
        Self::start_as(|command| {
            command.args(["--config", &json!({ "models": models, "serving": serving }).to_string()]);
            more(command);
        })
    }

    /// Starts what the arguments say, and waits until that is ready.
    pub(crate) fn start_as(arguments: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path());
        arguments(&mut command);
        let mut server = Self::spawn(command, folder);
        eventually("the server is ready", || {
            assert!(server.child.try_wait().unwrap().is_none(), "ended early: {}", server.log());
            let ready = http::get(server.admin(), "/readyz").unwrap();
            (ready.status == 200 && ready.json()["state"] == "Ready").then_some(())
        });
        server
    }

    /// Starts these models, and waits for none of them.
    pub(crate) fn start_unready(models: &[Value], more: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path());
        command.args(["--config", &json!({ "models": models }).to_string()]);
        more(&mut command);
        // A command that was exchanged for another writes where this one would have.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(folder.path().join("log")).unwrap());
        Self::spawn(command, folder)
    }

    fn spawn(mut command: Command, folder: TempDir) -> Self {
        let mut server = Self { child: command.spawn().unwrap(), folder, port: 0, admin_port: 0 };
        let ports = eventually("the ports are known", || {
            assert!(server.child.try_wait().unwrap().is_none(), "ended early: {}", server.log());
            let text = std::fs::read_to_string(server.folder.path().join("ports")).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        });
        server.port = u16::try_from(ports["port"].as_u64().unwrap()).unwrap();
        server.admin_port = u16::try_from(ports["adminPort"].as_u64().unwrap()).unwrap();
        server
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.admin_port))
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        eventually("the server ends", || self.child.try_wait().unwrap())
    }

    /// The sum of a metric's samples whose labels contain all of `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = http::get(self.admin(), "/metrics").unwrap().body;
        let samples = page.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let wanted = samples.filter(|line| labels.iter().all(|label| line.contains(label)));
        wanted.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Requests that a model works on.
    pub(crate) fn in_flight(&self, model: &str) -> f64 {
        self.metric("modelyard_requests_in_flight", &[&format!("model=\"{model}\"")])
    }

    /// Open file descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Its soft limit of open files is the hard one: 1024, the custom, would be too few.
    pub(crate) fn may_open_as_many_files_as_allowed(&self) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let (soft, hard) = line.trim().trim_end_matches("files").trim().split_once(char::is_whitespace).unwrap();
        assert_eq!(soft, hard.trim());
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where a test has seen it end already, there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
