//! `modelyard bench`: how much a served model carries, and how fast it answers meanwhile.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use super::number::whole;
use super::served::{Served, parse_seconds, runtime};
use super::stdout::Output;
use crate::client::{Connection, Session};
use crate::inputs::{self, Bound, Fill, Named, Reading};

mod histogram;
mod load;
mod print;
mod probe;
mod tally;

use load::{Load, Shared};

/// Measure how much a served model carries, and how fast it answers
///
/// A closed loop (default) keeps --concurrency requests in flight and finds the most that is carried. An open loop (--rate) sends at
/// a rate, as independent users do, and counts each latency from when the request was due. Percentiles are within 0.2 % of the
/// exact ones.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    served: Served,

    /// The request's data: .json, .npy, .npz, .csv, .png, .jpg [default: random values]
    #[arg(long, short, value_name = "FILE", help_heading = "Request")]
    input: Option<PathBuf>,

    /// Rows of a request, of random values
    #[arg(long, value_name = "ROWS", default_value = "1", help_heading = "Request", conflicts_with = "input", value_parser = whole(1..=u32::MAX), allow_negative_numbers = true)]
    batch: u32,

    /// The shape of an input with free dimensions, rows first: NAME=1,3,224,224
    #[arg(long, value_name = "NAME=DIMS", value_parser = super::predict::parse_shape, help_heading = "Request", conflicts_with_all = ["input", "batch"])]
    shape: Vec<(String, Vec<usize>)>,

    /// Requests in flight at most, each on a connection of its own
    #[arg(long, short, value_name = "N", default_value = "8", help_heading = "Load", value_parser = whole(1..=10_000_u32), allow_negative_numbers = true)]
    concurrency: u32,

    /// Requests a second, whatever the answers do (an open loop)
    #[arg(long, value_name = "PER_SECOND", help_heading = "Load", value_parser = parse_rate, allow_negative_numbers = true)]
    rate: Option<f64>,

    /// Seconds to measure [default: 10, unless --requests]
    #[arg(long, short, value_name = "SECONDS", help_heading = "Load", value_parser = parse_seconds, allow_negative_numbers = true)]
    duration: Option<Duration>,

    /// Requests to measure
    #[arg(long, short = 'n', value_name = "N", help_heading = "Load", value_parser = whole(1..=u64::MAX), allow_negative_numbers = true)]
    requests: Option<u64>,

    /// Seconds at the start that do not count
    #[arg(long, value_name = "SECONDS", default_value = "1", help_heading = "Load", value_parser = parse_warm_up, allow_negative_numbers = true)]
    warm_up: Duration,

    /// Go on until stopped (Ctrl-C, SIGTERM), saying failures as they happen; exit 1 if there were any
    #[arg(long, help_heading = "Load", conflicts_with_all = ["duration", "requests"])]
    until_stopped: bool,

    /// How the figures are printed
    #[arg(long, short, value_enum, default_value = "table", help_heading = "Output")]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  modelyard bench mnist
  modelyard bench mnist --protocol grpc --concurrency 32 --duration 30
  modelyard bench mnist --rate 500 --duration 60 -o json
  modelyard bench resnet --input cat.jpg --requests 1000
  modelyard bench mnist --rate 50 --until-stopped     # beside a rollout

Exit codes: 0 measured (failures are counted, not fatal); 1 nothing was answered, or --until-stopped saw a failure; 2 wrong arguments.";

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("expected more than 0 and at most 1000000 requests a second".to_owned()),
    }
}

fn parse_warm_up(text: &str) -> Result<Duration, String> {
    if text.trim_end_matches('s').parse() == Ok(0.0) { Ok(Duration::ZERO) } else { parse_seconds(text) }
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        super::predict::once(&self.shape)?;
        runtime()?.block_on(self.measure())
    }

    async fn measure(self) -> anyhow::Result<ExitCode> {
        let (served, _way) = self.served.reach().await?;
        let mut session = served.open().await?;
        let inputs = self.inputs(&session)?;
        session.infer(&inputs).await.context("the first request")?;
        let prepared = self.served.protocol.prepare(&self.served.name(), &inputs)?;
        let target = served.target()?;
        let connection = Connection::new(target.clone(), self.served.protocol.version(), self.served.timeout);
        let limited = self.until_stopped || self.requests.is_some();
        let shared = Shared::new(Load {
            target,
            protocol: self.served.protocol,
            timeout: self.served.timeout,
            template: connection.template(&prepared)?,
            concurrency: self.concurrency as usize,
            rate: self.rate,
            warm_up: self.warm_up,
            duration: self.duration.or((!limited).then_some(Duration::from_secs(10))),
            requests: self.requests,
            probe: self.until_stopped.then(probe::Probe::default),
        });
        let watch = tokio::spawn(watch_signals(Arc::clone(&shared)));
        let progress = tokio::spawn(show_progress(Arc::clone(&shared)));
        let outcome = load::run(&shared).await;
        watch.abort();
        progress.abort();
        let failed = outcome.tally.failed();
        let answered = outcome.tally.latencies.count();
        let benchmark = print::Benchmark {
            model: &self.served.model,
            protocol: self.served.protocol.as_str(),
            concurrency: self.concurrency as usize,
            rate: self.rate,
            rows: inputs.first().and_then(|(_, tensor)| tensor.shape().first().copied()).unwrap_or(1),
            bytes: prepared.body.len(),
            outcome,
        };
        match self.output {
            Output::Table => benchmark.table()?,
            Output::Json => benchmark.json()?,
        }
        let good = answered > 0 && !(self.until_stopped && failed > 0);
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn inputs(&self, session: &Session) -> anyhow::Result<Vec<Named>> {
        let specs = &session.metadata().inputs;
        let Bound { inputs, mut notes, outputs } = match &self.input {
            Some(path) => {
                let outputs = Some(session.metadata().outputs.as_slice());
                inputs::read(path, Reading { specs: Some(specs), outputs, ..Reading::default() })?
            }
            None => inputs::synthetic(specs, self.batch as usize, &self.shape, Fill::Random(0))?,
        };
        if !outputs.is_empty() {
            notes.push("left out: the file's 'outputs'; the request asks for all".to_owned());
        }
        notes.iter().for_each(|note| crate::cli::say(format_args!("{note}")));
        Ok(inputs)
    }
}

/// Ends the load at the first signal; what was measured is still printed. A second one ends the process.
async fn watch_signals(shared: Arc<Shared>) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    shared.stop.store(true, Ordering::Relaxed);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    std::process::exit(130);
}

/// A line on a terminal's stderr while the load runs.
async fn show_progress(shared: Arc<Shared>) {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let mut before = 0;
    loop {
        tick.tick().await;
        let (answered, elapsed) = (shared.answered.load(Ordering::Relaxed), shared.elapsed().as_secs_f64());
        let state = if elapsed > 0.0 { format!("{elapsed:.1} s") } else { "warming up".to_owned() };
        bar.set_message(format!("{state}, {answered} requests, {} per second", (answered - before) * 4));
        before = answered;
    }
}
