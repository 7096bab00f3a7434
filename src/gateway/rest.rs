//! Requests of the REST protocols.

use std::time::Duration;

use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::json;

use super::body::Inbound;
use super::fault::{Fault, Kind, json as answer};
use super::relay::Errand;
use super::reply::Reply;
use super::route::{Target, target};
use super::{DEFAULT_LIMIT, Gateway, REPLAYABLE_BYTES};

impl Gateway {
    /// Answers one request.
    pub(super) async fn rest(&self, parts: Parts, mut body: Inbound) -> Result<Response<Reply>, Fault> {
        if parts.method == Method::CONNECT {
            return Err(Fault::new(Kind::NotFound, "CONNECT asks for a tunnel, and this is no proxy; GET / lists what there is"));
        }
        match target(&parts.method, parts.uri.path()) {
            Target::Model { name, waits, repeatable } => {
                // Only loads and unloads are not repeated. A replica would refuse them whatever they name.
                if !repeatable && !self.table().models.contains_key(&name) {
                    return Err(no_control());
                }
                let (limit, max) = self.limits(&name);
                // Told before it is sent on: a replica that refuses it half-way would look like one that broke.
                if body.length().is_some_and(|length| length > max) {
                    let message = format!("the request's body is larger than the limit of {max} bytes (serving.maxRequestBytes)");
                    return Err(Fault::new(Kind::TooLarge, message));
                }
                body.limit(max);
                if body.length().is_some_and(|length| length <= REPLAYABLE_BYTES) {
                    read(&mut body, limit).await?;
                }
                let errand = Errand { model: Some(&name), waits, repeatable, bounded: true, http2: false };
                let response = self.relay(&errand, parts, body).await?;
                if !repeatable && response.status() == StatusCode::FORBIDDEN { Err(no_control()) } else { Ok(response) }
            }
            Target::Any => {
                let errand = Errand { model: None, waits: false, repeatable: true, bounded: true, http2: false };
                self.relay(&errand, parts, body).await
            }
            Target::Stats(name) => self.statistics(name.as_deref(), &parts).await,
            Target::Merged(list) => {
                // One in chunks does not tell its length: it is read as far as it may go.
                if body.length().is_none_or(|length| length <= REPLAYABLE_BYTES) {
                    read(&mut body, DEFAULT_LIMIT).await?;
                }
                if body.length().unwrap_or_else(|| body.gathered()) > REPLAYABLE_BYTES {
                    let message = format!("the request's body is larger than the limit of {REPLAYABLE_BYTES} bytes here");
                    return Err(Fault::new(Kind::TooLarge, message));
                }
                self.merged(list, &parts, &body).await
            }
            Target::Live => Ok(health(&parts.method, true, json!({ "live": true, "ready": self.table().is_ready() }))),
            Target::Ready => Ok(match self.table().unready() {
                None => health(&parts.method, true, json!({ "live": true, "ready": true })),
                Some(why) => health(&parts.method, false, json!({ "live": true, "ready": false, "error": why })),
            }),
            Target::Front if !matches!(parts.method, Method::GET | Method::HEAD) => Ok(not_allowed(&parts.method, "GET, HEAD")),
            Target::Front => Ok(self.front(&parts).await),
        }
    }

    /// How long a request for `model` may take, and how many bytes it may have.
    fn limits(&self, model: &str) -> (Duration, u64) {
        // An unknown model is told so later, in the words that belong there.
        self.table().models.get(model).map_or((DEFAULT_LIMIT, u64::MAX), |route| (route.timeout, route.max_request_bytes))
    }
}

/// Why a replica does not let clients load and unload models, in words that are true of whoever started it.
pub(super) fn no_control() -> Fault {
    Fault::new(
        Kind::Forbidden,
        "clients may not load or unload models here: 'modelyard local' serves what its files say; edit those, and it follows \
         (replicas: 0 stops a deployment)",
    )
}

/// Reads all of a short body, as long as it comes within the request's time and there is room to keep it.
async fn read(body: &mut Inbound, within: Duration) -> Result<(), Fault> {
    match tokio::time::timeout(within, body.gather(REPLAYABLE_BYTES)).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Fault::new(Kind::Stalled, format!("the request's body did not come within {within:?}"))),
    }
}

fn health(method: &Method, good: bool, body: serde_json::Value) -> Response<Reply> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return not_allowed(method, "GET, HEAD");
    }
    let mut response = answer(&body);
    if !good {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from(super::RETRY_AFTER.as_secs()));
    }
    response
}

pub(super) fn not_allowed(method: &Method, allow: &'static str) -> Response<Reply> {
    let mut response = answer(&json!({ "error": format!("{method} is not allowed here; expected {allow}") }));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(http::header::ALLOW, http::HeaderValue::from_static(allow));
    response
}
