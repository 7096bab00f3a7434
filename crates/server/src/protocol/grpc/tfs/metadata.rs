//! `GetModelMetadata`: what a model takes and gives, as the signature of a TensorFlow graph.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use modelyard_wire::proto::tensorflow::tensor_info::Encoding;
use modelyard_wire::proto::tensorflow::tensor_shape_proto::Dim;
use modelyard_wire::proto::tensorflow::{SignatureDef, TensorInfo, TensorShapeProto};
use modelyard_wire::proto::tensorflow_serving::{GetModelMetadataRequest, GetModelMetadataResponse, SignatureDefMap};
use prost::{Message, Name};
use prost_types::Any;

use super::super::super::Service;
use super::super::shown;
use super::{SIGNATURE, find, named, spec_of, tensor};
use crate::fault::Fault;
use crate::signature::{Signature, TensorSpec};

/// The one field of metadata that there is.
const FIELD: &str = "signature_def";

pub(super) async fn metadata(
    service: &Service,
    request: GetModelMetadataRequest,
    asked: (Instant, Option<Duration>),
) -> Result<GetModelMetadataResponse, Fault> {
    let spec = named(request.model_spec)?;
    if request.metadata_field.is_empty() {
        return Err(Fault::invalid(format!("metadata_field is empty; expected '{FIELD}'")));
    }
    if let Some(other) = request.metadata_field.iter().find(|field| *field != FIELD) {
        return Err(Fault::invalid(format!("metadata_field: expected '{FIELD}', found '{}'", shown(other))));
    }
    let model = service.awake(&find(service, &spec)?, asked).await?;
    let signatures = SignatureDefMap { signature_def: BTreeMap::from([(SIGNATURE.to_owned(), signature(&model.signature))]) };
    let packed =
        Any { type_url: format!("type.googleapis.com/{}", SignatureDefMap::full_name()), value: signatures.encode_to_vec() };
    Ok(GetModelMetadataResponse { model_spec: Some(spec_of(&model, "")), metadata: BTreeMap::from([(FIELD.to_owned(), packed)]) })
}

fn signature(of: &Signature) -> SignatureDef {
    let infos = |specs: &[TensorSpec]| specs.iter().map(|spec| (spec.name.clone(), info(spec))).collect();
    SignatureDef { inputs: infos(&of.inputs), outputs: infos(&of.outputs), method_name: "tensorflow/serving/predict".to_owned() }
}

fn info(spec: &TensorSpec) -> TensorInfo {
    let dim = spec.shape.iter().map(|size| Dim { size: *size, name: String::new() }).collect();
    TensorInfo {
        encoding: Some(Encoding::Name(spec.name.clone())),
        dtype: tensor::dtype_of(spec.datatype).into(),
        tensor_shape: Some(TensorShapeProto { dim, unknown_rank: false }),
    }
}
