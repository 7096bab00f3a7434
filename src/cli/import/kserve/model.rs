//! Which model, and what it may use: `predictor.model`, or one of the older forms that are named after a framework.

use serde_json::{Map, Value, json};

use super::super::address::address;
use super::super::draft::Draft;
use super::super::foreign::{Foreign, Refusal};

/// The forms that name the framework themselves.
const FORMS: [&str; 10] =
    ["sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle"];

/// The field of the predictor that has the model.
pub(super) fn form(object: &Foreign) -> Result<&'static str, Refusal> {
    let there = |name: &&&str| object.peek(&format!("spec.predictor.{name}")).is_some();
    if !object.peek("spec.predictor").is_some_and(Value::is_object) {
        return Err(object.unfit("spec.predictor", "a predictor"));
    }
    if let Some(form) = ["model"].iter().chain(&FORMS).find(there) {
        return Ok(*form);
    }
    if object.peek("spec.predictor.containers").is_some() {
        let words = "a container of its own is no model that can be served here: keep it as a Deployment";
        return Err(Refusal::new("spec.predictor.containers", words));
    }
    Err(Refusal::new("spec.predictor", format!("expected model or one of {}, found none", FORMS.join(", "))))
}

/// `spec.model`.
pub(super) fn model(object: &mut Foreign, draft: &mut Draft, form: &str) -> Result<(), Refusal> {
    let at = |field: &str| format!("spec.predictor.{form}.{field}");
    let (place, format) = match form {
        "model" => (at("modelFormat.name"), object.text(&at("modelFormat.name"))),
        older => (format!("spec.predictor.{older}"), Some(older.to_owned())),
    };
    // KServe's runtimes take a format by its name, whatever the case.
    let format = format.ok_or_else(|| object.unfit(&place, "the name of a format"))?.to_ascii_lowercase();
    check(&format, &place)?;
    let (path, uri) = source(object, form)?;
    let uri = address(object, &path, &uri)?;
    if format == "triton" {
        let words = "config.pbtxt is not read, and the model's name in URLs is that of this object: the uri has to name the .onnx file of \
                     one version";
        object.changed(place, words);
    }
    // Each server speaks every protocol.
    object.text(&at("protocolVersion"));
    draft.set(&["model"], json!({ "uri": uri }));
    Ok(())
}

/// Refuses the formats that are not served, with the way to one that is.
fn check(format: &str, path: &str) -> Result<(), Refusal> {
    let exporter = match format {
        "onnx" | "triton" => return Ok(()),
        "sklearn" => "skl2onnx",
        "xgboost" | "lightgbm" => "onnxmltools",
        "tensorflow" => "tf2onnx",
        "pytorch" => "torch.onnx.export",
        "huggingface" => "optimum-cli export onnx",
        "paddle" => "paddle2onnx",
        _ => return Err(Refusal::new(path, format!("{format} is not served here: only ONNX is"))),
    };
    Err(Refusal::new(path, format!("{format} is not served here: export the model to ONNX with {exporter}, and import that")))
}

/// The one address of the model, and where it is written.
fn source(object: &mut Foreign, form: &str) -> Result<(String, String), Refusal> {
    let path = format!("spec.predictor.{form}.storageUri");
    if let Some(uri) = object.text(&path) {
        return Ok((path, uri));
    }
    let several = "spec.predictor.storageUris".to_owned();
    match object.peek(&several).and_then(Value::as_array).map(Vec::as_slice) {
        Some([one]) => match one["uri"].as_str().map(str::to_owned) {
            Some(uri) => {
                object.take(&several);
                Ok((format!("{several}[0].uri"), uri))
            }
            None => Err(Refusal::new(several, "expected a uri in its one item")),
        },
        None if object.peek(&several).is_some() => Err(object.unfit(&several, "a list with one address")),
        Some(more) => Err(Refusal::new(several, format!("expected one address, found {}: a model is one artefact", more.len()))),
        None if object.peek(&format!("spec.predictor.{form}.storage")).is_some() => {
            let words = "the bucket is in a Secret that is not read: write the object as storageUri, such as s3://BUCKET/KEY";
            Err(Refusal::new(format!("spec.predictor.{form}.storage"), words))
        }
        None => Err(object.unfit(&path, "the model's address")),
    }
}

/// `spec.resources`, as Kubernetes reads them: a request that is not written is the limit.
pub(super) fn resources(object: &mut Foreign, draft: &mut Draft, form: &str) {
    let path = format!("spec.predictor.{form}.resources");
    let mut amounts = |list: &str| {
        let mut found = Map::new();
        for name in ["cpu", "memory"] {
            found.extend(object.take(&format!("{path}.{list}.{name}")).map(|amount| (name.to_owned(), amount)));
        }
        found
    };
    let (mut requests, limits) = (amounts("requests"), amounts("limits"));
    if requests.is_empty() && limits.is_empty() {
        let words = "none are written: KServe gives 1 CPU and 2Gi, here 100m and 128Mi are requested and nothing is limited; measure, \
                     and write what the model needs";
        object.changed(path, words);
        return;
    }
    for (name, default) in [("cpu", "100m"), ("memory", "128Mi")] {
        if !requests.contains_key(name) {
            requests.insert(name.to_owned(), limits.get(name).cloned().unwrap_or_else(|| json!(default)));
        }
    }
    draft.set(&["resources", "requests"], requests);
    if !limits.is_empty() {
        draft.set(&["resources", "limits"], limits);
    }
}
