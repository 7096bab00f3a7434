//! What the server and its models are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::infer::Model;
use crate::protocol::Service;
use crate::signature::TensorSpec;

/// The extensions that are really there. Loading and unloading are only where the server allows them.
const EXTENSIONS: [&str; 5] = ["binary_tensor_data", "classification", "parameters", "statistics", "model_configuration"];

/// The extensions of this server.
pub fn extensions(service: &Service) -> Vec<&'static str> {
    EXTENSIONS.into_iter().chain(service.allow_control.then_some("model_repository")).collect()
}

/// The server.
pub(super) fn server(service: &Service) -> Value {
    json!({ "name": "modelyard", "version": env!("CARGO_PKG_VERSION"), "extensions": extensions(service) })
}

/// The names of all models, as KServe lists them.
pub(super) fn models(service: &Service) -> Value {
    let names: Vec<_> = service.registry.entries().iter().map(|entry| entry.config.name.clone()).collect();
    json!({ "models": names })
}

/// A model: what it takes and gives.
pub(super) fn model(model: &Model) -> Value {
    let mut metadata = json!({
        "name": model.name,
        "versions": [model.version.to_string()],
        "platform": model.facts.platform,
        "inputs": tensors(&model.signature.inputs),
        "outputs": tensors(&model.signature.outputs),
    });
    let properties = properties(model);
    if !properties.is_empty() {
        metadata["properties"] = json!(properties);
    }
    metadata
}

/// A model's properties, over REST and gRPC alike. The protocol's properties are strings: a list is one in JSON.
pub fn properties(model: &Model) -> BTreeMap<String, String> {
    let classes = (!model.classes.is_empty()).then(|| ("classes", json!(model.classes).to_string()));
    let steps = model.steps.iter().flat_map(|steps| {
        [
            ("preprocess", json!(steps.before).to_string()),
            ("postprocess", json!(steps.after).to_string()),
            ("model_inputs", json!(tensors(&steps.inner.inputs)).to_string()),
            ("model_outputs", json!(tensors(&steps.inner.outputs)).to_string()),
        ]
    });
    // Where somebody or something chose it.
    let chosen = (!model.facts.engine_reason.is_empty())
        .then(|| [("engine", model.facts.engine.to_owned()), ("engine_reason", model.facts.engine_reason.clone())]);
    classes.into_iter().chain(steps).chain(chosen.into_iter().flatten()).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn tensors(specs: &[TensorSpec]) -> Vec<Value> {
    specs.iter().map(|spec| json!({ "name": spec.name, "datatype": spec.datatype.as_str(), "shape": spec.shape })).collect()
}
