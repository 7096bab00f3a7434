//! The cluster that `KUBECONFIG` names, with the chart installed once for all tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use kube::Client;

use crate::store;

/// The Helm release, the namespace that it is in, and the name of its objects.
pub(crate) const RELEASE: &str = "modelyard-e2e";

/// A file of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether this is the node of `tests/cluster`, where etcd can be reached and the API server audits.
pub(crate) fn is_private_node() -> bool {
    std::env::var_os("MODELYARD_CLUSTER_INSIDE").is_some()
}

/// The folder of the release before this one, where `tests/operator/run` made its images, of the tag `before`.
pub(crate) fn previous_release() -> Option<PathBuf> {
    std::env::var_os("OPERATOR_TESTS_PREVIOUS").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// A client, after the operator and the store are there. A client belongs to the runtime that it was made in: one per test.
pub(crate) async fn connect() -> Client {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(install);
    Client::try_default().await.expect("KUBECONFIG names no cluster: run tests/operator/run")
}

/// Upgrades the operator, or installs it, with these values of the chart beside those of every test; nothing else is kept.
pub(crate) fn upgrade(values: &str) {
    upgrade_to(&repository("charts/modelyard"), values);
}

/// The same with another chart.
pub(crate) fn upgrade_to(chart: &Path, values: &str) {
    // One where a test asks what the operator has asked; for the tests of faults as many as the chart has by itself.
    let own = match std::env::var_os("FAULTS") {
        None => "replicas=1,log.format=text,podDisruptionBudget.enabled=false",
        Some(_) => "log.format=text",
    };
    let mut arguments =
        vec!["upgrade", "--install", RELEASE, chart.to_str().unwrap(), "--namespace", RELEASE, "--create-namespace"];
    arguments.extend(["--set", own]);
    if !values.is_empty() {
        arguments.extend(["--set", values]);
    }
    // Another test takes a right away and gives it back by hand; with other rights in the chart that would be a conflict.
    arguments.extend(["--force-conflicts", "--wait", "--timeout", "2m"]);
    run("helm", &arguments, "");
}

fn install() {
    upgrade("");
    let mut store = store::manifest(RELEASE);
    if std::env::var_os("FAULTS").is_some() {
        // The second node is the one that is lost.
        store["items"][2]["spec"]["nodeName"] = "node1".into();
    }
    run("kubectl", &["apply", "--server-side", "--force-conflicts", "-f", "-"], &store.to_string());
    run("kubectl", &["-n", RELEASE, "wait", "--for=condition=Ready", "pod/store", "--timeout=60s"], "");
}

/// Runs a program to its end; panics with what it said if it fails.
pub(crate) fn run(program: &str, arguments: &[&str], input: &str) -> String {
    attempt(program, arguments, input).unwrap_or_else(|said| panic!("{said}"))
}

/// Runs a program to its end; what it printed, or what it said if it failed.
pub(crate) fn attempt(program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    use std::io::Write;

    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let (status, said) = (output.status, text(&output.stdout) + &text(&output.stderr));
    Err(format!("{program} {}: {status}\n{said}", arguments.join(" ")))
}

/// What kubectl prints, good or bad.
pub(crate) fn shown(arguments: &[&str]) -> String {
    match Command::new("kubectl").args(arguments).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        Err(error) => format!("kubectl: {error}\n"),
    }
}
