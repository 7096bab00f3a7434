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
    let (said, code) = run(&["list", "--context", "nope"], kubeconfig);
    let words = format!("error: --context nope: the kubeconfig {kubeconfig} has the contexts here\n");
    assert_eq!((said, code), (words, 1));
    let (said, code) = run(&["status", "Mnist/x"], kubeconfig);
    assert!(code == 2 && said.contains("expected the name of a ModelDeployment"), "{code} {said}");
}

#[test]
fn the_doctor_finds_that_there_is_no_cluster() {
    let (said, code) = run(&["doctor", "-o", "json"], "/nonexistent/kubeconfig");
    let findings: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (code, &findings[0]["check"], &findings[0]["state"]),
        (1, &serde_json::json!("cluster"), &serde_json::json!("wrong"))
    );
    let words =
        "no cluster to talk to: cannot read the kubeconfig /nonexistent/kubeconfig (KUBECONFIG): No such file or directory";
    assert!(findings[0]["words"].as_str().unwrap().starts_with(words), "{said}");
}

#[test]
fn what_no_flag_takes_is_answered_with_what_it_takes() {
    let namespace = "expected the name of a namespace: lower-case letters, digits and hyphens";
    for (arguments, words) in [
        (&["logs", "m", "--tail", "abc"][..], "expected a whole number from 0 to 9223372036854775807, found 'abc'"),
        (&["predict", "m", "--zeros", "--batch", "abc"], "expected a whole number from 1 to 4294967295, found 'abc'"),
        (&["predict", "m", "--zeros", "--seed", "x"], "expected a whole number from 0 to 18446744073709551615, found 'x'"),
        (&["bench", "m", "-n", "0"], "expected a whole number from 1 to 18446744073709551615, found '0'"),
        (&["evaluate", "m", "-d", "x.csv", "--concurrency", "1025"], "expected a whole number from 1 to 1024, found '1025'"),
        (&["local", "-f", "x", "--port", "65536"], "expected a whole number from 0 to 65535, found '65536'"),
        (&["local", "-f", "x", "--host", "localhost"], "expected an IP address such as 127.0.0.1 or ::, found 'localhost'"),
        (&["list", "-n", "Bad_NS!"], namespace),
        (&["predict", "m", "--zeros", "--cluster", "-n", "Bad_NS!"], namespace),
        (&["evaluate", "m", "-d", "x.csv", "--cluster", "-n", "Bad_NS!"], namespace),
        (&["inspect", "m", "--cluster", "-n", "Bad_NS!"], namespace),
    ] {
        let (said, code) = run(arguments, "/nonexistent/kubeconfig");
        assert!(code == 2 && said.contains(words), "{arguments:?}: {code} {said}");
    }
}
