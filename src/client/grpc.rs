//! The Open Inference Protocol over gRPC. Of gRPC itself little is needed: five bytes before each message, a status after it.
//!
//! Source: the gRPC project's "gRPC over HTTP2".

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use http::{Method, StatusCode};
use modelyard_wire::proto::inference::{self, ModelInferRequest, ModelInferResponse, model_infer_request::InferInputTensor};
use modelyard_wire::{DataType, Tensor};
use percent_encoding::percent_decode;
use prost::Message;

use super::{Answer, ClientError, Metadata, ModelName, Prepared, Reply, TensorSpec, metadata};

/// A call of a method of `inference.GRPCInferenceService`.
pub(super) fn call(method: &str, message: &impl Message) -> Result<Prepared, ClientError> {
    let length = message.encoded_len();
    let prefix = u32::try_from(length).map_err(|_| ClientError::Request("a gRPC message is at most 4 GiB".to_owned()))?;
    let mut body = BytesMut::with_capacity(5 + length);
    body.put_u8(0);
    body.put_u32(prefix);
    message.encode(&mut body).map_err(|error| ClientError::Request(error.to_string()))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    Ok(Prepared { method: Method::POST, path: format!("/inference.GRPCInferenceService/{method}"), headers, body: body.freeze() })
}

/// A `ModelInfer` call with raw contents.
pub(super) fn prepare(model: &ModelName, inputs: &[(String, Tensor)]) -> Result<Prepared, ClientError> {
    let declared = |(name, tensor): &(String, Tensor)| InferInputTensor {
        name: name.clone(),
        datatype: tensor.datatype().to_string(),
        shape: tensor.shape().iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect(),
        ..Default::default()
    };
    let request = ModelInferRequest {
        model_name: model.name.clone(),
        model_version: model.version.clone().unwrap_or_default(),
        inputs: inputs.iter().map(declared).collect(),
        raw_input_contents: inputs.iter().map(|(_, tensor)| tensor.to_raw()).collect(),
        ..Default::default()
    };
    call("ModelInfer", &request)
}

/// OK, or the refusal in the server's own words.
pub(super) fn verdict(reply: &Reply) -> Result<(), ClientError> {
    if reply.status != StatusCode::OK {
        let message = String::from_utf8_lossy(&reply.body).chars().take(400).collect();
        return Err(ClientError::Refused { status: reply.status.as_u16().to_string(), message });
    }
    // A call that fails before its first message has the status in the headers.
    let field = |name: &str| reply.trailers.get(name).or_else(|| reply.headers.get(name));
    let code = field("grpc-status").and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<usize>().ok());
    match code {
        Some(0) => Ok(()),
        Some(code) => {
            let message = field("grpc-message").map(|value| percent_decode(value.as_bytes()).decode_utf8_lossy().into_owned());
            let status = CODES.get(code).map_or_else(|| code.to_string(), |name| (*name).to_owned());
            Err(ClientError::Refused { status, message: message.unwrap_or_default() })
        }
        None => Err(ClientError::Reply("no grpc-status; is this a gRPC server?".to_owned())),
    }
}

/// The codes' names by number (gRPC's "Status codes and their use").
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The only message of a reply.
pub(super) fn message<M: Message + Default>(reply: &Reply) -> Result<M, ClientError> {
    let mut body = reply.body.clone();
    let wrong = |why: String| ClientError::Reply(why);
    if body.len() < 5 {
        return Err(wrong(format!("a gRPC message needs 5 bytes, found {}", body.len())));
    }
    if body.get_u8() != 0 {
        return Err(wrong("a compressed gRPC message, which was not asked for".to_owned()));
    }
    let length = body.get_u32() as usize;
    if length != body.len() {
        return Err(wrong(format!("a gRPC message of {length} bytes was announced, {} came", body.len())));
    }
    M::decode(body).map_err(|error| wrong(error.to_string()))
}

