//! `inference.GRPCInferenceService`: the Open Inference Protocol, and what Triton added to it.

use http::Response;
use modelyard_wire::proto::inference as pb;
use modelyard_wire::proto::inference::model_metadata_response::TensorMetadata;

use super::super::oip::metadata::{self, extensions};
use super::super::{Reply, Service};
use super::exchange::Exchange;
use super::unknown_method;
use crate::fault::{Code, Fault};
use crate::signature::TensorSpec;

mod config;
mod contents;
mod infer;
mod repository;
mod statistics;
mod stream;

/// The service's name in paths.
pub(super) const SERVICE: &str = "inference.GRPCInferenceService";

/// Answers a call of this service.
///
/// # Errors
/// Whatever the method's own are; `UNIMPLEMENTED` for a method that is declined or that there is not.
pub(super) async fn answer(mut call: Exchange<'_>, method: &str) -> Result<Response<Reply>, Fault> {
    match method {
        "ModelInfer" => {
            let request = call.only().await?;
            let response = infer::infer(call.service, request, call.timeout, call.seen).await?;
            call.reply(&response)
        }
        "ModelStreamInfer" => Ok(stream::open(call)),
        "ServerLive" => {
            call.only::<pb::ServerLiveRequest>().await?;
            call.reply(&pb::ServerLiveResponse { live: true })
        }
        "ServerReady" => {
            call.only::<pb::ServerReadyRequest>().await?;
            call.reply(&pb::ServerReadyResponse { ready: call.service.is_ready() })
        }
        "ModelReady" => {
            let request: pb::ModelReadyRequest = call.only().await?;
            let ready = call.service.registry.find(&request.name, Some(&request.version)).is_ok();
            call.reply(&pb::ModelReadyResponse { ready })
        }
        "ServerMetadata" => {
            call.only::<pb::ServerMetadataRequest>().await?;
            call.reply(&server_metadata(call.service))
        }
        "ModelMetadata" => {
            let request = call.only().await?;
            call.reply(&model_metadata(call.service, &request)?)
        }
        "ModelConfig" => {
            let request: pb::ModelConfigRequest = call.only().await?;
            let model = call.service.registry.find(&request.name, Some(&request.version))?;
            call.reply(&pb::ModelConfigResponse { config: Some(config::of(&model)) })
        }
        "ModelStatistics" => {
            let request: pb::ModelStatisticsRequest = call.only().await?;
            call.reply(&statistics::of(call.service, &request)?)
        }
        "RepositoryIndex" => {
            let request = call.only().await?;
            call.reply(&repository::index(call.service, &request)?)
        }
        "RepositoryModelLoad" => {
            let request = call.only().await?;
            Box::pin(repository::load(call.service, request)).await?;
            call.reply(&pb::RepositoryModelLoadResponse {})
        }
        "RepositoryModelUnload" => {
            let request = call.only().await?;
            Box::pin(repository::unload(call.service, request)).await?;
            call.reply(&pb::RepositoryModelUnloadResponse {})
        }
        _ => Err(declined(method)),
    }
}

/// Why a call of this service is not answered here.
fn declined(method: &str) -> Fault {
    let reason = if method.contains("SharedMemory") {
        "this server has no shared memory; tensors travel in the request"
    } else if method == "TraceSetting" {
        "traces are configured when the server starts (OTEL_EXPORTER_OTLP_ENDPOINT)"
    } else if method == "LogSettings" {
        "logs are configured when the server starts (--log-level, --log-format)"
    } else {
        return unknown_method(SERVICE, method);
    };
    Fault::new(Code::Unimplemented, format!("{method}: {reason}"))
}

fn server_metadata(service: &Service) -> pb::ServerMetadataResponse {
    pb::ServerMetadataResponse {
        name: "modelyard".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: extensions(service).into_iter().map(str::to_owned).collect(),
    }
}

fn model_metadata(service: &Service, request: &pb::ModelMetadataRequest) -> Result<pb::ModelMetadataResponse, Fault> {
    let model = service.registry.find(&request.name, Some(&request.version))?;
    let tensors = |specs: &[TensorSpec]| {
        let one = |spec: &TensorSpec| TensorMetadata {
            name: spec.name.clone(),
            datatype: spec.datatype.as_str().to_owned(),
            shape: spec.shape.clone(),
        };
        specs.iter().map(one).collect()
    };
    Ok(pb::ModelMetadataResponse {
        name: model.name.clone(),
        versions: vec![model.version.to_string()],
        platform: model.facts.platform.to_owned(),
        inputs: tensors(&model.signature.inputs),
        outputs: tensors(&model.signature.outputs),
        properties: metadata::properties(&model),
    })
}
