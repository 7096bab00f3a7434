//! The trial of a model: before the server takes it in, a child process loads it and runs it once, within bounds on memory and
//! processor time and without a network. What would crash the server, eat its memory or never end does so to the child, and the
//! model's neighbours never notice.
//!
//! The child is this program once more, in a mode that its help does not list ([`child`]). It says in one line what came of it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use crate::engine::LoadError;
use crate::engine::choice::{Choice, Wanted};
use crate::engine::onnxruntime::{NO_TELEMETRY, VARIABLE};
use crate::engine::selfcheck::Outcome;

mod bounds;
mod cage;
mod child;
mod memory;

pub use child::{TryArguments, run};

/// Bytes of a child's words that are read: it is not trusted with more.
const MOST_WORDS: u64 = 64 << 10;

/// Characters of what it wrote to standard error that an error repeats.
const SHOWN: usize = 300;

/// What Rust's and C++'s runtimes and the engines write for want of memory.
const OUT_OF_MEMORY: [&str; 4] = ["memory allocation of ", "bad_alloc", "failed to allocate", "Failed to allocate"];

/// Variables that a child inherits; secrets of stores are none of them.
const INHERITED: [&str; 2] = ["PATH", VARIABLE];

/// What the child says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Verdict {
    /// It was loaded, and run where made-up data can be run.
    Runs(Tried),
    /// See [`LoadError::Unsupported`].
    Unsupported(String),
    /// See [`LoadError::Invalid`].
    Invalid(String),
    /// The file cannot be read: whoever reads it next says why.
    Unread,
}

/// What a child found out, which the server need not find out again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Which engine the model has, and why.
    pub choice: Choice,
    /// What came of the self-check.
    pub checked: Vec<Outcome>,
    /// Bytes of memory that the model took, where the system says it.
    pub memory: Option<u64>,
}

/// How a child ended that should have said something.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// It crashed, or was made to.
    #[error(
        "the process that tried the model first was ended by {signal}{hint}; the server is unharmed. Expected a model that loads \
         and runs: make the file anew, or ask who made it"
    )]
    Killed {
        /// The signal's name and number.
        signal: String,
        /// What that means, and what it wrote.
        hint: String,
    },
    /// It needed more memory than there is.
    #[error(
        "the model needs more memory than the {mebibytes} MiB that are left here: the process that tried it first {how}; the server is \
         unharmed. Raise resources.limits.memory, or serve fewer or smaller models"
    )]
    Memory {
        /// What it could have had, in MiB.
        mebibytes: u64,
        /// How it ended.
        how: String,
    },
    /// It ended by itself without a word.
    #[error("the process that tried the model first ended with code {code} and no verdict{hint}")]
    Silent {
        /// Its exit code.
        code: i32,
        /// What it wrote.
        hint: String,
    },
    /// It was not done in time.
    #[error("not done in time")]
    Slow,
    /// The model will not load.
    #[error(transparent)]
    Refused(LoadError),
    /// There is no child to be had: the system lets none be started.
    #[error("no process can be started to try the model in: {0}")]
    NoProcess(io::Error),
}

/// What tries models.
#[derive(Clone)]
pub struct Trial {
    program: PathBuf,
    /// Children that may run at once.
    places: Arc<Semaphore>,
}

impl Trial {
    /// Trials by this program, as many at once as there are threads.
    pub fn by_this_program(threads: usize) -> Self {
        // Another file may have taken the program's name since: this one is what runs.
        Self { program: "/proc/self/exe".into(), places: Arc::new(Semaphore::new(threads.max(1))) }
    }

    /// Tries the model at `path`. It may take a quarter of `patience` in processor time, since it is loaded a second time if all is
    /// well, and a machine that is busy takes longer. `None` where the file could not be read: whoever reads it next says why.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub async fn of(&self, (path, wanted): (&Path, &Wanted), patience: Duration) -> Result<Option<Tried>, TrialError> {
        let _place = self.places.acquire().await;
        let seconds = (patience.as_secs() / 4).max(1);
        let bytes = memory::left();
        let mut child = self.start((path, wanted), (seconds, bytes)).map_err(TrialError::NoProcess)?;
        let ending = tokio::time::timeout(patience, words_of(&mut child));
        let Ok(ending) = ending.await else {
            // Dropping would end it as well, and leave its last breath to be collected later.
            child.kill().await.map_err(TrialError::NoProcess)?;
            return Err(TrialError::Slow);
        };
        let (said, complained, status) = ending.map_err(TrialError::NoProcess)?;
        judge(&said, &complained, (status, seconds, bytes))
    }

    fn start(&self, (path, wanted): (&Path, &Wanted), (seconds, bytes): (u64, u64)) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.arg("try").arg(path).args(["--engine", child::flag(wanted.name), "--threads", &wanted.threads.to_string()]);
        command.args(wanted.format.iter().flat_map(|format| ["--format", format.as_str()]));
        command.args(wanted.self_check.then_some("--self-check"));
        command.args(["--seconds", &seconds.to_string(), "--bytes", &bytes.to_string()]);
        command.env_clear().envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env(NO_TELEMETRY.0, NO_TELEMETRY.1);
        // The allocator would take a gigabyte of address space at once, which the bound counts as if it were used.
        command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        // What is freed is to be gone when the memory that is left is measured.
        command.env("MIMALLOC_PURGE_DELAY", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()
    }
}

