//! What it says of what it cannot do, and of where its replicas are.

use std::io::BufRead;
use std::process::Command;

use rustix::process::Signal;

use crate::session::{Session, condition, deployment, kill, mnist, server};

#[test]
fn a_server_that_refuses_its_settings_is_quoted() {
    // The server refuses it before it can write its last words.
    let mut session = Session::with(&mnist(1, ""), &["--log-level", "a b=info,=warn"]);
    let event = session.until("the failure", |event| condition(event, "mnist", "Ready")["reason"] == "InvalidSpec");
    let message = condition(&event, "mnist", "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("exited with code 64: --log-level"), "{message}");
}

#[test]
fn without_a_terminal_a_replicas_port_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("models.yaml"), mnist(1, "  replicas: 2")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_modelyard"))
        .args(["local", "--direct", "--port", "0", "--server-bin"])
        .arg(server())
        .arg("-f")
        .arg(folder.path().join("models.yaml"))
        .env("TMPDIR", folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    for line in std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let ready = line.contains("2/2 replicas");
        lines.push(line);
        if ready {
            kill(child.id(), Signal::INT);
        }
    }
    child.wait().unwrap();
    for replica in ["mnist/1", "mnist/2"] {
        let told = lines.iter().filter(|line| line.starts_with(&format!("{replica} is http://"))).count();
        assert_eq!(told, 1, "{lines:#?}");
    }
}

/// The server's variables, by its own help.
fn variables() -> Vec<String> {
    let help = Command::new(server()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let names = help.split("[env: ").skip(1).map(|rest| rest.split('=').next().unwrap().to_owned());
    names.collect()
}

#[test]
fn no_variable_of_a_server_contradicts_what_the_files_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("models.yaml");
    std::fs::write(&file, mnist(1, "")).unwrap();
    let machine = ["MODELYARD_CACHE_DIR", "MODELYARD_CACHE_LIMIT", "MODELYARD_LOAD_TIMEOUT"];
    let of_server = variables();
    assert!(of_server.iter().any(|name| name == "MODELYARD_ENGINE"), "{of_server:?}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard"));
    command.args(["local", "--port", "0", "--output", "json", "--log-level", "warn", "--server-bin"]).arg(server());
    command.arg("-f").arg(&file).env("TMPDIR", folder.path()).env("MODELYARD_CACHE_DIR", folder.path());
    // No setting takes this, so a server that inherits one of them does not start.
    command.envs(of_server.iter().filter(|name| !machine.contains(&name.as_str())).map(|name| (name, "no such")));
    // Ours of the same name.
    command.env_remove("MODELYARD_LOG_LEVEL");
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut readiness = serde_json::Value::Null;
    for line in std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let event = serde_json::from_str(&line).unwrap();
        readiness = condition(&event, "mnist", "Ready").clone();
        if readiness["status"] == "True" || readiness["reason"] == "InvalidSpec" {
            break;
        }
    }
    kill(child.id(), Signal::INT);
    child.wait().unwrap();
    assert_eq!(readiness["status"], "True", "{readiness}");
}

#[test]
fn a_variable_that_no_server_takes_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = |yaml: &str, name: &str, value: &str| {
        let file = folder.path().join("models.yaml");
        std::fs::write(&file, yaml).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard"));
        command.args(["local", "--port", "0", "--server-bin"]).arg(server()).arg("-f").arg(&file).env(name, value);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        String::from_utf8(output.stderr).unwrap()
    };
    let fetched = deployment("a", "  model: {uri: \"http://127.0.0.1:1/m.onnx\"}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (yaml, name, value, words) in [
        (&mnist(1, ""), "MODELYARD_LOAD_TIMEOUT", "abc", "expected seconds from 1 to 86400, found 'abc'"),
        (&fetched, "MODELYARD_CACHE_DIR", file.to_str().unwrap(), "cannot write to"),
        (&mnist(1, ""), "TMPDIR", "/nowhere/at/all", "cannot make a folder in /nowhere/at/all"),
    ] {
        let message = run(yaml, name, value);
        assert!(message.starts_with("error: ") && message.contains(name) && message.contains(words), "{message}");
    }
}

#[test]
fn what_cannot_be_served_is_said_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let run = |yaml: &str, arguments: &[&str]| {
        let file = folder.path().join("models.yaml");
        std::fs::write(&file, yaml).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard"));
        let output = command.args(["local", "-f"]).arg(&file).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let server = server().display().to_string();
    let same = deployment("a", "  model: {uri: \"file:m\", name: x}") + &deployment("b", "  model: {uri: \"file:m\", name: x}");
    for (yaml, arguments, words) in [
        (same.as_str(), &["--port", "0"][..], "ModelDeployment/b"),
        ("", &["--port", "0"], "no ModelDeployment in"),
        ("kind: [", &["--port", "0"], "models.yaml:1"),
        (&mnist(1, ""), &["--server-bin", &server, "--port", &port], "--port: cannot listen on"),
    ] {
        let message = run(yaml, arguments);
        assert!(message.starts_with("error: ") && message.contains(words), "{message}");
    }
}
