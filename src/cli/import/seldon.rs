//! Seldon Core 2's Model (`mlops.seldon.io/v1alpha1`): there, many models share servers; here, each gets servers of its own.

use modelyard_core::units;
use serde_json::{Value, json};

use super::address::address;
use super::draft::{Draft, split};
use super::foreign::{Foreign, Note, Refusal};

pub(super) const GROUP: &str = "mlops.seldon.io";

/// What its kinds other than Model are to us.
pub(super) fn other(kind: &str) -> &'static str {
    match kind {
        "Server" | "ServerConfig" | "SeldonRuntime" | "SeldonConfig" => {
            "each ModelDeployment has servers of its own: there is none to set up"
        }
        "Pipeline" => "there are no pipelines: a client calls one model after the other",
        "Experiment" => "there are no experiments yet",
        _ => "it has no counterpart",
    }
}

/// What a replica requests by default, in bytes.
const LEAST: u64 = 128 << 20;

/// Capabilities of servers that tell the framework.
const FORMATS: [&str; 11] = [
    "sklearn",
    "xgboost",
    "lightgbm",
    "catboost",
    "tensorflow",
    "pytorch",
    "huggingface",
    "mlflow",
    "alibi-detect",
    "alibi-explain",
    "openvino",
];

pub(super) fn convert(mut object: Foreign) -> Result<(Vec<Value>, Vec<Note>), Refusal> {
    let version = object.text("apiVersion").unwrap_or_default();
    if version != format!("{GROUP}/v1alpha1") {
        return Err(Refusal::new("apiVersion", format!("expected {GROUP}/v1alpha1, found {version}")));
    }
    object.take("kind");
    let mut draft = Draft::of(&mut object)?;
    metadata(&mut object, &mut draft);
    requirements(&mut object)?;
    let path = "spec.storageUri";
    let uri = object.text(path).ok_or_else(|| object.unfit(path, "the model's address"))?;
    let uri = address(&mut object, path, &uri)?;
    draft.set(&["model"], json!({ "uri": uri }));
    replicas(&mut object, &mut draft);
    memory(&mut object, &mut draft);
    let notes = object.finish(words, |path| ["", "metadata", "spec"].contains(&path));
    Ok((vec![draft.finish()], notes))
}

fn metadata(object: &mut Foreign, draft: &mut Draft) {
    let (_, kept) = split(object.map("metadata.annotations"), |key| key == "kubectl.kubernetes.io/last-applied-configuration");
    draft.set_metadata("annotations", kept);
    let labels = object.map("metadata.labels");
    draft.set_metadata("labels", labels);
}

/// What a server must be able to do tells what the model is.
fn requirements(object: &mut Foreign) -> Result<(), Refusal> {
    let path = "spec.requirements";
    let Some(Value::Array(list)) = object.take(path) else { return Ok(()) };
    let names: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    if !names.contains(&"onnx")
        && let Some(format) = names.iter().find(|name| FORMATS.contains(*name))
    {
        return Err(Refusal::new(path, format!("{format} is not served here: export the model to ONNX, and import that")));
    }
    let others: Vec<&str> = names.into_iter().filter(|name| *name != "onnx").collect();
    if !others.is_empty() {
        object.lost(path, format!("{}: there are no capabilities of servers to choose by", others.join(", ")));
    }
    Ok(())
}

fn replicas(object: &mut Foreign, draft: &mut Draft) {
    let (least, wanted) = (object.number("spec.minReplicas"), object.number("spec.replicas"));
    let replicas = wanted.or(least).unwrap_or(1);
    if least.is_some_and(|least| least != replicas) {
        object.lost("spec.minReplicas", "write a HorizontalPodAutoscaler with the ModelDeployment as its target");
    }
    draft.set(&["replicas"], replicas);
}

/// There, what a model takes of a shared server; here, what a server of its own requests.
fn memory(object: &mut Foreign, draft: &mut Draft) {
    let Some(memory) = object.take("spec.memory") else { return };
    let text = memory.as_str().map_or_else(|| memory.to_string(), str::to_owned);
    if units::whole(&text).is_ok_and(|bytes| bytes < LEAST) {
        object.changed(
            "spec.memory",
            format!("{text} is less than a server needs by itself: each replica requests 128Mi, the default"),
        );
        return;
    }
    object.changed("spec.memory", "is what each replica requests: the server itself needs some 20 MB more");
    draft.set(&["resources", "requests"], json!({ "cpu": "100m", "memory": memory }));
}

fn words(path: &str) -> Option<&'static str> {
    Some(match path {
        "metadata.ownerReferences" => "its owner would not know it",
        "metadata.finalizers" => "nothing has to be cleared up outside the cluster",
        "spec.maxReplicas" => "write a HorizontalPodAutoscaler with the ModelDeployment as its target",
        "spec.secretName" => {
            "an rclone configuration is not read: model.secretRef names a Secret with the store's own keys (docs/stores.md)"
        }
        "spec.artifactVersion" => "it chooses a folder under storageUri: name the file in it",
        "spec.server" => "each ModelDeployment has servers of its own",
        "spec.modelType" => "the format is told by the file",
        "spec.explainer" => "there are no explainers",
        "spec.logger" => "requests are not logged: a gateway or a mesh can do that",
        "spec.dataflow" | "spec.llm" | "spec.parameters" => "",
        _ => return None,
    })
}
