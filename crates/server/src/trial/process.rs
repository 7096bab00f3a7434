//! The server's side of one child: started, asked for one model after another, ended.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::verdict::{Order, TrialError, Verdict, blame};
use crate::engine::onnxruntime::{NO_TELEMETRY, VARIABLE};

/// Bytes of a child's words that are kept, of either kind and for each model: it is not trusted with more.
pub(super) const MOST_WORDS: u64 = 64 << 10;

/// Variables that a child inherits; secrets of stores are none of them.
const INHERITED: [&str; 2] = ["PATH", VARIABLE];

/// A child that tries models. It is killed if it is dropped.
pub(super) struct Process {
    child: Child,
    orders: ChildStdin,
    verdicts: BufReader<ChildStdout>,
    complaints: ChildStderr,
    /// Models that it has tried.
    pub(super) tried: u64,
    /// Bytes of memory that those take, which it keeps.
    pub(super) keeps: u64,
}

impl Process {
    /// Starts one.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg("try").env_clear();
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env(NO_TELEMETRY.0, NO_TELEMETRY.1);
        // The allocator would take a gigabyte of address space at once, which the bound counts as if it were used.
        command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        // What is freed is to be gone when the memory that is left is measured.
        command.env("MIMALLOC_PURGE_DELAY", "0");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        tracing::debug!(process = child.id(), "a process is started to try models in");
        let lost = || io::Error::other("a child without its pipes");
        let (orders, verdicts) = (child.stdin.take().ok_or_else(lost)?, child.stdout.take().ok_or_else(lost)?);
        let complaints = child.stderr.take().ok_or_else(lost)?;
        Ok(Self { child, orders, verdicts: BufReader::new(verdicts), complaints, tried: 0, keeps: 0 })
    }

    /// Has it try a model. After an error it is of no use any more.
    ///
    /// # Errors
    /// How it ended, or [`TrialError::NoProcess`] where the system does not say.
    pub(super) async fn ask(&mut self, order: &Order) -> Result<Verdict, TrialError> {
        self.tried += 1;
        let mut complained = Vec::new();
        let line = {
            let spoken = exchange(&mut self.orders, &mut self.verdicts, order);
            // A child whose complaints nobody reads would wait for that.
            let complaining = hear(&mut self.complaints, &mut complained);
            tokio::pin!(spoken, complaining);
            tokio::select! {
                line = &mut spoken => line,
                heard = &mut complaining => match heard {
                    Ok(()) => spoken.await,
                    Err(error) => Err(error),
                },
            }
        };
        let line = line.map_err(TrialError::NoProcess)?;
        if let Ok(verdict) = serde_json::from_slice(&line) {
            return Ok(verdict);
        }
        // It has ended, or says what no child says: then it is to end, by which its last complaints do too.
        let ended = if line.is_empty() { Ok(()) } else { self.child.start_kill() };
        ended.map_err(TrialError::NoProcess)?;
        hear(&mut self.complaints, &mut complained).await.map_err(TrialError::NoProcess)?;
        let status = self.child.wait().await.map_err(TrialError::NoProcess)?;
        Err(blame(&complained, status, order.allowance))
    }

    /// Ends it, and waits until it is gone.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn end(mut self) -> io::Result<()> {
        self.child.kill().await
    }
}

/// Hands the order over and reads a line; an empty one where the child has ended.
async fn exchange(orders: &mut ChildStdin, verdicts: &mut BufReader<ChildStdout>, order: &Order) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    // One that ended before it read this says why by its end.
    match orders.write_all(&line).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    let mut said = Vec::new();
    verdicts.take(MOST_WORDS).read_until(b'\n', &mut said).await?;
    Ok(said)
}

/// Reads to the end; what is too much is not kept.
async fn hear(pipe: &mut (impl AsyncRead + Unpin), words: &mut Vec<u8>) -> io::Result<()> {
    let mut part = [0; 1024];
    loop {
        let length = pipe.read(&mut part).await?;
        if length == 0 {
            return Ok(());
        }
        let room = usize::try_from(MOST_WORDS).unwrap_or(usize::MAX).saturating_sub(words.len());
        words.extend_from_slice(&part[..length.min(room)]);
    }
}
