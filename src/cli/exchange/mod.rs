//! `modelyard push` and `modelyard pull`: models between folders and stores. The server's binary does it, which knows the stores; here its
//! progress is shown.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;
use serde_json::Value;

use super::inspect::find_server;

pub mod pull;
pub mod push;

/// Which binary, and where it keeps what it fetches: what both commands take.
#[derive(Debug, clap::Args)]
pub struct Through {
    /// modelyard-server's binary [default: beside this one, else on PATH]
    #[arg(long, value_name = "FILE", env = "MODELYARD_SERVER_BIN")]
    server_bin: Option<PathBuf>,

    /// Where fetched and unpacked models are kept [default: modelyard/models in the user's cache folder]
    #[arg(long, value_name = "DIR", env = "MODELYARD_CACHE_DIR")]
    cache_dir: Option<PathBuf>,
}

/// What the server's binary tells, one on a line.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Told {
    /// Bytes that have come or gone, of all; of all 0 while nobody knows.
    Progress { bytes: u64, total: u64 },
    /// Something that the user should know.
    Note { message: String },
    /// It is done.
    Done { report: Value },
    /// It is not, for this reason.
    Failed { reason: String, message: String },
}

/// The server's binary at work; it ends with this.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the server's binary with these arguments to its end, and returns its report.
fn run(through: &Through, arguments: &[OsString]) -> anyhow::Result<Value> {
    let binary = match &through.server_bin {
        Some(binary) => binary.clone(),
        None => find_server()?,
    };
    let mut command = Command::new(&binary);
    command.args(arguments);
    if let Some(cache) = &through.cache_dir {
        command.arg("--cache-dir").arg(cache);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut worker = Worker(child.with_context(|| format!("cannot run {}", binary.display()))?);
    let lines = worker.0.stdout.take().context("the server's binary has no output")?;
    let bar = bar();
    for line in BufReader::new(lines).lines() {
        let line = line.context("the server's binary cannot be listened to")?;
        let told = serde_json::from_str(&line).with_context(|| format!("{} says '{line}'", binary.display()))?;
        match told {
            Told::Progress { bytes, total } => {
                bar.set_length(total);
                bar.set_position(bytes);
            }
            Told::Note { message } => bar.suspend(|| super::say(format_args!("note: {message}"))),
            Told::Done { report } => {
                bar.finish_and_clear();
                return Ok(report);
            }
            Told::Failed { reason, message } => {
                bar.finish_and_clear();
                bail!("{reason}: {message}");
            }
        }
    }
    bail!("{} ended with {} and did not say why", binary.display(), worker.0.wait()?)
}

/// A bar on a terminal, nothing elsewhere.
fn bar() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::with_draw_target(Some(0), target).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A path as an argument: one that begins with a dash is no flag.
fn argument(path: &Path) -> OsString {
    let is_flag = path.to_string_lossy().starts_with('-');
    if is_flag { Path::new(".").join(path).into_os_string() } else { path.as_os_str().to_owned() }
}
