//! The commands of a cluster where there is none: they say so, and what to do, and touch nothing.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Write;
use std::process::Command;

const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me, namespace: models}}]
clusters: [{name: here, cluster: {server: 'http://127.0.0.1:ADDRESS'}}]
users: [{name: me, user: {}}]
";

const COMMANDS: [&[&str]; 9] = [
    &["status", "mnist"],
    &["list"],
    &["wait", "mnist", "--timeout", "2s"],
    &["logs", "mnist"],
    &["restart", "mnist"],
    &["rollback", "mnist"],
    &["diff", "examples/mnist/mnist.yaml"],
    &["crds", "--apply"],
    &["predict", "mnist", "--random", "--cluster"],
];

/// What a command says on both streams, and its exit code.
fn run(arguments: &[&str], kubeconfig: &str) -> (String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_modelyard"))
        .args(arguments)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.code().unwrap())
}

/// A port of loopback at which nobody listens.
fn closed() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn without_a_kubeconfig_each_says_how_to_give_one() {
    for arguments in COMMANDS.iter().chain([&["doctor"][..]].iter()) {
        let (said, code) = run(arguments, "/nonexistent/kubeconfig");
        assert!(
            code != 0 && said.contains("no cluster to talk to") && said.contains("KUBECONFIG"),
            "{arguments:?}: {code} {said}"
        );
    }
}

#[test]
fn where_nobody_answers_each_names_the_address() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(KUBECONFIG.replace("ADDRESS", &closed().to_string()).as_bytes()).unwrap();
    let kubeconfig = file.path().to_str().unwrap();
    // A wait goes on: the API server may come back.
    for arguments in COMMANDS.iter().filter(|arguments| arguments[0] != "wait") {
        let (said, code) = run(arguments, kubeconfig);
        assert!(code != 0 && said.contains("does not answer"), "{arguments:?}: {code} {said}");
    }
    let (said, code) = run(&["doctor"], kubeconfig);
    assert!(code == 1 && said.starts_with("WRONG  cluster") && said.contains("1 thing is wrong"), "{code} {said}");
    let (said, code) = run(&["status", "Mnist/x"], kubeconfig);
    assert!(code == 2 && said.contains("expected the name of a ModelDeployment"), "{code} {said}");
}
