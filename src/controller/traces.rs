//! A span for each reconcile and one for each of its steps, where the environment names a collector.

use kube::runtime::reflector::ObjectRef;
use modelyard_telemetry::traces;
use opentelemetry::trace::{Span as _, SpanContext, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use super::kept::Kept;

/// The service that the spans are of.
const SERVICE: &str = "modelyard-controller";

/// Makes spans and sends them; or does nothing.
#[derive(Clone, Default)]
pub(super) struct Traces(Option<(SdkTracerProvider, SdkTracer)>);

/// A reconcile that goes on.
pub(super) struct Reconciling {
    span: Option<(SdkTracer, Span)>,
}

/// A step of it that goes on; it ends when it is dropped.
pub(super) struct Step {
    _span: Option<Span>,
}

impl Traces {
    /// Sends spans if the environment names a collector.
    ///
    /// # Errors
    /// When the environment's settings are wrong.
    pub(super) fn from_environment() -> Result<Self, String> {
        let provider = traces::from_environment(SERVICE)?;
        Ok(Self(provider.map(|provider| {
            let tracer = provider.tracer(SERVICE);
            (provider, tracer)
        })))
    }

    /// A reconcile begins.
    pub(super) fn begin(&self, object: &ObjectRef<Kept>) -> Reconciling {
        let span = self.0.as_ref().map(|(_, tracer)| {
            let attributes = vec![
                KeyValue::new("k8s.namespace.name", object.namespace.clone().unwrap_or_default()),
                KeyValue::new("modelyard.deployment", object.name.clone()),
            ];
            let builder = tracer.span_builder("reconcile").with_attributes(attributes);
            (tracer.clone(), tracer.build_with_context(builder, &Context::new()))
        });
        Reconciling { span }
    }

    /// Sends what is left.
    pub(super) async fn finish(self) {
        let Some((provider, _)) = self.0 else { return };
        // It blocks until the collector has answered.
        match tokio::task::spawn_blocking(move || provider.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not sent"),
            Err(error) => tracing::warn!(%error, "the last spans were not sent"),
        }
    }
}

impl Reconciling {
    /// One of its steps begins.
    pub(super) fn step(&self, name: &'static str) -> Step {
        let span = self.span.as_ref().map(|(tracer, span)| child(tracer, span.span_context(), name));
        Step { _span: span }
    }

    /// It ended, with this reason.
    pub(super) fn end(self, well: bool, reason: &'static str) {
        let Some((_, mut span)) = self.span else { return };
        span.set_attribute(KeyValue::new("modelyard.reason", reason));
        if !well {
            span.set_status(Status::error(reason));
        }
        span.end();
    }
}

fn child(tracer: &SdkTracer, parent: &SpanContext, name: &'static str) -> Span {
    let context = Context::new().with_remote_span_context(parent.clone());
    tracer.build_with_context(tracer.span_builder(name), &context)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SpanData, SpanExporter};
    use parking_lot::Mutex;

    use super::*;

    /// Keeps what would be sent.
    #[derive(Clone, Debug, Default)]
    struct Sent(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Sent {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().extend(batch);
            Ok(())
        }
    }

    #[test]
    fn steps_are_children_of_their_reconcile() {
        let sent = Sent::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(sent.clone()).build();
        let tracer = provider.tracer(SERVICE);
        let traces = Traces(Some((provider, tracer)));
        let reconciling = traces.begin(&ObjectRef::new("m").within("n"));
        drop(reconciling.step("observe"));
        drop(reconciling.step("apply"));
        reconciling.end(false, "QuotaExceeded");
        let spans = sent.0.lock();
        let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(names, ["observe", "apply", "reconcile"]);
        let whole = spans[2].span_context.span_id();
        assert!(spans[..2].iter().all(|span| span.parent_span_id == whole));
        assert_eq!(spans[2].status, Status::error("QuotaExceeded"));
    }

    #[test]
    fn without_a_collector_nothing_is_made() {
        let reconciling = Traces::default().begin(&ObjectRef::new("m").within("n"));
        assert!(reconciling.step("observe")._span.is_none());
        reconciling.end(true, "Serving");
    }
}
