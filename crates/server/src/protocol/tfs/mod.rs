//! TensorFlow Serving's REST API and KServe v1, which share their URLs: the answers carry what each one's clients read.
//!
//! Stricter than the original in two places, each with a message: what follows the JSON value of a body is refused (TensorFlow
//! Serving ignores it), and a path that exists answers 405 to another method (there: 400).

use std::sync::Arc;

use http::{Method, Response};

use super::front::{READ, is_read, method_not_allowed, shown, unknown_path, without_body_for_head};
use super::{Protocol, Received, Reply, Seen, Service, encoding};
use crate::fault::{Code, Fault};
use crate::registry::Entry;
use target::{Action, Target, Which};

mod body;
mod metadata;
mod predict;
mod protobuf;
mod reply;
mod status;
mod target;

/// The only signature that a model has.
const SIGNATURE: &str = "serving_default";

/// Answers a request of this protocol.
///
/// # Errors
/// A fault that the caller turns into the protocol's error body.
pub async fn handle(service: &Arc<Service>, (head, body): Received<'_>, seen: &mut Seen) -> Result<Response<Reply>, Fault> {
    let path = head.uri.path();
    if !matches!(path.as_bytes().get(3), None | Some(b'/')) {
        return Err(unknown_path(path));
    }
    seen.protocol = Protocol::TfsRest;
    let response = answer(service, (head, body), seen).await?;
    let response = if encoding::wants_gzip(&head.headers) { encoding::gzip(response) } else { response };
    Ok(without_body_for_head(&head.method, response))
}

async fn answer(service: &Arc<Service>, (parts, inbound): Received<'_>, seen: &mut Seen) -> Result<Response<Reply>, Fault> {
    let (method, path) = (&parts.method, parts.uri.path());
    let target = Target::parse(path).ok_or_else(|| malformed(method, path))?;
    let reads = matches!(target, Target::Models | Target::Model { action: Action::Status | Action::Metadata, .. });
    if reads && !is_read(method) {
        return Ok(method_not_allowed(method, path, READ, seen));
    }
    if !reads && *method != Method::POST {
        return Ok(method_not_allowed(method, path, "POST", seen));
    }
    let Target::Model { name, which, action } = target else {
        return Ok(status::models(service));
    };
    let entry = find(service, &name, &which)?;
    if action == Action::Status {
        let (response, code) = status::of(entry);
        seen.code = code;
        return Ok(response);
    }
    let model = entry.ready()?;
    seen.model = Some(Arc::clone(&model));
    match action {
        Action::Status | Action::Metadata => Ok(metadata::of(&model)),
        Action::Predict => predict::handle(service, predict::Asked { model, headers: &parts.headers, inbound }, seen).await,
        Action::Classify => Err(no_examples(&name, "classify", "classification")),
        Action::Regress => Err(no_examples(&name, "regress", "regression")),
        Action::Explain => Err(Fault::new(
            Code::Unimplemented,
            format!("model '{name}' has no explainer; predictions are at /v1/models/{name}:predict"),
        )),
    }
}

/// The configured model, whatever its state.
fn find<'a>(service: &'a Service, name: &str, which: &Which<'_>) -> Result<&'a Arc<Entry>, Fault> {
    match which {
        Which::Latest => service.registry.entry(name).map_err(|fault| not_servable(&format!("Latest({})", shown(name)), &fault)),
        Which::Version(version) => service
            .registry
            .versioned(name, Some(version))
            .map_err(|fault| not_servable(&format!("Specific({}, {})", shown(name), shown(version)), &fault)),
        Which::Label(label) => {
            service.registry.entry(name).map_err(|fault| not_servable(&format!("Latest({})", shown(name)), &fault))?;
            Err(Fault::invalid(format!("Unrecognized servable version label: {}; versions have numbers here", shown(label))))
        }
    }
}

/// TensorFlow Serving's words, which some clients look for, then ours.
fn not_servable(what: &str, fault: &Fault) -> Fault {
    Fault::new(fault.code, format!("Servable not found for request: {what}: {}", fault.message))
}

fn malformed(method: &Method, path: &str) -> Fault {
    Fault::invalid(format!(
        "Malformed request: {} {}; expected /v1/models, or /v1/models/NAME[/versions/N] alone, or with /metadata or :predict",
        shown(method.as_str()),
        shown(path)
    ))
}

/// `:classify` and `:regress` take tf.Example features, which only a TensorFlow signature can name.
fn no_examples(name: &str, verb: &str, kind: &str) -> Fault {
    Fault::invalid(format!(
        "model '{name}' has no {kind} signature (tf.Example), so :{verb} cannot answer; send tensors to /v1/models/{name}:predict"
    ))
}
