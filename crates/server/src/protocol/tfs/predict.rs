//! `:predict`: decode, infer, encode.

use std::sync::Arc;

use http::{HeaderMap, Response};

use super::{body, reply};
use crate::fault::Fault;
use crate::infer::{Call, Model};
use crate::protocol::{Inbound, Reply, Seen, Service, json_response, read};

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
pub(super) async fn handle(service: &Service, asked: Asked<'_>, seen: &Seen) -> Result<Response<Reply>, Fault> {
    let bytes = read::whole(asked.inbound, service.max_request_bytes).await?;
    let model = asked.model;
    let request = body::read(&bytes, &model.signature)?;
    let call = Call { inputs: request.inputs, timeout: None, received: seen.received };
    let answer = model.infer(call).await?;
    Ok(json_response(reply::write(request.format, &model.signature.outputs, &answer.outputs)?))
}
