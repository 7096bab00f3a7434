//! What is said of each request after it was answered: metrics, the access log, a span.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::protocol::{Inbound, Reply, Seen, Service, handle};
use crate::telemetry::traces::Traces;

/// The target of access log lines: `--log-level info,access=debug` shows them.
const ACCESS: &str = "access";

/// Answers a request, and says what became of it.
pub async fn observed(service: &Arc<Service>, traces: Option<&Traces>, request: Request<Incoming>) -> Response<Reply> {
    let mut seen = Seen::now();
    let logged = tracing::enabled!(target: ACCESS, tracing::Level::DEBUG);
    let line = logged.then(|| (request.method().clone(), request.uri().path().to_owned(), request.version()));
    let span = traces.map(|traces| traces.begin(request.method(), request.uri().path(), request.headers()));
    let (head, body) = request.into_parts();
    let (body, _charge) = if is_stream(head.uri.path()) {
        (Inbound::endless(body), None)
    } else {
        Inbound::bounded(body, seen.received + service.request_timeout, &service.bodies)
    };
    let mut response = handle(service, (&head, body), &mut seen).await;
    let took = seen.answered();
    if let Some(span) = span {
        span.end(&seen, &mut response);
    }
    if let Some((method, path, version)) = line {
        let model = seen.model.as_ref().map_or("", |model| model.name.as_str());
        tracing::debug!(
            target: ACCESS, %method, path, ?version, protocol = seen.protocol.as_str(), model,
            code = seen.code.as_str(), status = response.status().as_u16(), seconds = took.as_secs_f64(), "request"
        );
    }
    response
}

/// Whether a call's messages come one by one for as long as the client likes.
fn is_stream(path: &str) -> bool {
    path.ends_with("/ModelStreamInfer") || path.ends_with("/ServerReflectionInfo")
}
