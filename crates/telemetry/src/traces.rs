//! Spans, sent by OTLP over HTTP when `OTEL_EXPORTER_OTLP_ENDPOINT` (or `..._TRACES_ENDPOINT`) is set. The other `OTEL_*` variables
//! of the specification mean what they mean everywhere.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::collector::{Collector, Failed};
use crate::watched::Watched;

/// The variables that name a collector.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The variables that say how long a batch may take, in milliseconds, and what the specification of OTLP exporters says without them.
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const PATIENCE: Duration = Duration::from_secs(10);

/// What sends the spans of `service`, unless `OTEL_SERVICE_NAME` calls it something else; none if the environment names no collector.
/// Requests run on the calling runtime.
///
/// # Errors
/// When the environment's settings are wrong.
pub fn from_environment(service: &'static str) -> Result<Option<SdkTracerProvider>, String> {
    let named = ENDPOINTS.iter().find_map(|name| Some((name, std::env::var_os(name).filter(|value| !value.is_empty())?)));
    let Some((name, endpoint)) = named else { return Ok(None) };
    check(&endpoint.to_string_lossy()).map_err(|wrong| format!("{name}: {wrong}"))?;
    let limit = TIMEOUTS.iter().find_map(|name| Some((name, std::env::var_os(name).filter(|value| !value.is_empty())?)));
    let patience = match limit {
        Some((name, value)) => milliseconds(&value.to_string_lossy()).map_err(|wrong| format!("{name}: {wrong}"))?,
        None => PATIENCE,
    };
    let failed = Failed::default();
    let exporter = SpanExporter::builder().with_http().with_http_client(Collector::new(patience, Arc::clone(&failed))).build();
    let exporter = exporter.map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(service);
    }
    Ok(Some(
        SdkTracerProvider::builder().with_batch_exporter(Watched::new(exporter, failed)).with_resource(resource.build()).build(),
    ))
}

/// A limit that ends: a collector that never answers would hold all spans after it.
fn milliseconds(text: &str) -> Result<Duration, String> {
    let most = 3_600_000;
    let given = text.trim().parse().ok().filter(|given| (1..=most).contains(given));
    given.map(Duration::from_millis).ok_or_else(|| format!("expected milliseconds from 1 to {most}, found '{text}'"))
}

/// Whether spans can be sent there.
fn check(endpoint: &str) -> Result<(), String> {
    let uri = endpoint.parse::<Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    let why = match uri.as_ref().and_then(Uri::scheme_str) {
        Some("http") => return Ok(()),
        Some("https") => "; TLS to the collector is not supported: send to one within the network that goes on with TLS",
        _ => "",
    };
    // Whoever writes a password into an address does not want it in a log.
    let shown: String = endpoint.rsplit('@').next().unwrap_or_default().chars().take(120).collect();
    Err(format!("expected http://HOST:PORT, found '{shown}'{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_is_of_milliseconds() {
        assert_eq!(milliseconds("250"), Ok(Duration::from_millis(250)));
        for bad in ["0", "10s", "-1", "3600001", "x"] {
            let expected = format!("expected milliseconds from 1 to 3600000, found '{bad}'");
            assert_eq!(milliseconds(bad), Err(expected));
        }
    }

    #[test]
    fn an_endpoint_is_one_that_spans_can_be_sent_to() {
        for good in
            ["http://localhost:4318", "http://collector.tracing:4318/", "http://10.0.0.1:4318/v1/traces", "HTTP://[::1]:4318"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, part) in [
            ("https://a:secret@collector:4318", "found 'collector:4318'; TLS to the collector is not supported"),
            ("collector:4318", "expected http://HOST:PORT, found 'collector:4318'"),
            ("grpc://collector:4317", "found 'grpc://collector:4317'"),
            ("http://", "found 'http://'"),
            ("http://:4318", "found 'http://:4318'"),
            ("/v1/traces", "found '/v1/traces'"),
            ("not an address", "found 'not an address'"),
        ] {
            let wrong = check(bad).unwrap_err();
            assert!(wrong.contains(part) && !wrong.contains("secret"), "{bad}: {wrong}");
        }
    }
}
