//! The outcome of a load in a terminal, or as JSON, and what it says about the size of pods.

use std::fmt::Write as _;

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::load::Outcome;
use crate::cli::stdout;

/// What is printed.
pub(super) struct Benchmark<'a> {
    /// The model.
    pub(super) model: &'a str,
    /// The protocol's name.
    pub(super) protocol: &'static str,
    /// Requests in flight at most.
    pub(super) concurrency: usize,
    /// Requests a second asked for; none in a closed loop.
    pub(super) rate: Option<f64>,
    /// Rows of a request.
    pub(super) rows: usize,
    /// Bytes of a request's body.
    pub(super) bytes: usize,
    /// What came out.
    pub(super) outcome: Outcome,
}

/// The quantiles shown, by name.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];

/// The share of its most that a replica is planned to carry: above it queues grow long, and a pod that dies leaves its load to others.
const PLANNED: f64 = 0.6;

impl Benchmark<'_> {
    fn throughput(&self) -> f64 {
        let Outcome { tally, seconds, .. } = &self.outcome;
        if *seconds > 0.0 { tally.latencies.count() as f64 / seconds } else { 0.0 }
    }

    /// Prints for reading.
    pub(super) fn table(&self) -> anyhow::Result<()> {
        stdout::print(&self.render()).context("cannot write the figures")
    }

    fn render(&self) -> String {
        let Outcome { tally, seconds, unsent, .. } = &self.outcome;
        let how = match self.rate {
            Some(rate) => format!("open loop at {rate} requests/s, at most {} in flight", self.concurrency),
            None => format!("closed loop, {} in flight", self.concurrency),
        };
        let rows = if self.rows == 1 { "1 row".to_owned() } else { format!("{} rows", self.rows) };
        let mut out = format!("{} over {}, {how}; {rows} and {} bytes a request\n\n", self.model, self.protocol, self.bytes);
        let throughput = self.throughput();
        let _ = writeln!(out, "  requests    {:>12}  in {seconds:.2} s", tally.latencies.count() + tally.failed());
        let _ = writeln!(out, "  throughput  {throughput:>12.1}  requests/s");
        if self.rows > 1 {
            let _ = writeln!(out, "              {:>12.1}  rows/s", throughput * self.rows as f64);
        }
        let from = if self.rate.is_some() { "  (from when each request was due)" } else { "" };
        let _ = writeln!(out, "\n  latency     {:>12}{from}", "ms");
        let _ = writeln!(out, "    mean      {:>12.3}", tally.latencies.mean());
        for (name, share) in QUANTILES {
            let _ = writeln!(out, "    {name:<8}  {:>12.3}", tally.latencies.quantile(share));
        }
        let _ = writeln!(out, "    max       {:>12.3}", tally.latencies.greatest());
        if tally.failed() > 0 {
            let _ = writeln!(out, "\n  failures    {:>12}", tally.failed());
            for (class, (count, words)) in &tally.failures {
                let _ = writeln!(out, "    {class:<17} {count:>4}  {words}");
            }
        }
        if *unsent > 0 {
            let _ = writeln!(out, "\n  never sent  {unsent:>12}  due, but no worker was free in time");
        }
        let _ = writeln!(out, "\n{}", self.advice());
        out
    }

    /// What the figures say about the size of pods.
    fn advice(&self) -> String {
        let Outcome { tally, unsent, busy, .. } = &self.outcome;
        let (throughput, p99) = (self.throughput(), tally.latencies.quantile(0.99));
        if let Some(busy) = busy.filter(|busy| *busy > 0.9) {
            let share = busy * 100.0;
            return format!(
                "This client worked {share:.0} % of the time: it may be the limit, not the server. Run several, or from another machine."
            );
        }
        if tally.latencies.count() == 0 {
            return "No request was answered: nothing can be said about the size of pods.".to_owned();
        }
        match self.rate {
            Some(rate) if *unsent > 0 || tally.failed() > 0 || throughput < 0.97 * rate => {
                format!("The server did not keep up with {rate} requests/s: give it more pods or threads, or try a lower --rate.")
            }
            Some(rate) => {
                format!("It keeps up with {rate} requests/s at p99 {p99:.2} ms; raise --rate until p99 leaves what you promise.")
            }
            None if tally.failed() > 0 => {
                "Some requests failed: this is past what the server carries. Lower --concurrency, or give it more pods."
                    .to_owned()
            }
            None => {
                let planned = throughput * PLANNED;
                format!(
                    "Sizing: what answered carries {throughput:.0} requests/s at p99 {p99:.2} ms with {} in flight. Plan {:.0} % of it: one such \
                     replica for each {planned:.0} requests/s, and one to spare.",
                    self.concurrency,
                    PLANNED * 100.0
                )
            }
        }
    }

    /// Prints as JSON.
    pub(super) fn json(&self) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(&self.document())?;
        text.push('\n');
        stdout::print(&text).context("cannot write the figures")
    }

    fn document(&self) -> Value {
        let Outcome { tally, seconds, unsent, busy } = &self.outcome;
        let mut latency = Map::new();
        latency.insert("mean".to_owned(), json!(tally.latencies.mean()));
        for (name, share) in QUANTILES {
            latency.insert(name.to_owned(), json!(tally.latencies.quantile(share)));
        }
        latency.insert("max".to_owned(), json!(tally.latencies.greatest()));
        let failures: Map<String, Value> = tally
            .failures
            .iter()
            .map(|(class, (count, words))| (class.clone(), json!({"count": count, "first": words})))
            .collect();
        json!({
            "model": self.model,
            "protocol": self.protocol,
            "loop": if self.rate.is_some() { "open" } else { "closed" },
            "rate": self.rate,
            "concurrency": self.concurrency,
            "rows_per_request": self.rows,
            "bytes_per_request": self.bytes,
            "seconds": seconds,
            "answered": tally.latencies.count(),
            "failed": tally.failed(),
            "unsent": unsent,
            "requests_per_second": self.throughput(),
            "rows_per_second": self.throughput() * self.rows as f64,
            "latency_ms": latency,
            "failures": failures,
            "client_busy": busy,
            "advice": self.advice(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::bench::tally::Tally;

    fn benchmark(rate: Option<f64>, answered: u64, unsent: u64, busy: f64) -> Benchmark<'static> {
        let mut tally = Tally::new();
        (0..answered).for_each(|_| tally.count(Duration::from_millis(2), &Ok(())));
        let outcome = Outcome { tally, seconds: 1.0, unsent, busy: Some(busy) };
        Benchmark { model: "m", protocol: "binary", concurrency: 8, rate, rows: 1, bytes: 10, outcome }
    }

    #[test]
    fn advice_follows_the_figures() {
        for (benchmark, words) in [
            (benchmark(None, 1000, 0, 0.2), "one such replica for each 600 requests/s"),
            (benchmark(None, 1000, 0, 0.95), "may be the limit"),
            (benchmark(None, 0, 0, 0.1), "nothing can be said"),
            (benchmark(Some(1000.0), 1000, 0, 0.1), "keeps up with 1000 requests/s"),
            (benchmark(Some(1000.0), 900, 0, 0.1), "did not keep up"),
            (benchmark(Some(1000.0), 1000, 3, 0.1), "did not keep up"),
        ] {
            assert!(benchmark.advice().contains(words), "{}", benchmark.advice());
        }
        let document = benchmark(None, 1000, 0, 0.2).document();
        assert_eq!(document["requests_per_second"], 1000.0);
        assert!((document["latency_ms"]["p99"].as_f64().unwrap() - 2.0).abs() < 0.005);
    }
}
