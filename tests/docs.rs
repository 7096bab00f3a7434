//! The pages that are made of the code are what the code says, and every link within the documentation leads somewhere.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use modelyard::cli::docs::pages;
use modelyard_core::api::Reason;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_committed_pages_are_those_of_the_code() {
    for (name, wanted) in pages() {
        let found = fs::read_to_string(repository("docs").join(&name)).unwrap_or_default();
        assert!(found == wanted, "docs/{name} is not what the code says: run `make generate`");
    }
}

#[test]
fn every_reason_has_a_page_and_no_page_is_left_over() {
    let found: BTreeSet<String> = fs::read_dir(repository("docs/reasons"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let wanted: BTreeSet<String> =
        Reason::ALL.iter().map(|reason| format!("{reason}.md")).chain(["README.md".to_owned()]).collect();
    assert_eq!(found, wanted);
}

/// The pages that people read.
fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            markdown(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "md") {
            found.push(path);
        }
    }
}

/// Headings as they are linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |one: &char| one.is_alphanumeric() || *one == ' ' || *one == '-' || *one == '_';
    headings.map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut files = Vec::new();
    for folder in ["docs", "examples"] {
        markdown(&repository(folder), &mut files);
    }
    files.extend(["README.md", "CONTRIBUTING.md"].map(repository));
    let mut broken = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            if target.contains("://") || target.contains(' ') || target.is_empty() {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let there = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let found = there.exists()
                && (anchor.is_empty() || fs::read_to_string(&there).is_ok_and(|text| anchors(&text).contains(anchor)));
            if !found {
                broken.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn programs_find_services_by_the_labels_that_the_page_names() {
    use modelyard_core::plan::{Observed, plan};
    use modelyard_core::render::{Owner, render};

    let file = repository("examples/kubernetes/mnist.yaml");
    let manifest = modelyard::manifest::read(&[file]).manifests.remove(0);
    let plan = plan(&manifest.resolved, &Observed::default(), "2026-01-01T00:00:00Z".parse().unwrap());
    let owner = Owner { namespace: "models", uid: "6f1b", server_image: "modelyard-server:1" };
    let page = fs::read_to_string(repository("docs/registry.md")).unwrap();
    let labels =
        render(&manifest.resolved, &plan, owner, &modelyard_core::pins::Pins::default()).service.metadata.labels.unwrap();
    for (key, value) in labels {
        let shown = if value == "mnist" { "the ModelDeployment".to_owned() } else { format!("`{value}`") };
        assert!(page.contains(&format!("| `{key}` | {shown} |")), "docs/registry.md does not say {key}: {value}");
    }
}
