//! Health: JSON with the keys that clients of the field read, and the status that probes read.

use std::sync::Arc;

use http::Response;
use serde_json::json;

use super::json;
use super::route::Target;
use crate::fault::{Code, Fault};
use crate::protocol::{Reply, Seen, Service, error_response};
use crate::registry::State;

/// The process runs.
pub(super) fn live(service: &Service) -> Response<Reply> {
    json(&json!({ "live": true, "ready": service.is_ready() }))
}

/// Requests can be sent here.
pub(super) fn ready(service: &Arc<Service>, seen: &mut Seen) -> Response<Reply> {
    if service.is_ready() {
        return json(&json!({ "live": true, "ready": true }));
    }
    let entries = service.registry.entries();
    let mut waiting: Vec<_> = entries
        .iter()
        .map(|entry| (entry, entry.state()))
        .filter(|(_, state)| !state.is_available() && !matches!(**state, State::Unloading | State::Unloaded))
        .map(|(entry, state)| format!("model '{}' is {}", entry.config.name, state.as_str()))
        .collect();
    if service.is_draining() {
        waiting.push("the server is on its way out".to_owned());
    }
    not_ready(&json!({ "live": true, "ready": false, "error": format!("not ready: {}", waiting.join(", ")) }), seen)
}

/// The model answers.
///
/// # Errors
/// `NOT_FOUND` for an unknown model or version, and for one that was unloaded.
pub(super) fn model_ready(service: &Arc<Service>, target: &Target<'_>, seen: &mut Seen) -> Result<Response<Reply>, Fault> {
    let entry = service.registry.versioned(&target.name, target.version.as_deref())?;
    match entry.ready() {
        Ok(model) => {
            let body = json!({ "name": model.name, "ready": true });
            seen.model = Some(model);
            Ok(json(&body))
        }
        Err(_) if entry.is_on_standby() => Ok(json(&json!({ "name": entry.config.name, "ready": true }))),
        Err(fault) if fault.code == Code::Unavailable => {
            Ok(not_ready(&json!({ "name": entry.config.name, "ready": false, "error": fault.message }), seen))
        }
        Err(fault) => Err(fault),
    }
}

/// 503, which KServe's clients read as not ready and every probe as a failure.
fn not_ready(body: &serde_json::Value, seen: &mut Seen) -> Response<Reply> {
    seen.code = Code::Unavailable;
    let (head, _) = error_response(&Fault::unavailable("not ready")).into_parts();
    Response::from_parts(head, Reply::from(body.to_string().into_bytes()))
}
