//! What applying one object would do.

use std::collections::BTreeMap;

use modelyard_core::api::ModelDeployment;
use modelyard_core::release::as_it_runs;
use modelyard_core::resolve::{Resolved, resolve};
use modelyard_core::schema::Path;
use modelyard_core::warn::is_local;
use serde::Serialize;
use serde_json::{Value, json};

use super::owner::Replicas;
use crate::cli::cluster::{Change, changes, replacement};
use crate::manifest::Manifest;

/// The kind of it, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Effect {
    Created,
    Unchanged,
    InPlace,
    NewRevision,
}

pub(super) struct Difference {
    pub(super) effect: Effect,
    /// The revision that is there.
    pub(super) from: Option<String>,
    /// The revision that would be.
    pub(super) to: String,
    /// The effect, for people.
    pub(super) words: String,
    pub(super) changes: Vec<Change>,
    /// What else is worth knowing.
    pub(super) notes: Vec<String>,
}

impl Difference {
    pub(super) fn of(live: Option<&ModelDeployment>, manifest: &Manifest) -> Self {
        let resolved = &manifest.resolved;
        let mut notes = Vec::new();
        if is_local(&manifest.deployment.spec) {
            notes.push(
                "file: starts in the server's container: a cluster finds the model there only if its image has it".to_owned(),
            );
        }
        let Some(live) = live else {
            let replicas = resolved.replicas;
            let count = format!("{replicas} {}", if replicas == 1 { "replica" } else { "replicas" });
            let words = format!("created: revision {}, {count}", resolved.revision);
            let to = resolved.revision.clone();
            return Self { effect: Effect::Created, from: None, to, words, changes: Vec::new(), notes };
        };
        let mut file = manifest.deployment.clone();
        let mut wanted = resolved.replicas;
        match Replicas::of(live, &manifest.written) {
            Replicas::Kept(by) => {
                if live.spec.replicas != file.spec.replicas {
                    notes.push(format!("spec.replicas stays {}: the file does not write it{by}", live.spec.replicas));
                }
                file.spec.replicas = live.spec.replicas;
                wanted = u32::try_from(live.spec.replicas).unwrap_or(0);
            }
            Replicas::Fought(by) => {
                notes.push(format!("spec.replicas is set by {by} too: leave it out of the file, or the two undo one another"));
            }
            Replicas::Written => {}
        }
        let changes = changes(&Path::root(), &relevant(live, &file), &relevant(&file, &file));
        let before = resolve(live).ok().map(|before| beside(before, live));
        let resolved = beside(resolved.clone(), live);
        let from = before.as_ref().map(|before| before.revision.clone());
        let (effect, words) = match &before {
            _ if changes.is_empty() => (Effect::Unchanged, "no change".to_owned()),
            Some(before) if before.revision == resolved.revision => {
                if resolved.follows() && before.config.models != resolved.config.models {
                    let words = "the servers take another models[] while they run; that makes no revision, so modelyard rollback does not \
                                 undo it";
                    notes.push(words.to_owned());
                }
                (Effect::InPlace, "changed in place, no pod restarts".to_owned())
            }
            Some(before) => {
                let (old, new) = (&before.revision, &resolved.revision);
                let words = format!("new revision {old} -> {new}: {}", replacement(before.replicas, wanted));
                (Effect::NewRevision, words)
            }
            None => (Effect::NewRevision, format!("the spec there cannot be served; new revision {}", resolved.revision)),
        };
        Self { effect, from, to: resolved.revision, words, changes, notes }
    }

    /// Whether applying changes anything.
    pub(super) fn is_any(&self) -> bool {
        self.effect != Effect::Unchanged
    }
}

/// What is to be made beside the revisions that the object's status tells of.
fn beside(resolved: Resolved, live: &ModelDeployment) -> Resolved {
    let revisions = live.status.as_ref().map(|status| status.revisions.as_slice()).unwrap_or_default();
    as_it_runs(resolved, |name| {
        let known = revisions.iter().find(|one| one.name == name)?;
        u32::try_from(known.replicas).ok()
    })
}

