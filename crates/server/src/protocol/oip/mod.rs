//! The Open Inference Protocol v2 over HTTP, with the binary tensor, classification, schedule policy (`timeout`), statistics,
//! model configuration and model repository extensions.
//!
//! Where the protocol is silent, what clients of the field rely on decides: health answers with JSON (some clients read it,
//! others only the status), a fault of the client is a 4xx whose message says what was found and what was expected.

use std::sync::Arc;

use http::header::{ALLOW, CONTENT_LENGTH, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response};
use http_body::Body;
use modelyard_wire::json::oip::{BodyError, JSON_LENGTH_HEADER};

use super::front::unknown_path;
use super::{Protocol, Received, Reply, Seen, Service, encoding, error_response, json_response};
use crate::fault::{Code, Fault};
use route::Route;

pub(super) mod classify;
mod config;
mod health;
mod infer;
pub mod metadata;
mod raw;
mod reply;
pub mod repository;
mod route;
pub(super) mod sequence;
pub mod statistics;

/// Says where the JSON of a body ends and binary tensors begin. Made once: of a text, a name is made anew at each use.
static JSON_LENGTH: HeaderName = HeaderName::from_static(JSON_LENGTH_HEADER);

/// Answers a request of this protocol.
///
/// # Errors
/// A fault that the caller turns into the protocol's error body.
pub async fn handle(service: &Arc<Service>, (head, body): Received<'_>, seen: &mut Seen) -> Result<Response<Reply>, Fault> {
    let json_length = head.headers.get(&JSON_LENGTH);
    seen.protocol = if json_length.is_some() { Protocol::OipBinary } else { Protocol::OipJson };
    let path = head.uri.path();
    let Some(route) = Route::parse(path) else { return Err(unknown_path(path)) };
    if !route.allows(&head.method) {
        return Ok(wrong_method(&route, head, seen));
    }
    let response = match route {
        Route::Live => health::live(service),
        Route::Ready => health::ready(service, seen),
        Route::ModelReady(target) => health::model_ready(service, &target, seen)?,
        Route::Server => json(&metadata::server(service)),
        Route::Models => json(&metadata::models(service)),
        Route::ModelMetadata(target) => json(&metadata::model(find(service, &target, seen).await?.as_ref())),
        Route::ModelConfig(target) => json(&config::model(find(service, &target, seen).await?.as_ref())),
        Route::Statistics(None) => json_response(statistics::of_all(service)),
        Route::Statistics(Some(target)) => {
            let entry = service.registry.versioned(&target.name, target.version.as_deref())?;
            json_response(statistics::of_one(&entry)?)
        }
        Route::Infer(target) => {
            let model = find(service, &target, seen).await?;
            infer::infer(service, &model, infer::Incoming { headers: &head.headers, json_length, body }, seen).await?
        }
        Route::Index => Box::pin(repository::answer_index(service, &head.headers, body)).await?,
        Route::Load(name) => Box::pin(repository::answer_load(service, &name, (&head.headers, body))).await?,
        Route::Unload(name) => Box::pin(repository::answer_unload(service, &name, (&head.headers, body))).await?,
    };
    let response = if encoding::wants_gzip(&head.headers) { encoding::gzip(response) } else { response };
    Ok(if head.method == Method::HEAD { without_body(response) } else { response })
}

/// The model of a path, once it answers.
async fn find(service: &Service, target: &route::Target<'_>, seen: &mut Seen) -> Result<Arc<crate::infer::Model>, Fault> {
    let model = service.model(&target.name, target.version.as_deref(), (seen.received, None)).await?;
    seen.model = Some(Arc::clone(&model));
    Ok(model)
}

fn wrong_method(route: &Route<'_>, head: &Parts, seen: &mut Seen) -> Response<Reply> {
    let allow = route.allow();
    let message = format!("{} takes {allow}, found {}", shown(head.uri.path()), shown(head.method.as_str()));
    seen.code = Code::MethodNotAllowed;
    let mut response = error_response(&Fault::new(Code::MethodNotAllowed, message));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// What HEAD answers: the head that GET would have had.
fn without_body(response: Response<Reply>) -> Response<Reply> {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, Reply::Empty)
}

fn json(value: &serde_json::Value) -> Response<Reply> {
    json_response(value.to_string().into_bytes())
}

/// A client's text, short enough for a message.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// What `Inference-Header-Content-Length` says, if it is given.
fn json_length(value: Option<&HeaderValue>) -> Result<Option<usize>, Fault> {
    let Some(value) = value else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.map(Some).ok_or_else(|| {
        let found = String::from_utf8_lossy(value.as_bytes());
        let found = shown(&found);
        Fault::invalid(format!("the header Inference-Header-Content-Length: expected a number of bytes, found '{found}'"))
    })
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        Self::invalid(error.to_string())
    }
}
