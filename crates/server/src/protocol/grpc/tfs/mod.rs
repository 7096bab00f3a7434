//! `tensorflow.serving.PredictionService` and `ModelService`.

use std::sync::Arc;

use http::Response;
use modelyard_wire::proto::tensorflow_serving as pb;
use modelyard_wire::proto::tensorflow_serving::model_spec::VersionChoice;

use super::super::{Reply, Service};
use super::exchange::Exchange;
use super::{shown, unknown_method};
use crate::fault::{Code, Fault};
use crate::infer::Model;
use crate::registry::Entry;

mod metadata;
mod predict;
mod status;
mod tensor;

pub(crate) use predict::{decode_predict, tfs_predict};
pub(crate) use status::error_code;

/// The services' names in paths.
pub(super) const PREDICTION_SERVICE: &str = "tensorflow.serving.PredictionService";
pub(super) const MODEL_SERVICE: &str = "tensorflow.serving.ModelService";

/// The only signature that a model has.
const SIGNATURE: &str = "serving_default";

/// Answers a call of `PredictionService`.
///
/// # Errors
/// Whatever the method's own are; `UNIMPLEMENTED` for a method that is declined or that there is not.
pub(super) async fn answer_prediction(mut call: Exchange<'_>, method: &str) -> Result<Response<Reply>, Fault> {
    match method {
        "Predict" => {
            let request = call.only().await?;
            let response = predict::predict(call.service, request, call.timeout, call.seen).await?;
            call.reply(&response)
        }
        "GetModelMetadata" => {
            let request = call.only().await?;
            let asked = (call.seen.received, call.timeout);
            call.reply(&metadata::metadata(call.service, request, asked).await?)
        }
        "Classify" | "Regress" | "MultiInference" => Err(Fault::new(
            Code::Unimplemented,
            format!("{method} takes tf.Example records, which an ONNX model has no signature for; send tensors to Predict"),
        )),
        _ => Err(unknown_method(PREDICTION_SERVICE, method)),
    }
}

/// Answers a call of `ModelService`.
///
/// # Errors
/// Whatever the method's own are; `UNIMPLEMENTED` for a method that is declined or that there is not.
pub(super) async fn answer_model(mut call: Exchange<'_>, method: &str) -> Result<Response<Reply>, Fault> {
    match method {
        "GetModelStatus" => {
            let request: pb::GetModelStatusRequest = call.only().await?;
            let spec = named(request.model_spec)?;
            let entry = find(call.service, &spec)?;
            let status = status::version_status(&entry);
            call.reply(&pb::GetModelStatusResponse { model_version_status: vec![status] })
        }
        "HandleReloadConfigRequest" => Err(Fault::new(
            Code::PermissionDenied,
            "which models are served is the deployment's to say (spec.models); it cannot be changed over the network",
        )),
        _ => Err(unknown_method(MODEL_SERVICE, method)),
    }
}

/// A request's model, which it has to name.
fn named(spec: Option<pb::ModelSpec>) -> Result<pb::ModelSpec, Fault> {
    let spec = spec.unwrap_or_default();
    if spec.name.is_empty() {
        return Err(Fault::invalid("model_spec.name is missing"));
    }
    Ok(spec)
}

/// The configured model that a request names, whatever its state.
fn find(service: &Service, spec: &pb::ModelSpec) -> Result<Arc<Entry>, Fault> {
    match &spec.version_choice {
        None => service.registry.entry(&spec.name),
        Some(VersionChoice::Version(version)) => service.registry.versioned(&spec.name, Some(&version.to_string())),
        Some(VersionChoice::VersionLabel(label)) => {
            service.registry.entry(&spec.name)?;
            let label = shown(label);
            Err(Fault::invalid(format!("Unrecognized servable version label: {label}; versions have numbers here")))
        }
    }
}

/// Refuses a signature that there is not.
fn check_signature(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name == SIGNATURE {
        return Ok(());
    }
    Err(Fault::invalid(format!("model_spec.signature_name: expected '{SIGNATURE}' or nothing, found '{}'", shown(name))))
}

/// The model as an answer names it.
fn spec_of(model: &Model, signature: &str) -> pb::ModelSpec {
    pb::ModelSpec {
        name: model.name.clone(),
        signature_name: signature.to_owned(),
        version_choice: Some(VersionChoice::Version(model.version)),
    }
}
