//! What the files ask for, all of it or nothing: half an edit is not carried out.

use std::collections::HashMap;
use std::path::PathBuf;

use modelyard_core::api::{Availability, Cache, ModelDeployment, PodOptions, Resources, Rollout, ServiceOptions};
use modelyard_core::resolve::{Resolved, resolve};

use super::models::Models;
use crate::manifest::{self, Manifest};

/// The deployments that the files ask for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Resolved, with `file:` paths that hold from the working directory. Names tell them apart.
    pub(super) deployments: Vec<Resolved>,
    /// What lies at their `file:` paths.
    pub(super) models: Models,
    /// What was left out, and what only a cluster can honour.
    pub(super) notes: Vec<String>,
}

/// Reads the files.
///
/// # Errors
/// Everything that is wrong with them, one message each.
pub(super) fn read(files: &[PathBuf]) -> Result<Wanted, Vec<String>> {
    if let Some(twice) = named_twice(files) {
        return Err(vec![twice]);
    }
    let reading = manifest::read(files);
    if !reading.diagnostics.is_empty() {
        return Err(reading.diagnostics.iter().map(ToString::to_string).collect());
    }
    let mut wanted = Wanted {
        deployments: Vec::new(),
        models: Models::default(),
        notes: reading.notes.iter().map(manifest::Diagnostic::headline).collect(),
    };
    let mut owners: HashMap<String, String> = HashMap::new();
    let mut places: HashMap<String, String> = HashMap::new();
    let mut wrong = Vec::new();
    for manifest in &reading.manifests {
        let place = format!("{}:{}", manifest.file.display(), manifest.line);
        let deployment = manifest.anchored();
        let mut resolved = match resolve(&deployment) {
            Ok(resolved) => resolved,
            Err(invalid) => {
                wrong.push(format!("{place}: {invalid}"));
                continue;
            }
        };
        if !resolved.claims.is_empty() {
            let (name, claims) = (&resolved.name, resolved.claims.join(", "));
            wrong.push(format!(
                "{place}: ModelDeployment/{name}: only a cluster has claims ({claims}), which its operator mounts; copy what lies there to \
                 this machine, and write file:PATH in place of pvc://CLAIM/PATH"
            ));
            continue;
        }
        let namespace = resolved.namespace.as_deref().unwrap_or("default");
        let here = format!("{place} (namespace {namespace})");
        if let Some(other) = places.insert(resolved.name.clone(), here.clone()) {
            wrong.push(format!(
                "{here} and {other} both define ModelDeployment/{}: there are no namespaces here; give one another name, or serve \
                 one file at a time",
                resolved.name
            ));
            // Their models' names would clash too, for the same reason.
            continue;
        }
        for model in &resolved.config.models {
            let owner = format!("ModelDeployment/{} ({place})", resolved.name);
            if let Some(other) = owners.insert(model.name.clone(), owner.clone()) {
                wrong.push(format!(
                    "{owner} and {other} both serve a model named '{}' on this port; give one another name by spec.model.name",
                    model.name
                ));
            }
        }
        wanted.notes.extend(of_clusters(manifest, &deployment).into_iter().map(|what| format!("{place}: {what}")));
        if resolved.follows() {
            // A server takes a change of its several models while it runs; a process is of the rest.
            wanted.models.stamp_each(&mut resolved.config.models);
        } else {
            wanted.models.stamp(&mut resolved);
        }
        wanted.deployments.push(resolved);
    }
    if wrong.is_empty() && wanted.deployments.is_empty() {
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        wrong.push(format!("no ModelDeployment in {}", names.join(", ")));
    }
    if wrong.is_empty() { Ok(wanted) } else { Err(wrong) }
}

/// Says which file is given twice, by itself or by its folder too: each of its deployments would clash with itself.
fn named_twice(files: &[PathBuf]) -> Option<String> {
    let places: Vec<PathBuf> = files.iter().map(|file| file.canonicalize().unwrap_or_else(|_| file.clone())).collect();
    for (second, place) in places.iter().enumerate() {
        let (here, before) = (files[second].display(), &places[..second]);
        if let Some(first) = before.iter().position(|other| other == place) {
            return Some(format!("-f {} and -f {here} are the same: leave one out", files[first].display()));
        }
        // Whichever comes first.
        let holds = |folder: &PathBuf, inner: &PathBuf| inner.parent() == Some(folder.as_path()) && inner.is_file();
        if let Some(first) = before.iter().position(|other| holds(other, place) || holds(place, other)) {
            return Some(format!("-f {} and -f {here} name one file twice: leave one out", files[first].display()));
        }
    }
    None
}

