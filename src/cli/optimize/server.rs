//! A server with one model, for as long as that is measured.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use modelyard_core::api::EngineName;
use serde_json::{Value, json};

use crate::cli::served::runtime;
use crate::client::{ModelName, Protocol, Session, Target, fetch_json};

/// A server that has not answered by then will not.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
/// The name that the models have while they are measured.
pub(super) const NAME: &str = "model";

/// A server with one model; it ends with this.
pub(super) struct Server {
    child: Child,
    target: Target,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Serves `model.onnx` of a folder, in which it also leaves word of itself.
    pub(super) fn start(binary: &Path, folder: &Path, engine: EngineName) -> anyhow::Result<Self> {
        let name = format!("{engine:?}");
        let (ports, last_words) = (folder.join(format!("ports-{name}.json")), folder.join(format!("last-words-{name}.json")));
        let uri = format!("file:{}", folder.join("model.onnx").display());
        // Calibration asks for activations, which may be large.
        let config = json!({
            "models": [{"name": NAME, "uri": uri, "engine": {"name": engine}}],
            "serving": {"requestTimeout": "600s", "maxRequestBytes": 1_u64 << 30},
        });
        let mut command = Command::new(binary);
        command.args(["--host", "127.0.0.1", "--port", "0", "--admin-port", "0", "--die-with-parent", "--log-level", "off"]);
        command.arg("--ports-file").arg(&ports).arg("--termination-log").arg(&last_words).arg("--config").arg(config.to_string());
        // It ends when this end of its standard input goes, even if this program is killed.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot run {}", binary.display()))?;
        let mut server = Self { child, target: "http://127.0.0.1:1".parse()? };
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

    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// A connection to the model.
    pub(super) async fn open(&self) -> anyhow::Result<Session> {
        let model = ModelName { name: NAME.to_owned(), version: None };
        Ok(Session::open(&self.target, Protocol::Binary, &model, PATIENCE).await?)
    }

    /// Runs of the engine so far, and the nanoseconds that they took.
    pub(super) fn runs(&self) -> anyhow::Result<(u64, u64)> {
        let statistics = runtime()?.block_on(self.ask(format!("/v2/models/{NAME}/stats")))?;
        let compute = &statistics["model_stats"][0]["inference_stats"]["compute_infer"];
        Ok((compute["count"].as_u64().unwrap_or(0), compute["ns"].as_u64().unwrap_or(0)))
    }
}