/// What applying `file` can change of an object: the spec, and of labels and annotations those that the file has.
fn relevant(object: &ModelDeployment, file: &ModelDeployment) -> Value {
    let own = |written: &Option<BTreeMap<String, String>>, there: &Option<BTreeMap<String, String>>| {
        let keys = written.iter().flat_map(|written| written.keys());
        let kept = keys.filter_map(|key| Some((key.clone(), json!(there.as_ref()?.get(key)?))));
        Value::Object(kept.collect())
    };
    json!({
        "metadata": {
            "labels": own(&file.metadata.labels, &object.metadata.labels),
            "annotations": own(&file.metadata.annotations, &object.metadata.annotations),
        },
        "spec": object.spec,
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::manifest::read_text;

    fn manifest(spec: &str) -> Manifest {
        let text = format!(
            "apiVersion: modelyard.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {{name: m, labels: {{team: a}}}}\nspec: {spec}\n"
        );
        read_text(std::path::Path::new("m.yaml"), &text).manifests.remove(0)
    }

    fn shown(live: Option<&ModelDeployment>, specs: &[&str]) -> String {
        let mut shown = String::new();
        for spec in specs {
            let difference = Difference::of(live, &manifest(spec));
            let _ = writeln!(shown, "{}", difference.words);
            difference.changes.iter().for_each(|change| shown.push_str(&format!("  {change}\n")));
            difference.notes.iter().for_each(|note| shown.push_str(&format!("  note: {note}\n")));
        }
        shown
    }

    #[test]
    fn effects_are_told_apart() {
        let live = manifest("{model: {uri: 'http://a/m.onnx'}, replicas: 4}").deployment;
        let mut text = shown(
            Some(&live),
            &[
                "{model: {uri: 'http://a/m.onnx'}, replicas: 4}",
                "{model: {uri: 'http://a/m.onnx'}, replicas: 6}",
                "{model: {uri: 'http://b/m.onnx', version: 2}, replicas: 8, serving: {drainDelay: 6s}}",
                "{models: [{name: x, uri: 'http://b/m.onnx'}], replicas: 4}",
            ],
        );
        text += &shown(None, &["{model: {uri: 'http://a/m.onnx'}}", "{model: {uri: 'file:m.onnx'}, replicas: 2}"]);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_change_of_a_list_restarts_no_pod_unless_another_pod_is_needed() {
        let list = |models: &str| format!("{{models: [{models}], replicas: 2}}");
        let (a, b) = ("{name: a, uri: 'http://s/a'}", "{name: b, uri: 'http://s/b'}");
        let mut live = manifest(&list(a)).deployment;
        let inline = resolve(&live).unwrap().inline.unwrap().revision;
        let (both, secret) = (list(&format!("{a}, {b}")), list("{name: a, uri: 's3://s/a', secretRef: {name: keys}}"));
        let mut text = shown(Some(&live), &[&list(a), &both, &secret]);
        text += "# made by a release whose servers did not follow\n";
        let revision = json!({"name": inline, "role": "Stable", "replicas": 2, "readyReplicas": 2, "weight": 100});
        live.status = Some(serde_json::from_value(json!({"revisions": [revision]})).unwrap());
        text += &shown(Some(&live), &[&list(a), &both]);
        insta::assert_snapshot!(text);
    }

    /// The object as an autoscaler has left it, applied in one way or the other before.
    fn scaled(managers: Value, applied: Option<Value>) -> ModelDeployment {
        let mut live = manifest("{model: {uri: 'http://a/m.onnx'}, replicas: 6}").deployment;
        live.metadata.managed_fields = serde_json::from_value(managers).unwrap();
        if let Some(applied) = applied {
            let key = "kubectl.kubernetes.io/last-applied-configuration".to_owned();
            live.metadata.annotations = Some([(key, applied.to_string())].into());
        }
        live
    }

    #[test]
    fn replicas_of_an_autoscaler_are_no_change() {
        let owns = |manager: &str, operation: &str, subresource: Option<&str>| {
            json!({"manager": manager, "operation": operation,
            "subresource": subresource, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}})
        };
        let hpa = owns("kube-controller-manager", "Update", Some("scale"));
        let (without, with) = ("{model: {uri: 'http://a/m.onnx'}}", "{model: {uri: 'http://a/m.onnx'}, replicas: 2}");
        let mut text = String::new();
        for (label, live) in [
            ("nobody", scaled(json!([]), None)),
            ("scaled", scaled(json!([hpa]), Some(json!({"spec": {"model": {}}})))),
            ("written before, client-side", scaled(json!([hpa]), Some(json!({"spec": {"replicas": 2}})))),
            ("written before, server-side", scaled(json!([owns("kubectl", "Apply", None)]), None)),
            ("both, server-side", scaled(json!([owns("kubectl", "Apply", None), hpa]), None)),
        ] {
            let _ = writeln!(text, "# {label}\n{}", shown(Some(&live), &[without, with]));
        }
        insta::assert_snapshot!(text);
    }
}
