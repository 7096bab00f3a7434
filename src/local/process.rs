//! One server process: started, asked how it fares, stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use super::events::{Ending, Readiness};
use super::screen::Screen;

/// Characters of a server's line that a message repeats.
const MOST_SHOWN: usize = 400;
/// How long the lines of a process that has ended are waited for.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A process that runs, or has run.
pub(super) struct Process {
    child: Child,
    /// Ends with the last line on its standard error.
    errors: Option<JoinHandle<()>>,
    /// The line that says most of what went wrong.
    last_error: LastError,
    /// Its end is the server's sign that we are gone.
    _alive: Option<ChildStdin>,
}

/// `--ports-file`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ports {
    port: u16,
    admin_port: u16,
}

/// `--termination-log`.
#[derive(Deserialize)]
struct LastWords {
    reason: String,
    message: String,
}

impl Process {
    /// Starts it; its log lines go to the screen under `name`.
    pub(super) fn start(mut command: Command, folder: &Path, name: &str, screen: &Screen) -> std::io::Result<Self> {
        for left in ["ports.json", "termination.json"] {
            match std::fs::remove_file(folder.join(left)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // The server writes its last words only where a file waits for them, as the kubelet's does.
        std::fs::write(folder.join("termination.json"), "")?;
        let mut child = command.spawn()?;
        let last_error = LastError::default();
        if let Some(out) = child.stdout.take() {
            tokio::spawn(copy_lines(out, name.to_owned(), screen.clone(), LastError::default()));
        }
        let errors = child.stderr.take().map(|out| copy_lines(out, name.to_owned(), screen.clone(), last_error.clone()));
        let errors = errors.map(tokio::spawn);
        let alive = child.stdin.take();
        Ok(Self { child, errors, last_error, _alive: alive })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Sends a signal, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, signal)
        {
            tracing::warn!(%error, pid = pid.as_raw_nonzero(), "cannot signal a server");
        }
    }

    /// Waits for its end, and says how that came.
    pub(super) async fn ended(&mut self, folder: &Path) -> Ending {
        match self.child.wait().await {
            Ok(status) => {
                // What it wrote last may still be on its way. A process of its own that holds the pipe is not waited for.
                if let Some(errors) = self.errors.take() {
                    let _ = tokio::time::timeout(LAST_LINES, errors).await;
                }
                ending(status, folder, self.last_error.line())
            }
            Err(error) => Ending { message: format!("cannot be waited for: {error}"), ..Ending::default() },
        }
    }
}

fn ending(status: ExitStatus, folder: &Path, last_error: Option<String>) -> Ending {
    use std::os::unix::process::ExitStatusExt;
    let words = std::fs::read(folder.join("termination.json")).ok();
    let words = words.and_then(|json| serde_json::from_slice::<LastWords>(&json).ok());
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("the server exited with code {code}"),
        (None, Some(signal)) => format!("the server was ended by signal {signal}"),
        (None, None) => "the server ended".to_owned(),
    };
    match words {
        Some(words) => Ending { code: status.code(), reason: Some(words.reason), message: words.message, in_a_row: 0 },
        // One that never got so far as to have last words said why on its standard error.
        None => {
            let message = last_error.filter(|_| status.code().is_some_and(|code| code != 0));
            let message = message.map_or_else(|| how.clone(), |line| format!("{how}: {line}"));
            Ending { code: status.code(), reason: None, message, in_a_row: 0 }
        }
    }
}

/// The ports that a server has written, once it has: data and admin.
pub(super) fn ports(folder: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let ports: Ports = serde_json::from_slice(&std::fs::read(folder.join("ports.json")).ok()?).ok()?;
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Some((address(ports.port), address(ports.admin_port)))
}

/// Asks servers how they fare.
#[derive(Clone)]
pub(super) struct Probe(Client<HttpConnector, Empty<Bytes>>);

impl Probe {
    pub(super) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// What `/readyz` says; `None` if there is no sensible answer within a second.
    pub(super) async fn readiness(&self, admin: SocketAddr) -> Option<Readiness> {
        let uri = format!("http://{admin}/readyz").parse().ok()?;
        let asking = async {
            let response = self.0.get(uri).await.ok()?;
            let body = Limited::new(response.into_body(), 1 << 20).collect().await.ok()?.to_bytes();
            serde_json::from_slice(&body).ok()
        };
        tokio::time::timeout(Duration::from_secs(1), asking).await.ok()?
    }
}

/// The last line that names an error, or else the last one; cut where it is long.
#[derive(Clone, Default)]
struct LastError(Arc<Mutex<Option<String>>>);

impl LastError {
    fn hear(&self, line: &str) {
        let mut last = self.0.lock();
        let names_one = |line: &str| line.starts_with("error");
        // After an error clap says where to find help.
        if !line.trim().is_empty() && (names_one(line) || !last.as_deref().is_some_and(names_one)) {
            *last = Some(line.chars().take(MOST_SHOWN).collect());
        }
    }

    fn line(&self) -> Option<String> {
        let line = self.0.lock().clone()?;
        Some(line.strip_prefix("error: ").unwrap_or(&line).trim().to_owned())
    }
}

async fn copy_lines(from: impl AsyncRead + Unpin, name: String, screen: Screen, last: LastError) {
    let mut lines = BufReader::new(from).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        last.hear(line);
        screen.log(&name, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_names_an_error_is_kept_and_cut() {
        let last = |lines: &[&str]| {
            let last = LastError::default();
            lines.iter().for_each(|line| last.hear(line));
            last.line()
        };
        assert_eq!(last(&[]), None);
        assert_eq!(last(&["a", "b", ""]).unwrap(), "b");
        assert_eq!(last(&["a", "error: --port: 1", "", "For more information, try '--help'."]).unwrap(), "--port: 1");
        assert_eq!(last(&["error: one", "error: two"]).unwrap(), "two");
        assert_eq!(last(&[&"x".repeat(9999)]).unwrap().len(), MOST_SHOWN);
    }
}
