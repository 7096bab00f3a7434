//! How models are: TensorFlow Serving's `model_version_status`, and what KServe's clients read beside it.

use http::Response;
use http::header::{HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

use crate::fault::Code;
use crate::protocol::grpc::error_code;
use crate::protocol::{Reply, Service, json_response};
use crate::registry::{Entry, State};

/// `GET /v1/models`: KServe's list.
pub(super) fn models(service: &Service) -> Response<Reply> {
    let names: Vec<_> = service.registry.entries().iter().map(|entry| entry.config.name.clone()).collect();
    json_response(json!({ "models": names }).to_string().into_bytes())
}

/// `GET /v1/models/{name}`: a model that does not answer is a 503 (404 once it is unloaded), for the probes and for KServe's
/// clients; the body says its state all the same.
pub(super) fn of(entry: &Entry) -> (Response<Reply>, Code) {
    let fault = entry.ready().err().filter(|_| !entry.is_on_standby());
    let mut body = json!({
        "name": entry.config.name,
        "ready": fault.is_none(),
        "model_version_status": [version_status(entry)],
    });
    let Some(fault) = fault else { return (json_response(body.to_string().into_bytes()), Code::Ok) };
    body["error"] = json!(fault.message);
    let mut response = json_response(body.to_string().into_bytes());
    *response.status_mut() = fault.code.http();
    if let Some(seconds) = fault.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    (response, fault.code)
}

fn version_status(entry: &Entry) -> Value {
    let (state, code, message) = match &*entry.state() {
        State::Downloading(_) => ("START", "OK", String::new()),
        State::Loading | State::Warming => ("LOADING", "OK", String::new()),
        State::Ready(_) | State::Standby(_) => ("AVAILABLE", "OK", String::new()),
        State::Unloading => ("UNLOADING", "OK", String::new()),
        State::Unloaded => ("END", "OK", String::new()),
        State::Failed(failure) => {
            ("END", error_code(failure.reason).as_str_name(), format!("{}: {}", failure.reason, failure.message))
        }
    };
    json!({
        "version": entry.config.version.to_string(),
        "state": state,
        "status": { "error_code": code, "error_message": message },
    })
}
