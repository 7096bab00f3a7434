//! The admin port: liveness, readiness, metrics. It has a thread of its own, so that a busy data plane does not look dead.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpListener;

use crate::metrics::{Format, expose};
use crate::protocol::{Reply, Service};
use crate::registry::{Change, Entry, Loaded, State};

/// Serves the admin port for as long as the process lives.
pub(super) async fn serve(listener: TcpListener, service: Arc<Service>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an admin connection");
                // Out of file descriptors, for one: spinning would not bring any.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let response = answer(&service, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an admin connection ended badly");
            }
        });
    }
}

fn answer(service: &Service, request: &Request<Incoming>) -> Response<Reply> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET and HEAD\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/livez" | "/healthz" => text(StatusCode::OK, "text/plain", "ok\n".to_owned()),
        "/readyz" => {
            let (status, body) = readiness(service);
            text(status, "application/json", body.to_string())
        }
        "/metrics" => {
            let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
            let format = Format::of(accept);
            text(StatusCode::OK, format.content_type(), expose(service, format))
        }
        path => text(
            StatusCode::NOT_FOUND,
            "text/plain",
            format!("unknown path '{path}'; this port has /livez, /readyz and /metrics\n"),
        ),
    }
}

/// `{state, bytes, totalBytes, models}`: the state of the server, the bytes that have come and that are to come, each model's own.
pub(super) fn readiness(service: &Service) -> (StatusCode, serde_json::Value) {
    let entries = service.registry.entries();
    let models: Vec<_> = entries.iter().map(|entry| model(entry)).collect();
    let (mut bytes, mut total) = (0, 0);
    for entry in &entries {
        if let State::Downloading(progress) = &*entry.state() {
            let (have, all) = progress.read();
            bytes += have;
            total += all;
        }
    }
    let ready = service.is_ready();
    let state = if service.is_draining() { "Draining" } else { overall(&entries, ready) };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!({ "state": state, "bytes": bytes, "totalBytes": total, "models": models });
    if let Some(followed) = service.following() {
        body["config"] = json!({ "sha256": followed.digest, "refused": followed.refused });
    }
    if let Some(budget) = service.loader.room().budget() {
        body["memoryBudget"] = json!({ "bytes": budget, "taken": service.loader.room().taken() });
    }
    (status, body)
}

/// The state furthest from ready, among those on their way; else whether anything answers.
fn overall(entries: &[Arc<Entry>], ready: bool) -> &'static str {
    let states: Vec<_> = entries.iter().filter(|entry| !entry.late).map(|entry| entry.state()).collect();
    for wanted in ["Downloading", "Loading", "Warming"] {
        if states.iter().any(|state| state.as_str() == wanted) {
            return wanted;
        }
    }
    if ready { "Ready" } else { "Failed" }
}

fn model(entry: &Entry) -> serde_json::Value {
    let state = entry.state();
    let mut model = json!({ "name": entry.config.name, "version": entry.config.version, "state": state.as_str() });
    match &*state {
        State::Ready(_) => {
            if let Some(Loaded { digest, pin, phases, memory, .. }) = entry.loaded() {
                let seconds = |took: Duration| took.as_secs_f64();
                model["digest"] = digest.into();
                model["pin"] = json!(pin);
                model["memoryBytes"] = memory.into();
                model["seconds"] = json!({
                    "downloading": seconds(phases.downloading),
                    "loading": seconds(phases.loading),
                    "warming": seconds(phases.warming),
                });
            }
        }
        State::Standby(_) => {
            if let Some(Loaded { digest, pin, memory, .. }) = entry.loaded() {
                model["digest"] = digest.into();
                model["pin"] = json!(pin);
                model["memoryBytes"] = memory.into();
            }
        }
        State::Downloading(progress) => {
            let (bytes, total) = progress.read();
            model["bytes"] = bytes.into();
            model["totalBytes"] = total.into();
        }
        State::Failed(failure) => {
            model["reason"] = failure.reason.into();
            model["message"] = failure.message.clone().into();
        }
        _ => {}
    }
    if entry.late {
        model["late"] = true.into();
    }
    match entry.change() {
        Some(Change::Coming) => model["changing"] = true.into(),
        Some(Change::Refused(failure)) => model["refused"] = json!({ "reason": failure.reason, "message": failure.message }),
        None => {}
    }
    model
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Reply> {
    let mut response = Response::new(Reply::from(body.into_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
