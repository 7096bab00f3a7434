//! Spans that were not sent are spoken of, and seldom: a collector that is away must not fill the log.

use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use parking_lot::Mutex;

use crate::collector::Failed;

/// How often lost spans are spoken of at most.
const EACH: Duration = Duration::from_secs(60);

/// Sends spans, and warns of those that were lost.
#[derive(Debug)]
pub(crate) struct Watched<E> {
    exporter: E,
    failed: Failed,
    lost: Mutex<Lost>,
}

/// What was lost since it was last spoken of.
#[derive(Debug, Default)]
struct Lost {
    spans: usize,
    said: Option<Instant>,
}

impl Lost {
    /// So many more are lost: how many to speak of now, if it is time.
    fn add(&mut self, spans: usize, now: Instant) -> Option<usize> {
        self.spans += spans;
        if self.said.is_some_and(|said| now.duration_since(said) < EACH) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.spans))
    }
}

impl<E> Watched<E> {
    /// `failed` is where the way to the collector leaves its reasons.
    pub(crate) fn new(exporter: E, failed: Failed) -> Self {
        Self { exporter, failed, lost: Mutex::default() }
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let outcome = self.exporter.export(batch).await;
        if let Err(error) = &outcome
            && let Some(spans) = self.lost.lock().add(count, Instant::now())
        {
            let cause = self.failed.lock().clone();
            tracing::warn!(spans, %error, cause, "spans were lost: the collector does not take them; the next warning is a minute away");
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let spans = std::mem::take(&mut self.lost.lock().spans);
        if spans > 0 {
            tracing::warn!(spans, "spans were lost: the collector did not take them");
        }
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_spans_are_spoken_of_once_and_then_each_minute_with_their_count() {
        let (mut lost, start) = (Lost::default(), Instant::now());
        let found: Vec<_> =
            [0, 1, 59, 60, 61, 200].map(|seconds| lost.add(10, start + Duration::from_secs(seconds))).into_iter().collect();
        assert_eq!(found, [Some(10), None, None, Some(30), None, Some(20)]);
    }
}