/// What a child says, what it complains of, and how it ends.
async fn words_of(child: &mut Child) -> io::Result<(Vec<u8>, Vec<u8>, ExitStatus)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (said, complained) = tokio::join!(read(stdout), read(stderr));
    Ok((said?, complained?, child.wait().await?))
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut words = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MOST_WORDS).read_to_end(&mut words).await?;
    }
    Ok(words)
}

/// What came of it, from its last words and its end.
fn judge(said: &[u8], complained: &[u8], (status, seconds, bytes): (ExitStatus, u64, u64)) -> Result<Option<Tried>, TrialError> {
    let complaint = String::from_utf8_lossy(complained);
    let complaint = complaint.trim();
    let from = complaint.char_indices().rev().nth(SHOWN - 1).map_or(0, |(at, _)| at);
    let wrote = if complaint.is_empty() { String::new() } else { format!(": {}", &complaint[from..]) };
    if let Some(number) = status.signal() {
        // Nobody but the kernel ends it so, and that where memory runs out.
        if number == 9 || is_starved(complaint) {
            let how = format!("was ended by {} (signal {number}){wrote}", name_of(number));
            return Err(TrialError::Memory { mebibytes: bytes >> 20, how });
        }
        let hint = match number {
            24 => format!(": it had used {seconds} s of processor time, a quarter of what --load-timeout allows"),
            _ => wrote,
        };
        return Err(TrialError::Killed { signal: format!("{} (signal {number})", name_of(number)), hint });
    }
    match serde_json::from_slice(said) {
        Ok(Verdict::Runs(tried)) => Ok(Some(tried)),
        Ok(Verdict::Unread) => Ok(None),
        Ok(Verdict::Unsupported(reason) | Verdict::Invalid(reason)) if is_starved(&reason) => {
            Err(TrialError::Memory { mebibytes: bytes >> 20, how: format!("says: {reason}") })
        }
        Ok(Verdict::Unsupported(reason)) => Err(TrialError::Refused(LoadError::Unsupported(reason))),
        Ok(Verdict::Invalid(reason)) => Err(TrialError::Refused(LoadError::Invalid(reason))),
        Err(_) => Err(TrialError::Silent { code: status.code().unwrap_or(-1), hint: wrote }),
    }
}

fn is_starved(words: &str) -> bool {
    OUT_OF_MEMORY.iter().any(|sign| words.contains(sign))
}

/// The name of a signal that ends processes. Source: signal(7).
fn name_of(number: i32) -> &'static str {
    match number {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => "a signal",
    }
}

#[cfg(test)]
mod tests {
    use modelyard_core::api::EngineName;

    use super::*;

    /// How a child ended that said and wrote this; a wait status holds the signal in its low bits, the code above them.
    fn ending(said: &str, complained: &str, status: i32) -> Result<Option<Tried>, String> {
        let outcome = judge(said.as_bytes(), complained.as_bytes(), (ExitStatus::from_raw(status), 3, 512 << 20));
        outcome.map_err(|error| error.to_string())
    }

    #[test]
    fn each_end_is_told_in_words() {
        let choice = Choice { engine: EngineName::OnnxRuntime, reason: "measured: 9 ms and 3 ms".to_owned() };
        let tried = Tried { choice, checked: vec![Outcome::NoVerdict("no zeros".to_owned())], memory: Some(7) };
        let said = serde_json::to_string(&Verdict::Runs(tried.clone())).unwrap();
        assert_eq!(ending(&said, "", 0), Ok(Some(tried)));
        assert_eq!(ending("\"Unread\"", "", 0), Ok(None));
        for (said, complained, status, parts) in [
            ("", "", 11, ["SIGSEGV (signal 11)", "server is unharmed"]),
            ("\"Unread\"", "", 9, ["SIGKILL (signal 9)", "more memory than the 512 MiB"]),
            ("", "memory allocation of 9 bytes failed", 6, ["more memory than the 512 MiB", "allocation of 9 bytes failed"]),
            ("", "terminate called after throwing an instance of 'std::bad_alloc'", 6, ["SIGABRT", "resources.limits.memory"]),
            ("", "assertion failed", 6, ["SIGABRT (signal 6): assertion failed", "make the file anew"]),
            ("", "", 24, ["SIGXCPU (signal 24)", "3 s of processor time"]),
            ("", "odd", 1 << 8, ["code 1 and no verdict", "odd"]),
            ("{\"Unsupported\":\"failed to allocate 9\"}", "", 0, ["more memory than the 512 MiB", "says: failed to allocate 9"]),
            ("{\"Invalid\":\"no graph\"}", "", 0, ["invalid model", "no graph"]),
            ("{\"Unsupported\":\"Loop\"}", "", 0, ["unsupported model", "Loop"]),
        ] {
            let message = ending(said, complained, status).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
