//! One server process: started, asked how it fares, stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::events::{Ending, Readiness};
use super::screen::Screen;

/// A process that runs, or has run.
pub(super) struct Process {
    child: Child,
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
        if let Some(out) = child.stdout.take() {
            tokio::spawn(copy_lines(out, name.to_owned(), screen.clone()));
        }
        if let Some(out) = child.stderr.take() {
            tokio::spawn(copy_lines(out, name.to_owned(), screen.clone()));
        }
        let alive = child.stdin.take();
        Ok(Self { child, _alive: alive })
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
            Ok(status) => ending(status, folder),
            Err(error) => Ending { message: format!("cannot be waited for: {error}"), ..Ending::default() },
        }
    }
}

fn ending(status: ExitStatus, folder: &Path) -> Ending {
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
        None => Ending { code: status.code(), reason: None, message: how, in_a_row: 0 },
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

async fn copy_lines(from: impl AsyncRead + Unpin, name: String, screen: Screen) {
    let mut lines = BufReader::new(from).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        screen.log(&name, String::from_utf8_lossy(&line).trim_end_matches('\r'));
    }
}