/// The tensors of a `ModelInfer` reply.
pub(super) fn decode(reply: &Reply) -> Result<Answer, ClientError> {
    let response: ModelInferResponse = message(reply)?;
    let raw = response.raw_output_contents;
    if !raw.is_empty() && raw.len() != response.outputs.len() {
        return Err(ClientError::Reply(format!("{} outputs but {} raw contents", response.outputs.len(), raw.len())));
    }
    let mut outputs = Vec::with_capacity(response.outputs.len());
    for (index, output) in response.outputs.into_iter().enumerate() {
        let wrong = |why: String| ClientError::Reply(format!("output '{}': {why}", output.name));
        let datatype: DataType = output.datatype.parse().map_err(|error| wrong(format!("{error}")))?;
        let shape: Vec<usize> = output
            .shape
            .iter()
            .map(|dim| usize::try_from(*dim).map_err(|_| wrong(format!("a dimension of {dim}"))))
            .collect::<Result<_, _>>()?;
        let tensor = match (raw.get(index), output.contents) {
            (Some(raw), _) => Tensor::new(datatype, shape, raw.clone()),
            (None, Some(contents)) if datatype == DataType::Bytes => Tensor::strings(shape, contents.bytes_contents),
            (None, contents) => Tensor::new(datatype, shape, typed(datatype, contents.unwrap_or_default())),
        };
        let tensor = tensor.map_err(|error| ClientError::Reply(format!("output '{}': {error}", output.name)))?;
        outputs.push((output.name, tensor));
    }
    Ok(Answer { version: Some(response.model_version).filter(|version| !version.is_empty()), outputs })
}

/// Typed contents, which other servers send, as little-endian bytes. The narrow integers travel as 32-bit ones.
fn typed(datatype: DataType, contents: inference::InferTensorContents) -> Bytes {
    let mut raw = BytesMut::new();
    match datatype {
        DataType::Bool => contents.bool_contents.iter().for_each(|one| raw.put_u8(u8::from(*one))),
        DataType::Int8 => contents.int_contents.iter().for_each(|one| raw.put_i8(*one as i8)),
        DataType::Int16 => contents.int_contents.iter().for_each(|one| raw.put_i16_le(*one as i16)),
        DataType::Int32 => contents.int_contents.iter().for_each(|one| raw.put_i32_le(*one)),
        DataType::Int64 => contents.int64_contents.iter().for_each(|one| raw.put_i64_le(*one)),
        DataType::Uint8 => contents.uint_contents.iter().for_each(|one| raw.put_u8(*one as u8)),
        DataType::Uint16 => contents.uint_contents.iter().for_each(|one| raw.put_u16_le(*one as u16)),
        DataType::Uint32 => contents.uint_contents.iter().for_each(|one| raw.put_u32_le(*one)),
        DataType::Uint64 => contents.uint64_contents.iter().for_each(|one| raw.put_u64_le(*one)),
        DataType::Fp32 => contents.fp32_contents.iter().for_each(|one| raw.put_f32_le(*one)),
        DataType::Fp64 => contents.fp64_contents.iter().for_each(|one| raw.put_f64_le(*one)),
        // These travel raw only.
        DataType::Fp16 | DataType::Bf16 | DataType::Bytes => {}
    }
    raw.freeze()
}

/// The answer to `ModelMetadata`.
pub(super) fn metadata(reply: &Reply) -> Result<Metadata, ClientError> {
    verdict(reply)?;
    let response: inference::ModelMetadataResponse = message(reply)?;
    let specs = |tensors: Vec<inference::model_metadata_response::TensorMetadata>| {
        tensors.into_iter().map(|one| TensorSpec::new(one.name, &one.datatype, one.shape)).collect::<Result<Vec<_>, _>>()
    };
    Ok(Metadata {
        name: response.name,
        versions: response.versions,
        platform: response.platform,
        inputs: specs(response.inputs)?,
        outputs: specs(response.outputs)?,
        classes: response.properties.get("classes").map(|text| metadata::class_list(text)).unwrap_or_default(),
    })
}
