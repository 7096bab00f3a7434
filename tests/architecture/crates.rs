//! Which crate may depend on which, and what each binary links.

use std::collections::BTreeSet;
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

const CORE: &str = "modelyard-core";
const ONNX: &str = "modelyard-onnx";
const WIRE: &str = "modelyard-wire";
const TELEMETRY: &str = "modelyard-telemetry";
const STORE: &str = "modelyard-store";
const SERVER: &str = "modelyard-server";
const ROOT: &str = "modelyard";

/// A crate of ours, and the crates of ours that it may depend on.
const OURS: [(&str, &[&str]); 7] = [
    (CORE, &[]),
    (ONNX, &[]),
    (WIRE, &[]),
    (TELEMETRY, &[]),
    (STORE, &[CORE]),
    (SERVER, &[CORE, STORE, WIRE, TELEMETRY]),
    (ROOT, &[CORE, ONNX, WIRE, TELEMETRY]),
];

/// What a crate must not link, however far down: names, or the beginnings of names with `*` at the end.
const NOT_LINKED: [(&str, &[&str]); 7] = [
    (CORE, &["tokio", "hyper", "hyper-util", "kube-client", "kube-runtime", "tract-*"]),
    (ONNX, &["tokio", "hyper", "hyper-util", "kube", "kube-*", "k8s-openapi", "tract-*"]),
    (WIRE, &["tokio", "hyper", "hyper-util", "kube", "kube-*", "k8s-openapi", "tract-*"]),
    (TELEMETRY, &["kube", "kube-*", "k8s-openapi", "tract-*"]),
    (STORE, &["kube-client", "kube-runtime", "tract-*"]),
    (SERVER, &["kube-client", "kube-runtime"]),
    (ROOT, &["tract-*", "ort", "ort-sys", "onnxruntime*", "candle-*", "tch"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).no_deps().exec().unwrap()
}

/// The names of what `package` links when it is built alone. Cargo's tree is asked, since the metadata of a workspace shows
/// the features that all its packages together turn on.
fn linked(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Those of `names` that a pattern forbids.
fn forbidden<'a>(names: &'a BTreeSet<String>, patterns: &[&str]) -> Vec<&'a str> {
    let matches = |name: &str, pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    names.iter().map(String::as_str).filter(|name| patterns.iter().any(|pattern| matches(name, pattern))).collect()
}

/// Those of `names` that are ours and not allowed.
fn strangers<'a>(names: impl IntoIterator<Item = &'a str>, allowed: &[&str]) -> Vec<&'a str> {
    let is_ours = |name: &str| OURS.iter().any(|(ours, _)| *ours == name);
    names.into_iter().filter(|name| is_ours(name) && !allowed.contains(name)).collect()
}

#[test]
fn the_workspace_is_these_crates() {
    let metadata = metadata();
    let names: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, OURS.iter().map(|(name, _)| *name).collect(), "a new crate needs a rule here, and a page in docs/adr");
}

#[test]
fn crates_depend_only_on_those_that_they_may() {
    let metadata = metadata();
    for (name, allowed) in OURS {
        let package = metadata.packages.iter().find(|package| package.name.as_str() == name).unwrap();
        // Development dependencies too: a test that needs the other side runs its binary.
        let dependencies = package.dependencies.iter().map(|dependency| dependency.name.as_str());
        assert_eq!(strangers(dependencies, allowed), [""; 0], "{name} depends on crates of ours that it must not");
    }
}

#[test]
fn core_and_the_server_ask_kube_for_no_client() {
    let metadata = metadata();
    let packages = metadata.packages.iter().filter(|package| [CORE, SERVER, STORE, WIRE].contains(&package.name.as_str()));
    for package in packages {
        let kube = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal && dependency.name.starts_with("kube"));
        for dependency in kube {
            assert!(!dependency.uses_default_features, "{}: kube's default features bring its client", package.name);
            let more: Vec<_> = dependency.features.iter().filter(|feature| *feature != "derive").collect();
            assert!(more.is_empty(), "{}: kube with {more:?}; it may derive, no more", package.name);
        }
    }
}

#[test]
fn no_binary_links_what_is_not_its_own() {
    for (name, patterns) in NOT_LINKED {
        let linked = linked(name);
        assert!(linked.len() > 5, "cargo tree says little of {name}: {linked:?}");
        assert_eq!(forbidden(&linked, patterns), [""; 0], "{name} links these");
    }
}

#[test]
fn the_checker_can_fail() {
    let names: BTreeSet<String> = ["kube", "kube-client", "tract-core", "serde"].map(str::to_owned).into();
    assert_eq!(forbidden(&names, &["kube-client", "tract-*", "tokio"]), ["kube-client", "tract-core"]);
    assert_eq!(strangers(["serde", SERVER, CORE], &[CORE]), [SERVER]);
    assert!(forbidden(&linked(SERVER), &["tract-*"]).len() > 1, "the server links its engine, and the tree must show it");
}
