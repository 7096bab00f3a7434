//! The node as a machine: its services and the processes of its pods, by their numbers. Only on the node of `tests/cluster`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::cluster;
use crate::namespace::PATIENCE;

/// Where the cluster keeps its state.
pub(crate) fn state() -> PathBuf {
    PathBuf::from(std::env::var_os("KUBECONFIG").unwrap()).parent().unwrap().to_owned()
}

/// The processes of which this holds, by their folder in /proc.
fn processes(holds: impl Fn(&std::path::Path) -> bool) -> Vec<Pid> {
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let those = numbers.filter(|number| holds(&PathBuf::from(format!("/proc/{number}"))));
    those.filter_map(Pid::from_raw).collect()
}

/// The text of a file in /proc; nothing of a process that has ended.
fn text(path: PathBuf) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " ")).unwrap_or_default()
}

/// The process of a pod's container; none while it has none.
pub(crate) fn of_pod(uid: &str) -> Option<Pid> {
    let own = processes(|folder| text(folder.join("cgroup")).contains(uid) && text(folder.join("comm")).starts_with("modelyard"));
    own.first().copied()
}

/// Every process of the pods of the second node, and what minds them.
pub(crate) fn of_second_node() -> Vec<Pid> {
    let (state, name) = (state().join("node2"), state());
    let group = format!("/{}/node2/", name.file_name().unwrap().to_str().unwrap());
    let socket = state.join("containerd.sock").to_str().unwrap().to_owned();
    processes(|folder| {
        let command = text(folder.join("cmdline"));
        text(folder.join("cgroup")).contains(&group) || (command.contains("containerd-shim") && command.contains(&socket))
    })
}

pub(crate) fn signal(process: Pid, signal: Signal) {
    kill_process(process, signal).unwrap();
}

fn pid_file(service: &str) -> PathBuf {
    state().join(format!("log/{service}.pid"))
}

fn process_of(service: &str) -> Pid {
    Pid::from_raw(fs::read_to_string(pid_file(service)).unwrap().trim().parse().unwrap()).unwrap()
}

/// Services of the node that were killed; they start again at the latest when this is dropped.
pub(crate) struct Killed {
    services: Vec<&'static str>,
}

/// Kills services of the node, as a crash does.
pub(crate) async fn kill(services: &[&'static str]) -> Killed {
    let killed = Killed { services: services.to_vec() };
    for service in services {
        let process = process_of(service);
        fs::remove_file(pid_file(service)).unwrap();
        signal(process, Signal::KILL);
        gone(process).await;
    }
    killed
}

/// Waits for the end of a process: of its last thread, since any of them keeps its sockets open.
pub(crate) async fn gone(process: Pid) {
    let folder = PathBuf::from(format!("/proc/{}", process.as_raw_nonzero()));
    // One that has ended and is not waited for is a zombie.
    let is_there = || {
        let ended = |stat: String| stat.rsplit(") ").next().unwrap_or_default().starts_with(['Z', 'X']);
        let threads = fs::read_dir(folder.join("task")).map_or(0, Iterator::count);
        threads > 1 || !fs::read_to_string(folder.join("stat")).map_or(true, ended)
    };
    let ended = async {
        while is_there() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("a process that was killed does not end");
}

impl Killed {
    /// Starts them again.
    pub(crate) fn start(mut self) {
        self.start_again();
    }

    fn start_again(&mut self) {
        // What was stopped last is needed first.
        for service in self.services.drain(..).rev() {
            cluster::run("cluster", &["start", service], "");
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.start_again();
    }
}

/// A process that does not run; it goes on at the latest when this is dropped.
pub(crate) struct Paused(Pid);

pub(crate) fn pause(process: Pid) -> Paused {
    signal(process, Signal::STOP);
    Paused(process)
}

pub(crate) fn pause_service(service: &str) -> Paused {
    pause(process_of(service))
}

impl Drop for Paused {
    fn drop(&mut self) {
        if let Err(error) = kill_process(self.0, Signal::CONT) {
            println!("a paused process is gone: {error}");
        }
    }
}

/// Waits until the API server answers, and the nodes are ready.
pub(crate) async fn until_cluster() {
    let deadline = std::time::Instant::now() + PATIENCE;
    let calls = [&["get", "--raw", "/readyz"][..], &["wait", "--for=condition=Ready", "node", "--all", "--timeout=2s"]];
    for call in calls {
        while let Err(said) = cluster::attempt("kubectl", &[call, &["--request-timeout=5s"]].concat(), "") {
            assert!(std::time::Instant::now() < deadline, "{said}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
