//! The same binary under the names by which kubectl finds a plugin and asks it for completions.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Runs the binary by a link of this name; both streams, and whether it succeeded.
fn linked(name: &str, arguments: &[&str]) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join(name);
    symlink(env!("CARGO_BIN_EXE_modelyard"), &link).unwrap();
    let output = Command::new(link)
        .args(arguments)
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .unwrap();
    (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.success())
}

#[test]
fn as_a_plugin_it_calls_itself_what_was_typed() {
    let (help, fine) = linked("kubectl-modelyard", &["status", "--help"]);
    assert!(fine && help.contains("Usage: kubectl modelyard status"), "{help}");
    assert!(help.contains("\n  kubectl modelyard status mnist -n models --watch\n"), "{help}");
    assert!(!help.replace("kubectl modelyard status", "").contains("modelyard status"), "{help}");
    let (help, _) = linked("kubectl-modelyard", &["--help"]);
    assert!(help.contains("Usage: kubectl modelyard <COMMAND>"), "{help}");
    let (said, fine) = linked("kubectl-modelyard", &["status"]);
    assert!(!fine && said.contains("Usage: kubectl modelyard status"), "{said}");
    let (said, _) = linked("kubectl-modelyard", &["explain", "reason", "Nowhere"]);
    assert!(said.contains("kubectl modelyard explain reason lists all"), "{said}");
    // By its own name it is what it was.
    let (help, _) = linked("modelyard", &["status", "--help"]);
    assert!(help.contains("Usage: modelyard status") && !help.contains("kubectl modelyard"), "{help}");
}

#[test]
fn what_is_for_programs_is_the_same_by_every_name() {
    for arguments in [&["crds"][..], &["completions", "bash"], &["explain", "spec.model", "-o", "json"]] {
        assert_eq!(linked("kubectl-modelyard", arguments), linked("modelyard", arguments), "{arguments:?}");
    }
}

#[test]
fn kubectl_is_told_what_a_word_may_become() {
    for (words, lines) in [
        (&["st"][..], "status\tShow how a ModelDeployment is, why, and what to do\n:4\n"),
        (&["status", "x", "--output", ""], "json\tJSON\nyaml\tYAML\n:4\n"),
        (&["diff", "m"], ":0\n"),
        // Without a cluster there are no names, and no noise.
        (&["status", ""], ":4\n"),
    ] {
        assert_eq!(linked("kubectl_complete-modelyard", words), (lines.to_owned(), true), "{words:?}");
    }
}

#[test]
fn kubectl_itself_finds_it() {
    let Some(kubectl) = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file()))
    else {
        println!("no kubectl in PATH: what it does with the plugin is not tried");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    symlink(Path::new(env!("CARGO_BIN_EXE_modelyard")), folder.path().join("kubectl-modelyard")).unwrap();
    let output = Command::new(kubectl).args(["modelyard", "version"]).env("PATH", folder.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("modelyard "), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
