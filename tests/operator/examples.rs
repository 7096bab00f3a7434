//! Every manifest of examples/, as the API server itself judges it: server-side dry runs, so schema, CEL and admission all speak.

use std::path::{Path, PathBuf};

use modelyard::manifest;
use serde_json::Value;

use crate::cluster::{attempt, repository, run};
use crate::namespace::within;
use crate::record;

/// Groups that a cluster may be without: what of them is not served here is left out, and said.
const OPTIONAL: [&str; 10] = [
    "argoproj.io",
    "fluxcd.io",
    "gateway.networking.k8s.io",
    "gateway.envoyproxy.io",
    "keda.sh",
    "karpenter.sh",
    "karpenter.k8s.aws",
    "kwok.sh",
    "karpenter.kwok.sh",
    "monitoring.coreos.com",
];

/// The YAML files below a folder.
fn manifests(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            manifests(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "yaml") {
            found.push(path);
        }
    }
}

fn is_optional(version: &str) -> bool {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    OPTIONAL.iter().any(|one| group == *one || group.ends_with(&format!(".{one}")))
}

#[tokio::test]
async fn the_api_server_takes_every_example() {
    within("examples", async |namespace| {
        let served = run("kubectl", &["api-versions"], "");
        let mut files = Vec::new();
        manifests(&repository("examples"), &mut files);
        files.sort();
        let (mut taken, mut refused) = (0, Vec::new());
        for document in manifest::documents(&files).0 {
            let place = format!("{}:{}", document.file.display(), document.line);
            let Some(version) = document.value["apiVersion"].as_str().filter(|_| document.value["kind"].is_string()) else {
                continue; // values of a chart
            };
            if is_optional(version) && !served.lines().any(|line| line == version) {
                record::skipped(&place, &format!("{version} is not served here"));
                continue;
            }
            let mut object = document.value.clone();
            // Wherever it is meant to go, it is judged here.
            object["metadata"].as_object_mut().unwrap().shift_remove("namespace");
            let arguments = ["-n", namespace.name.as_str(), "apply", "--dry-run=server", "--validate=strict", "-f", "-"];
            match attempt("kubectl", &arguments, &Value::to_string(&object)) {
                Ok(_) => taken += 1,
                Err(said) => refused.push(format!("{place}: {said}")),
            }
        }
        assert!(refused.is_empty(), "{}", refused.join("\n"));
        assert!(taken >= 12, "{taken} objects");
    })
    .await;
}