/// Fields that are written and have no effect here.
fn of_clusters(manifest: &Manifest, deployment: &ModelDeployment) -> Vec<String> {
    let mut notes = Vec::new();
    let name = &manifest.resolved.name;
    let mut note = |field: &str, why: &str| notes.push(format!("ModelDeployment/{name}: {field} has no effect here: {why}"));
    if deployment.metadata.namespace.is_some() {
        note("metadata.namespace", "only a cluster has namespaces");
    }
    let resources = &deployment.spec.resources;
    if resources.requests != Resources::default().requests {
        note("spec.resources.requests", "processes start without a reservation");
    }
    if resources.limits.as_ref().is_some_and(|limits| limits.memory.is_some()) {
        note("spec.resources.limits.memory", "only a cluster bounds memory");
    }
    let (spec, rollout) = (&deployment.spec, Rollout::default());
    for (written, field, why) in [
        (
            spec.rollout.progress_deadline != rollout.progress_deadline,
            "spec.rollout.progressDeadline",
            "a process that fails is reported at once",
        ),
        (
            spec.rollout.revision_history_limit != rollout.revision_history_limit,
            "spec.rollout.revisionHistoryLimit",
            "no old revision is kept",
        ),
        (spec.server_image.is_some(), "spec.serverImage", "processes have no image"),
        (spec.pod != PodOptions::default(), "spec.pod", "only a cluster has pods"),
        (spec.service != ServiceOptions::default(), "spec.service", "only a cluster has Services"),
        (spec.availability != Availability::default(), "spec.availability", "nobody drains this machine"),
        (spec.cache != Cache::default(), "spec.cache", "artefacts are kept in the user's cache folder"),
        (spec.network_policy.is_some(), "spec.networkPolicy", "the port listens on this machine alone"),
        (!manifest.resolved.secrets.is_empty(), "secretRef", "the credentials are those of this environment, by the same names"),
        (spec.paused, "spec.paused", "an edit takes effect at once"),
    ] {
        if written {
            note(field, why);
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(yaml: &str) -> Result<Wanted, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("all.yaml");
        std::fs::write(&file, yaml).unwrap();
        read(&[file])
    }

    fn document(name: &str, spec: &str) -> String {
        format!("apiVersion: modelyard.dev/v1alpha1\nkind: ModelDeployment\nmetadata:\n  name: {name}\nspec:\n{spec}\n---\n")
    }

    #[test]
    fn paths_start_at_the_files_folder() {
        let found = wanted(&document("a", "  model: {uri: \"file:m.onnx\"}")).unwrap();
        let uri = &found.deployments[0].config.models[0].uri;
        assert!(uri.starts_with("file:/") && uri.ends_with("/m.onnx"), "{uri}");
    }

    #[test]
    fn a_revision_is_of_the_models_bytes_too() {
        let dir = tempfile::tempdir().unwrap();
        let (file, model) = (dir.path().join("all.yaml"), dir.path().join("m.onnx"));
        let revision = |replicas: u32, bytes: &str| {
            std::fs::write(&file, document("a", &format!("  model: {{uri: \"file:m.onnx\"}}\n  replicas: {replicas}"))).unwrap();
            if !bytes.is_empty() {
                std::fs::write(&model, bytes).unwrap();
            }
            read(std::slice::from_ref(&file)).unwrap().deployments[0].revision.clone()
        };
        let (none, one, again, other) = (revision(1, ""), revision(1, "one"), revision(2, ""), revision(2, "other"));
        assert_eq!(one, again);
        assert!(none != one && one != other && one.len() == 10, "{none} {one} {other}");
    }

    #[test]
    fn of_several_models_a_change_is_a_models_own() {
        let dir = tempfile::tempdir().unwrap();
        let (file, model) = (dir.path().join("all.yaml"), dir.path().join("m.onnx"));
        let of = |names: &[&str], more: &str| {
            let models: Vec<String> = names.iter().map(|name| format!("{{name: {name}, uri: \"file:m.onnx\"}}")).collect();
            std::fs::write(&file, document("a", &format!("  models: [{}]{more}", models.join(", ")))).unwrap();
            read(std::slice::from_ref(&file)).unwrap().deployments.remove(0)
        };
        std::fs::write(&model, "one").unwrap();
        let first = of(&["x", "w"], "");
        let (more, fewer, other) = (of(&["x", "w", "z"], ""), of(&["w"], ""), of(&["x", "w"], "\n  serving: {threads: 3}"));
        assert!(first.revision == more.revision && first.revision == fewer.revision && first.revision != other.revision);
        std::fs::write(&model, "other").unwrap();
        let written = of(&["x", "w"], "");
        assert_eq!(first.revision, written.revision);
        assert!(first.config.models[0].stamp.is_some() && first.config.models[0] != written.config.models[0]);
    }

    #[test]
    fn a_clash_names_both() {
        let two = document("a", "  model: {uri: \"file:m\", name: x}") + &document("b", "  models: [{uri: \"file:m\", name: x}]");
        let wrong = wanted(&two).unwrap_err().join("\n");
        assert!(
            wrong.contains("ModelDeployment/a (") && wrong.contains("ModelDeployment/b (") && wrong.contains("'x'"),
            "{wrong}"
        );
    }

    #[test]
    fn a_file_given_twice_is_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file, other) = (dir.path().to_owned(), dir.path().join("a.yaml"), dir.path().join("./b.yaml"));
        for (path, name) in [(&file, "a"), (&other, "b")] {
            std::fs::write(path, document(name, "  model: {uri: \"file:m\"}")).unwrap();
        }
        assert_eq!(read(&[file.clone(), other.clone()]).unwrap().deployments.len(), 2);
        let dotted = dir.path().join("./a.yaml");
        for (files, words) in [
            ([file.clone(), file.clone()], "are the same"),
            ([file.clone(), dotted], "are the same"),
            (["-".into(), "-".into()], "-f - and -f - are the same"),
            ([folder.clone(), other.clone()], "name one file twice"),
            ([other, folder], "name one file twice"),
        ] {
            let wrong = read(&files).unwrap_err();
            assert!(wrong.len() == 1 && wrong[0].contains(words), "{files:?}: {wrong:?}");
        }
    }

    #[test]
    fn one_name_in_two_namespaces_is_refused_with_both_places() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("a.yaml", "blue", "one"), ("b.yaml", "green", "two")].map(|(file, namespace, model)| {
            let yaml = document("a", &format!("  model: {{uri: \"file:m\", name: {model}}}"));
            let yaml = yaml.replace("  name: a\n", &format!("  name: a\n  namespace: {namespace}\n"));
            let path = dir.path().join(file);
            std::fs::write(&path, format!("# first\n{yaml}")).unwrap();
            path
        });
        let wrong = read(&files).unwrap_err();
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        for words in ["a.yaml:2 (namespace blue)", "b.yaml:2 (namespace green)", "ModelDeployment/a"] {
            assert!(wrong[0].contains(words), "{words}: {}", wrong[0]);
        }
    }

    #[test]
    fn what_only_a_cluster_honours_is_named() {
        let spec = "  model: {uri: \"file:m\"}\n  resources: {requests: {cpu: 1}, limits: {memory: 1Gi, cpu: 2}}";
        let notes = wanted(&document("a", spec)).unwrap().notes.join("\n");
        assert!(notes.contains("spec.resources.requests") && notes.contains("limits.memory"), "{notes}");
        assert!(!notes.contains("limits.cpu"), "{notes}");
        assert!(wanted(&document("a", "  model: {uri: \"file:m\"}")).unwrap().notes.is_empty());
    }

    #[test]
    fn a_claim_is_refused_with_what_to_do() {
        let wrong = wanted(&document("a", "  model: {uri: \"pvc://zoo/m.onnx\"}")).unwrap_err();
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        for words in ["all.yaml:1: ModelDeployment/a", "claims (zoo)", "write file:PATH"] {
            assert!(wrong[0].contains(words), "{words}: {}", wrong[0]);
        }
    }

    #[test]
    fn nothing_to_serve_is_an_error() {
        assert!(wanted("").unwrap_err()[0].contains("no ModelDeployment"));
        assert!(wanted("a: [").is_err());
    }
}
