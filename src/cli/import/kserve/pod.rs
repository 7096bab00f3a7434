//! Where replicas run, and what is added to their pods.

use serde_json::{Value, json};

use super::super::draft::Draft;
use super::super::foreign::Foreign;
use super::annotations;

/// Fields that are Kubernetes' own on both sides.
const SAME: [&str; 7] = [
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "runtimeClassName",
    "serviceAccountName",
    "imagePullSecrets",
];

/// Variables that the operator sets itself, or that only KServe's own programs read.
const TAKEN: [&str; 7] = [
    "MODELYARD_CONFIG",
    "MODELYARD_CACHE_DIR",
    "MODELYARD_LOG_FORMAT",
    "MODELYARD_HOST",
    "MODELYARD_PORT",
    "MODELYARD_ADMIN_PORT",
    "STORAGE_URI",
];

pub(super) fn pod(object: &mut Foreign, draft: &mut Draft, form: &str) {
    annotations::of_component(object, draft, "labels");
    annotations::of_component(object, draft, "annotations");
    if object.peek("spec.predictor.serviceAccountName").is_some() {
        let words =
            "the account stays, and the Secrets of stores that KServe finds by it are not read: model.secretRef names one";
        object.changed("spec.predictor.serviceAccountName", words);
    }
    for field in SAME {
        if let Some(value) = object.take(&format!("spec.predictor.{field}")) {
            draft.set(&["pod", field], value);
        }
    }
    spread(object, draft);
    env(object, draft, &format!("spec.predictor.{form}.env"));
}

/// The constraints of another system count its pods: these have other labels.
fn spread(object: &mut Foreign, draft: &mut Draft) {
    let path = "spec.predictor.topologySpreadConstraints";
    let Some(Value::Array(mut list)) = object.take(path) else { return };
    let ours = json!({ "matchLabels": { "modelyard.dev/deployment": draft.name } });
    list.iter_mut().filter(|one| one.is_object()).for_each(|one| one["labelSelector"] = ours.clone());
    object.changed(path, "count the pods of the ModelDeployment, by its label");
    draft.set(&["pod", "topologySpreadConstraints"], list);
}

fn env(object: &mut Foreign, draft: &mut Draft, path: &str) {
    let Some(Value::Array(list)) = object.take(path) else { return };
    let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
    let (taken, kept): (Vec<Value>, Vec<Value>) = list.into_iter().partition(|one| TAKEN.contains(&name(one).as_str()));
    for one in taken {
        object.lost(format!("{path}['{}']", name(&one)), "");
    }
    if kept.is_empty() {
        return;
    }
    let names: Vec<String> = kept.iter().map(name).collect();
    object.changed(path, format!("handed on: {}; remove what only the old server read", names.join(", ")));
    draft.set(&["pod", "env"], kept);
}
