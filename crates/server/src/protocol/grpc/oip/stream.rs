//! `ModelStreamInfer`: many requests on one stream, answered in their order, several of them computed at a time.
//!
//! Triton's message, not MLServer's: a request that fails is answered with its error, and the stream goes on.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use http::Response;
use modelyard_wire::proto::inference::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};

use super::super::super::{Protocol, Reply, Seen, Service};
use super::super::decode;
use super::super::exchange::{Exchange, Replies};
use super::super::frame::Messages;
use super::infer::infer;
use crate::fault::{Code, Fault};

/// Requests of one stream that are computed at a time; the next is read when one is done.
const IN_FLIGHT: usize = 8;

/// Opens the stream; a task answers on it until either side ends it.
pub(super) fn open(exchange: Exchange<'_>) -> Response<Reply> {
    let service = Arc::clone(exchange.service);
    let (messages, replies, response) = exchange.stream();
    tokio::spawn(async move {
        let outcome = serve(&service, messages, &replies).await;
        replies.end(outcome).await;
    });
    response
}

async fn serve(service: &Service, mut messages: Messages, replies: &Replies) -> Result<(), Fault> {
    let mut running = FuturesOrdered::new();
    // How the stream ends, once the last request is read; those before it are answered first.
    let mut outcome = None;
    loop {
        tokio::select! {
            biased;
            fault = replies.over() => return Err(fault),
            Some(answer) = running.next(), if !running.is_empty() => replies.send(&answer).await?,
            next = messages.next(), if outcome.is_none() && running.len() < IN_FLIGHT => match next {
                Ok(Some(bytes)) => running.push_back(answer(service, bytes, replies)),
                Ok(None) => outcome = Some(Ok(())),
                Err(fault) => outcome = Some(Err(fault)),
            },
        }
        if running.is_empty()
            && let Some(outcome) = outcome.take()
        {
            return outcome;
        }
    }
}

/// One request's answer, or its error with the request's id, by which clients tell requests apart.
async fn answer(service: &Service, bytes: Bytes, replies: &Replies) -> ModelStreamInferResponse {
    let mut seen = Seen { protocol: Protocol::OipGrpc, ..Seen::now() };
    let mut id = String::new();
    let outcome = match decode::message::<ModelInferRequest>(bytes) {
        Ok(request) => {
            id.clone_from(&request.id);
            infer(service, request, replies.left(), &mut seen).await
        }
        Err(fault) => Err(fault),
    };
    // The call as a whole is counted for no model: each of its requests is.
    seen.code = outcome.as_ref().map_or_else(|fault| fault.code, |_| Code::Ok);
    seen.answered();
    match outcome {
        Ok(response) => ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) },
        Err(fault) => ModelStreamInferResponse {
            error_message: fault.message,
            infer_response: Some(ModelInferResponse { id, ..ModelInferResponse::default() }),
        },
    }
}
