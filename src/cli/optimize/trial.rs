//! Models served on this machine for as long as they are measured, each by a server of its own, in turns.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::Variant;
use crate::cli::inspect::find_server;
use crate::cli::served::runtime;
use crate::client::{Target, fetch_json};

/// What is measured, and with what.
pub(super) struct Trial<'a> {
    pub(super) data: &'a Path,
    pub(super) labels: Option<&'a str>,
    pub(super) metric: Option<&'a str>,
    pub(super) server: Option<&'a Path>,
    /// The file that the models come from.
    pub(super) source: &'a Path,
}

/// What came of one model.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// The figure's name.
    pub(super) metric: String,
    /// Its value.
    pub(super) figure: f64,
    /// Of a run of the engine, the mean of the best turn.
    pub(super) microseconds: f64,
}

/// Each model is measured so often, in turns with the others, so that what disturbs the machine meets all.
const TURNS: usize = 3;
/// A server that has not answered by then will not.
const PATIENCE: Duration = Duration::from_secs(600);
/// The name that the models have while they are measured.
const NAME: &str = "model";

/// Serves all models at once, and evaluates one after the other, [`TURNS`] times.
pub(super) fn measure(trial: &Trial<'_>, variants: &[Variant]) -> anyhow::Result<Vec<Measured>> {
    let binary = match trial.server {
        Some(binary) => binary.to_owned(),
        None => find_server()?,
    };
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let bar = bar(variants.len() * (TURNS + 1));
    let mut servers = Vec::new();
    for (number, variant) in variants.iter().enumerate() {
        bar.set_message(format!("loading {}", variant.name));
        let own = folder.path().join(number.to_string());
        std::fs::create_dir(&own).with_context(|| format!("cannot make {}", own.display()))?;
        modelyard_onnx::write(&variant.model, &own.join("model.onnx"))?;
        let server = Server::start(&binary, &own).with_context(|| format!("{} after '{}'", trial.source.display(), variant.name));
        servers.push(server?);
        bar.inc(1);
    }
    let mut found: Vec<Option<Measured>> = vec![None; variants.len()];
    for _ in 0..TURNS {
        for ((server, variant), best) in servers.iter_mut().zip(variants).zip(&mut found) {
            bar.set_message(format!("measuring {}", variant.name));
            let now = server.evaluate(trial).with_context(|| format!("'{}' cannot be measured", variant.name))?;
            let shorter = best.as_ref().is_none_or(|best| now.microseconds < best.microseconds);
            if shorter {
                *best = Some(now);
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    found.into_iter().collect::<Option<Vec<_>>>().context("nothing was measured")
}

fn bar(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps as u64).with_style(style)
}

/// A server with one model; it ends with this.
struct Server {
    child: Child,
    target: Target,
    /// Runs of the engine so far, and the nanoseconds that they took.
    before: (u64, u64),
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        let (ports, last_words) = (folder.join("ports.json"), folder.join("last-words.json"));
        let mut model = std::ffi::OsString::from(format!("{NAME}="));
        model.push(folder.join("model.onnx"));
        let mut command = Command::new(binary);
        command.args(["--host", "127.0.0.1", "--port", "0", "--admin-port", "0", "--die-with-parent", "--log-level", "off"]);
        command.arg("--ports-file").arg(&ports).arg("--termination-log").arg(&last_words).arg("--model").arg(model);
        // It ends when this end of its standard input goes, even if this program is killed.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot run {}", binary.display()))?;
        let mut server = Self { child, target: "http://127.0.0.1:1".parse()?, before: (0, 0) };
        runtime()?.block_on(server.await_ready(&ports, &last_words))?;
        Ok(server)
    }

    /// Waits until the model answers; a server that ends says why.
    async fn await_ready(&mut self, ports: &Path, last_words: &Path) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while Instant::now() < end {
            tick.tick().await;
            if let Some(status) = self.child.try_wait()? {
                let said = std::fs::read(last_words).unwrap_or_default();
                let said: Value = serde_json::from_slice(&said).unwrap_or_default();
                bail!("the server ended with {status}: {}", said["message"].as_str().unwrap_or("it did not say why"));
            }
            if let Ok(written) = std::fs::read(ports) {
                let ports: Value = serde_json::from_slice(&written).context("the server's ports are not understood")?;
                self.target = format!("http://127.0.0.1:{}", ports["port"]).parse()?;
                if self.ask(format!("/v2/models/{NAME}")).await.is_ok() {
                    return Ok(());
                }
            }
        }
        bail!("the model was not ready after {} s", PATIENCE.as_secs())
    }

    async fn ask(&self, path: String) -> anyhow::Result<Value> {
        Ok(fetch_json(&self.target, path, Duration::from_secs(10)).await?)
    }

    /// Runs `modelyard evaluate` on the data, and asks the server how long its engine ran meanwhile.
    fn evaluate(&mut self, trial: &Trial<'_>) -> anyhow::Result<Measured> {
        let own = std::env::current_exe().context("where is this binary?")?;
        let mut command = Command::new(own);
        command
            .args(["evaluate", NAME, "--url", &self.target.url(), "-o", "json", "--concurrency", "1", "--data"])
            .arg(trial.data);
        if let Some(labels) = trial.labels {
            command.args(["--labels", labels]);
        }
        let ran = command.stdin(Stdio::null()).output().context("cannot run modelyard evaluate")?;
        if !ran.status.success() {
            bail!("{}", String::from_utf8_lossy(&ran.stderr).trim().trim_start_matches("error: "));
        }
        let evaluation: Value = serde_json::from_slice(&ran.stdout).context("the evaluation is not understood")?;
        let metric = trial.metric.unwrap_or(if evaluation["task"] == "regression" { "r2" } else { "accuracy" });
        let Some(figure) = evaluation["metrics"][metric].as_f64() else {
            let known: Vec<&str> =
                evaluation["metrics"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            bail!("there is no figure '{metric}' here; there are {}", known.join(", "));
        };
        let statistics = runtime()?.block_on(self.ask(format!("/v2/models/{NAME}/stats")))?;
        let compute = &statistics["model_stats"][0]["inference_stats"]["compute_infer"];
        let now = (compute["count"].as_u64().unwrap_or(0), compute["ns"].as_u64().unwrap_or(0));
        let (runs, nanoseconds) = (now.0 - self.before.0, now.1 - self.before.1);
        self.before = now;
        if runs == 0 {
            bail!("the server tells of no run");
        }
        Ok(Measured { metric: metric.to_owned(), figure, microseconds: nanoseconds as f64 / runs as f64 / 1e3 })
    }
}
