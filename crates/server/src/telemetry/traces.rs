//! One span per request, where the environment names a collector. Names follow OpenTelemetry's semantic conventions.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response};
use modelyard_telemetry::traces;
use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::protocol::Seen;

/// W3C Trace Context's header.
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The service that the spans are of.
const SERVICE: &str = "modelyard-server";

/// Makes spans and sends them.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The span of a request that is being served.
pub struct RequestSpan {
    span: opentelemetry_sdk::trace::Span,
}

impl Traces {
    /// Starts sending spans if the environment names a collector. Requests run on the calling runtime.
    ///
    /// # Errors
    /// When the environment's settings are wrong.
    pub fn from_environment() -> Result<Option<Self>, String> {
        Ok(traces::from_environment(SERVICE)?.map(|provider| {
            let tracer = provider.tracer(SERVICE);
            Self { provider, tracer }
        }))
    }

    /// Begins the span of a request, as a child of what `traceparent` names.
    pub fn begin(&self, method: &Method, path: &str, headers: &HeaderMap) -> RequestSpan {
        let parent = headers.get(&TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(parse);
        let context = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let attributes =
            vec![KeyValue::new("http.request.method", method.to_string()), KeyValue::new("url.path", path.to_owned())];
        let builder = self.tracer.span_builder(method.to_string()).with_kind(SpanKind::Server).with_attributes(attributes);
        RequestSpan { span: self.tracer.build_with_context(builder, &context) }
    }

    /// Sends what is left. It blocks: call it off the runtime that carries the requests.
    pub fn finish(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

impl RequestSpan {
    /// Ends the span with what became of the request, and names it to the client.
    pub fn end<B>(mut self, seen: &Seen, response: &mut Response<B>) {
        self.span.set_attribute(KeyValue::new("http.response.status_code", i64::from(response.status().as_u16())));
        self.span.set_attribute(KeyValue::new("modelyard.protocol", seen.protocol.as_str()));
        if let Some(model) = &seen.model {
            self.span.update_name(format!("infer {}", model.name));
            self.span.set_attribute(KeyValue::new("modelyard.model", model.name.clone()));
        }
        self.span.set_attribute(KeyValue::new("modelyard.code", seen.code.as_str()));
        if response.status().is_server_error() {
            self.span.set_status(Status::error(seen.code.as_str()));
        }
        if let Ok(value) = HeaderValue::from_str(&format(self.span.span_context())) {
            response.headers_mut().insert(TRACEPARENT.clone(), value);
        }
        self.span.end();
    }
}

/// Reads `version-traceid-spanid-flags` (W3C Trace Context, section 3.2.2); anything else is as if it were not there.
fn parse(text: &str) -> Option<SpanContext> {
    let mut fields = text.split('-');
    let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 || flags.len() != 2 {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let context =
        SpanContext::new(TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

fn format(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_reads_back() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(format(&parse(text).unwrap()), text);
    }

    #[test]
    fn a_malformed_traceparent_is_not_there() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473z-00f067aa0ba902b7-01",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
