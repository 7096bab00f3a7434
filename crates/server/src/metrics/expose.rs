//! The text that Prometheus reads: its own format (0.0.4) and OpenMetrics 1.0. One pass over the models, one string.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::{Histogram, ProcessMetrics};
use crate::protocol::{Protocol, Service};
use crate::registry::{Entry, State};

/// The two text formats; they differ in how counters are announced and in the closing line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header asks for.
    pub fn of(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Every metric of the server as text.
pub fn expose(service: &Service, format: Format) -> String {
    let mut page = Page { text: String::with_capacity(16 << 10), format };
    let entries = service.registry.entries();
    let ready: Vec<_> = entries.iter().filter_map(|entry| entry.ready().ok().map(|model| (labels(entry), model))).collect();
    // What a model on standby did does not go with its memory.
    let did: Vec<_> = entries.iter().filter_map(|entry| Some((labels(entry), entry.metrics()?))).collect();

    page.family("modelyard_requests", "counter", "Requests answered, by model, version, protocol and code.");
    for (labels, metrics) in &did {
        for (protocol, code, count) in metrics.requests() {
            let (protocol, code) = (protocol.as_str(), code.as_str());
            page.sample("modelyard_requests_total", &format!("{labels},protocol=\"{protocol}\",code=\"{code}\""), count as f64);
        }
    }
    page.family("modelyard_request_duration_seconds", "histogram", "From a request's head to its answer.");
    for (labels, metrics) in &did {
        for protocol in Protocol::ALL {
            let labels = format!("{labels},protocol=\"{}\"", protocol.as_str());
            page.histogram("modelyard_request_duration_seconds", &labels, metrics.duration(protocol), 1e-9);
        }
    }
    page.family("modelyard_queue_duration_seconds", "histogram", "Time that a request waited for a thread.");
    for (labels, metrics) in &did {
        page.histogram("modelyard_queue_duration_seconds", labels, &metrics.queue, 1e-9);
    }
    page.family("modelyard_compute_duration_seconds", "histogram", "Time of one run of the engine.");
    for (labels, metrics) in &did {
        page.histogram("modelyard_compute_duration_seconds", labels, &metrics.compute, 1e-9);
    }
    page.family("modelyard_batch_rows", "histogram", "Rows in one run of the engine.");
    for (labels, metrics) in &did {
        page.histogram("modelyard_batch_rows", labels, &metrics.batch, 1.0);
    }
    page.family("modelyard_requests_in_flight", "gauge", "Requests that are being worked on.");
    for (labels, model) in &ready {
        page.sample("modelyard_requests_in_flight", labels, model.metrics.in_flight() as f64);
    }
    page.family("modelyard_queue_length", "gauge", "Requests that wait for a thread.");
    for (labels, model) in &ready {
        page.sample("modelyard_queue_length", labels, model.queue_length() as f64);
    }
    page.family("modelyard_model_bytes", "gauge", "Bytes of the model's file and its external data.");
    for (labels, model) in &ready {
        page.sample("modelyard_model_bytes", labels, model.facts.bytes as f64);
    }
    page.family(
        "modelyard_model_info",
        "gauge",
        "1 for each model that answers: the engine that computes it, and the file's platform.",
    );
    for (labels, model) in &ready {
        let labels = format!("{labels},engine=\"{}\",platform=\"{}\"", model.facts.engine, model.facts.platform);
        page.sample("modelyard_model_info", &labels, 1.0);
    }
    states(&mut page, &entries);
    memory(&mut page, service, &entries);
    process(&mut page);
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

fn states(page: &mut Page, entries: &[std::sync::Arc<Entry>]) {
    page.family("modelyard_model_state", "gauge", "1 for the state that a model is in.");
    for entry in entries {
        let state = entry.state();
        let reason = if let State::Failed(failure) = &*state { failure.reason } else { "" };
        let labels = format!("{},state=\"{}\",reason=\"{reason}\"", labels(entry), state.as_str());
        page.sample("modelyard_model_state", &labels, 1.0);
    }
    page.family("modelyard_model_load_duration_seconds", "gauge", "Seconds from the start of a load to ready.");
    for entry in entries {
        if let Some(took) = entry.load_duration() {
            page.sample("modelyard_model_load_duration_seconds", &labels(entry), took.as_secs_f64());
        }
    }
}

fn memory(page: &mut Page, service: &Service, entries: &[std::sync::Arc<Entry>]) {
    page.family(
        "modelyard_model_memory_bytes",
        "gauge",
        "Memory that a loaded model takes, as measured when it was loaded; 0 on standby.",
    );
    for entry in entries {
        let bytes = entry.ready().map_or_else(|_| entry.is_on_standby().then_some(0), |model| model.memory());
        if let Some(bytes) = bytes {
            page.sample("modelyard_model_memory_bytes", &labels(entry), bytes as f64);
        }
    }
    page.family("modelyard_model_loads", "counter", "Loads that ended well.");
    for entry in entries {
        page.sample("modelyard_model_loads_total", &labels(entry), entry.loads.load(Ordering::Relaxed) as f64);
    }
    page.family("modelyard_model_evictions", "counter", "Times that a model left memory to others, and went on standby.");
    for entry in entries {
        page.sample("modelyard_model_evictions_total", &labels(entry), entry.evictions.load(Ordering::Relaxed) as f64);
    }
    page.family("modelyard_requests_waiting_for_load", "gauge", "Requests that wait until their model is loaded.");
    for entry in entries.iter().filter(|entry| entry.demand.waiting() > 0) {
        page.sample("modelyard_requests_waiting_for_load", &labels(entry), entry.demand.waiting() as f64);
    }
    let room = service.loader.room();
    page.family(
        "modelyard_memory_taken_bytes",
        "gauge",
        "Memory that all loaded models take together, those included that requests still hold.",
    );
    page.sample("modelyard_memory_taken_bytes", "", room.taken() as f64);
    if let Some(budget) = room.budget() {
        page.family("modelyard_memory_budget_bytes", "gauge", "Memory that they may take together.");
        page.sample("modelyard_memory_budget_bytes", "", budget as f64);
    }
}

fn process(page: &mut Page) {
    let Some(process) = ProcessMetrics::read() else { return };
    page.family("process_cpu_seconds", "counter", "User and system time of this process.");
    page.sample("process_cpu_seconds_total", "", process.cpu_seconds);
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Resident memory of this process.", process.resident_bytes),
        ("process_open_fds", "Open file descriptors of this process.", process.open_files),
        ("process_threads", "Threads of this process.", process.threads),
    ] {
        page.family(name, "gauge", help);
        page.sample(name, "", value as f64);
    }
}

struct Page {
    text: String,
    format: Format,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // In Prometheus's own format a counter is announced by its sample's name, in OpenMetrics by the family's.
        let suffix = if kind == "counter" && self.format == Format::Prometheus { "_total" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let _ = if labels.is_empty() {
            writeln!(self.text, "{name} {value}")
        } else {
            writeln!(self.text, "{name}{{{labels}}} {value}")
        };
    }

    /// One histogram in the family's unit: `scale` turns a recorded value into it. An empty one is left out.
    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram, scale: f64) {
        let snapshot = histogram.snapshot();
        if snapshot.count == 0 {
            return;
        }
        let bucket = format!("{name}_bucket");
        for (bound, count) in snapshot.buckets {
            // Rounded, since 25 000 x 1e-9 is not 0.000025 in binary.
            let bound = (bound as f64 * scale * 1e9).round() / 1e9;
            self.sample(&bucket, &format!("{labels},le=\"{bound}\""), count as f64);
        }
        self.sample(&bucket, &format!("{labels},le=\"+Inf\""), snapshot.count as f64);
        self.sample(&format!("{name}_sum"), labels, snapshot.sum as f64 * scale);
        self.sample(&format!("{name}_count"), labels, snapshot.count as f64);
    }
}

/// The labels that name a model; quotes, backslashes and line breaks escaped.
fn labels(entry: &Entry) -> String {
    let name = entry.config.name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("model=\"{name}\",version=\"{}\"", entry.config.version)
}
