//! gRPC on hyper: the calls of the Open Inference Protocol, of TensorFlow Serving, of health and of reflection, by path.
//!
//! A thin layer of our own, since a call is a POST whose body is length-prefixed messages and whose outcome is in the trailers:
//! what a request costs stays in sight. Source: "gRPC over HTTP2", the protocol's own text.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, Response, Version};

use super::{Protocol, Received, Reply, Seen, Service, error_response};
use crate::fault::{Code, Fault};

mod decode;
mod exchange;
mod frame;
mod health;
mod numbers;
mod oip;
mod reflection;
mod status;
mod tfs;

pub(crate) use tfs::{decode_predict, error_code, tfs_predict};

use exchange::Exchange;

/// Whether a request is gRPC's, by its content type.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Answers a gRPC call of any service.
pub async fn handle(service: &Arc<Service>, (head, body): Received<'_>, seen: &mut Seen) -> Response<Reply> {
    if let Err(fault) = carries_grpc(head) {
        seen.code = fault.code;
        return error_response(&fault);
    }
    match answer(service, (head, body), seen).await {
        Ok(response) => response,
        Err(fault) => {
            seen.code = fault.code;
            status::refused(&fault)
        }
    }
}

/// Refuses, in HTTP's words, what is not a gRPC call after all: its client would not find our trailers.
fn carries_grpc(head: &Parts) -> Result<(), Fault> {
    let kind = head.headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let format = kind["application/grpc".len().min(kind.len())..].split(|byte| *byte == b';').next().unwrap_or_default();
    if !matches!(format.trim_ascii(), b"" | b"+proto") {
        let found: String = String::from_utf8_lossy(kind).chars().take(80).collect();
        let message = format!("content type '{found}' is not spoken here; expected application/grpc or application/grpc+proto");
        return Err(Fault::new(Code::UnsupportedMediaType, message));
    }
    if head.version != Version::HTTP_2 {
        let message = format!("gRPC needs HTTP/2, and this request came over {:?}", head.version);
        return Err(Fault::new(Code::UnsupportedMediaType, message));
    }
    if head.method != Method::POST {
        return Err(Fault::new(Code::MethodNotAllowed, format!("a gRPC call is a POST, found {}", head.method)));
    }
    Ok(())
}

/// Picks the service by the path, `/SERVICE/METHOD`.
async fn answer(service: &Arc<Service>, (head, body): Received<'_>, seen: &mut Seen) -> Result<Response<Reply>, Fault> {
    let path = head.uri.path();
    let (name, method) = path.trim_start_matches('/').rsplit_once('/').unwrap_or((path, ""));
    seen.protocol = match name {
        oip::SERVICE => Protocol::OipGrpc,
        tfs::PREDICTION_SERVICE | tfs::MODEL_SERVICE => Protocol::TfsGrpc,
        _ => Protocol::Other,
    };
    let exchange = Exchange::open(service, &head.headers, body, seen)?;
    match name {
        oip::SERVICE => oip::answer(exchange, method).await,
        tfs::PREDICTION_SERVICE => Box::pin(tfs::answer_prediction(exchange, method)).await,
        tfs::MODEL_SERVICE => Box::pin(tfs::answer_model(exchange, method)).await,
        health::SERVICE => Box::pin(health::answer(exchange, method)).await,
        reflection::SERVICE | reflection::SERVICE_ALPHA => reflection::answer(exchange, method),
        _ => Err(Fault::new(
            Code::Unimplemented,
            format!("unknown service '{}'; this server has {}", shown(name), reflection::services().join(", ")),
        )),
    }
}

/// A method that the service does not have.
fn unknown_method(service: &str, method: &str) -> Fault {
    Fault::new(Code::Unimplemented, format!("service {service} has no method '{}'", shown(method)))
}

/// A client's text, cut to what fits into a message.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
