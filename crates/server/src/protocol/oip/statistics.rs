//! The statistics extension: what each model did since it was loaded, in a plain struct that REST and gRPC both write.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use modelyard_wire::json::write;

use crate::fault::Fault;
use crate::metrics::Runs;
use crate::protocol::Service;
use crate::registry::{Entry, State};

/// What one model did. Durations are sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelStatistics {
    /// The model.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// When the last request was answered, milliseconds since 1970; 0 before the first.
    pub last_inference: u64,
    /// Rows answered.
    pub inference_count: u64,
    /// Runs of the model; the mean batch is `inference_count / execution_count`.
    pub execution_count: u64,
    /// Requests answered, from admission on.
    pub success: Duration,
    /// Requests refused or failed after they had been decoded.
    pub fail: Duration,
    /// Waiting for a thread.
    pub queue: Duration,
    /// Turning bodies into tensors.
    pub compute_input: Duration,
    /// In the engine.
    pub compute_infer: Duration,
    /// Turning tensors into bodies.
    pub compute_output: Duration,
    /// Runs by their number of rows.
    pub runs: Vec<Runs>,
    /// Bytes of memory that the model takes: as measured when it was loaded, else those of its file; 0 on standby.
    pub memory: u64,
}

/// How often, and how long in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duration {
    /// How often.
    pub count: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

impl From<(u64, u64)> for Duration {
    fn from((count, ns): (u64, u64)) -> Self {
        Self { count, ns }
    }
}

impl ModelStatistics {
    /// What a model did so far.
    ///
    /// # Errors
    /// Those of [`Entry::ready`], but for a model on standby, which did something before.
    pub fn of(entry: &Entry) -> Result<Self, Fault> {
        let (metrics, memory) = match &*entry.state() {
            State::Standby(rest) => (Arc::clone(&rest.metrics), 0),
            _ => {
                let model = entry.ready()?;
                (Arc::clone(&model.metrics), model.memory().unwrap_or(model.facts.bytes))
            }
        };
        let (queue, compute) = (metrics.queue.snapshot(), metrics.compute.snapshot());
        Ok(Self {
            name: entry.config.name.clone(),
            version: entry.config.version,
            last_inference: metrics.last_inference(),
            inference_count: metrics.rows.load(Relaxed),
            execution_count: compute.count,
            success: metrics.success.read().into(),
            fail: metrics.failure.read().into(),
            queue: (queue.count, queue.sum).into(),
            compute_input: metrics.decoding.read().into(),
            compute_infer: (compute.count, compute.sum).into(),
            compute_output: metrics.encoding.read().into(),
            runs: metrics.runs(),
            memory,
        })
    }

    /// Those of every model that is available.
    pub fn of_all(service: &Service) -> Vec<Self> {
        service.registry.entries().iter().filter_map(|entry| Self::of(entry).ok()).collect()
    }

    /// Appends the JSON object. There is no cache of answers, so its counts are zero: the extension's readers expect every key.
    /// Decoding and encoding belong to requests, not to runs: by batch size they are zero too.
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"name\":");
        write::string(out, &self.name);
        out.extend_from_slice(b",\"version\":\"");
        write::integer(out, self.version);
        out.push(b'"');
        for (key, count) in [
            ("last_inference", self.last_inference),
            ("inference_count", self.inference_count),
            ("execution_count", self.execution_count),
        ] {
            out.extend_from_slice(format!(",\"{key}\":{count}").as_bytes());
        }
        let none = Duration::default();
        for (index, (key, duration)) in [
            ("success", self.success),
            ("fail", self.fail),
            ("queue", self.queue),
            ("compute_input", self.compute_input),
            ("compute_infer", self.compute_infer),
            ("compute_output", self.compute_output),
            ("cache_hit", none),
            ("cache_miss", none),
        ]
        .into_iter()
        .enumerate()
        {
            let before = if index == 0 { ",\"inference_stats\":{" } else { "," };
            let Duration { count, ns } = duration;
            out.extend_from_slice(format!("{before}\"{key}\":{{\"count\":{count},\"ns\":{ns}}}").as_bytes());
        }
        out.extend_from_slice(b"},\"response_stats\":{},\"batch_stats\":[");
        for (index, Runs { rows, count, nanoseconds }) in self.runs.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let none = "{\"count\":0,\"ns\":0}";
            let infer = format!("{{\"count\":{count},\"ns\":{nanoseconds}}}");
            let batch = format!(
                "{comma}{{\"batch_size\":{rows},\"compute_input\":{none},\"compute_infer\":{infer},\"compute_output\":{none}}}"
            );
            out.extend_from_slice(batch.as_bytes());
        }
        let memory = format!("],\"memory_usage\":[{{\"type\":\"CPU\",\"id\":0,\"byte_size\":{}}}]}}", self.memory);
        out.extend_from_slice(memory.as_bytes());
    }
}

/// The body for one model.
///
/// # Errors
/// Those of [`ModelStatistics::of`].
pub(super) fn of_one(entry: &Entry) -> Result<Vec<u8>, Fault> {
    Ok(body(std::iter::once(ModelStatistics::of(entry)?)))
}

/// The body for every model that is available.
pub(super) fn of_all(service: &Service) -> Vec<u8> {
    body(ModelStatistics::of_all(service).into_iter())
}

fn body(all: impl Iterator<Item = ModelStatistics>) -> Vec<u8> {
    let mut out = b"{\"model_stats\":[".to_vec();
    for (index, one) in all.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        one.write(&mut out);
    }
    out.extend_from_slice(b"]}");
    out
}
