//! `:predict` with a serialised `tensorflow.serving.PredictRequest`: a request that was saved for gRPC, sent by curl.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response};
use modelyard_wire::proto::tensorflow_serving::model_spec::VersionChoice;
use modelyard_wire::proto::tensorflow_serving::{ModelSpec, PredictRequest};
use prost::Message;

use crate::fault::Fault;
use crate::infer::Model;
use crate::protocol::front::shown;
use crate::protocol::{Reply, Seen, Service, grpc};

/// The names that protobuf's media type goes by.
const KINDS: [&str; 3] = ["application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf"];

/// Protobuf's media type as the client writes it, if that is what the body is.
pub(super) fn kind(headers: &HeaderMap) -> Option<&'static str> {
    let kind = headers.get(CONTENT_TYPE)?.as_bytes().split(|byte| *byte == b';').next()?.trim_ascii();
    KINDS.into_iter().find(|known| kind.eq_ignore_ascii_case(known.as_bytes()))
}

/// Answers a request in the media type that it came in.
///
/// # Errors
/// `INVALID_ARGUMENT` for a body that is no such message, or one for another model than the URL's.
pub(super) async fn handle(
    service: &Service,
    (model, kind): (Arc<Model>, &'static str),
    body: Bytes,
    seen: &mut Seen,
) -> Result<Response<Reply>, Fault> {
    let mut request = grpc::decode_predict(body)?;
    address(&mut request, &model)?;
    let answer = grpc::tfs_predict(service, request, seen).await?;
    let mut response = Response::new(Reply::from(answer.encode_to_vec()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// The URL says which model is asked; the message may leave it out, and may not say another.
fn address(request: &mut PredictRequest, model: &Model) -> Result<(), Fault> {
    let ModelSpec { name, version_choice, .. } = request.model_spec.get_or_insert_default();
    if name.is_empty() {
        name.clone_from(&model.name);
    } else if *name != model.name {
        let (url, found) = (&model.name, shown(name));
        return Err(Fault::invalid(format!("model_spec.name: expected '{url}' as in the URL, or nothing, found '{found}'")));
    }
    match version_choice {
        Some(VersionChoice::Version(version)) if *version != model.version => {
            let (url, found) = (model.version, *version);
            Err(Fault::invalid(format!(
                "model_spec.version: expected {url}, which the URL's model has, or nothing, found {found}"
            )))
        }
        _ => Ok(()),
    }
}
