//! `:predict`: decode, infer, encode.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Response};

use super::{body, protobuf, reply};
use crate::fault::Fault;
use crate::infer::{Call, Model};
use crate::protocol::{Inbound, Reply, Seen, Service, encoding, json_response};

/// A request to a model.
pub(super) struct Asked<'a> {
    pub(super) model: Arc<Model>,
    pub(super) headers: &'a HeaderMap,
    pub(super) inbound: Inbound,
}

/// Answers a request.
///
/// # Errors
/// What the body, the model or the answer's layout gives cause for.
pub(super) async fn handle(service: &Service, asked: Asked<'_>, seen: &mut Seen) -> Result<Response<Reply>, Fault> {
    let Asked { model, headers, inbound } = asked;
    let bytes = encoding::read(headers, inbound, service.max_request_bytes).await?;
    if let Some(kind) = protobuf::kind(headers) {
        return Box::pin(protobuf::handle(service, (model, kind), bytes, seen)).await;
    }
    let read = Instant::now();
    let request = body::read(&bytes, &model.signature)?;
    drop(bytes);
    let answer = model.infer(Call::new(request.inputs, seen.received, read)).await?;
    seen.computed = Some(answer.at);
    let response = json_response(reply::write(request.format, (&model.signature.outputs, &model.facts.maps), &answer.outputs)?);
    Ok(response)
}
