//! What a child is asked, what it answers, and what its end means where it does not.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use modelyard_core::api::{EngineName, Format};
use serde::{Deserialize, Serialize};

use crate::engine::LoadError;
use crate::engine::choice::{Choice, Wanted};
use crate::engine::selfcheck::Outcome;

/// Characters of what it wrote to standard error that an error repeats.
const SHOWN: usize = 300;

/// What Rust's and C++'s runtimes and the engines write for want of memory.
const OUT_OF_MEMORY: [&str; 4] = ["memory allocation of ", "bad_alloc", "failed to allocate", "Failed to allocate"];

/// What a model may take while it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Allowance {
    /// Seconds of processor time.
    pub(super) seconds: u64,
    /// Bytes of memory, the program's own and what earlier models have left among them.
    pub(super) bytes: u64,
}

/// What a child is asked: one line of JSON for each model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// The model's file: a path's bytes, which need not be text.
    file: Vec<u8>,
    /// What is to compute it.
    engine: EngineName,
    /// What the file is, where its first bytes are not to tell.
    format: Option<Format>,
    /// Threads that will run it.
    threads: usize,
    /// Whether answers are compared.
    self_check: bool,
    /// What it may take.
    pub(super) allowance: Allowance,
}

impl Order {
    pub(super) fn new((path, wanted): (&Path, &Wanted), allowance: Allowance) -> Self {
        Self {
            file: path.as_os_str().as_bytes().to_vec(),
            engine: wanted.name,
            format: wanted.format,
            threads: wanted.threads,
            self_check: wanted.self_check,
            allowance,
        }
    }

    /// The model's file, and what is wanted of its engine.
    pub(super) fn model(&self) -> (PathBuf, Wanted) {
        let wanted =
            Wanted { name: self.engine, format: self.format, threads: self.threads, self_check: self.self_check, choice: None };
        (OsString::from_vec(self.file.clone()).into(), wanted)
    }
}

/// What the child answers: one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Verdict {
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

/// What a child says of a model. `None` where the file could not be read.
///
/// # Errors
/// See [`TrialError`].
pub(super) fn judge(verdict: Verdict, allowance: Allowance) -> Result<Option<Tried>, TrialError> {
    match verdict {
        Verdict::Runs(tried) => Ok(Some(tried)),
        Verdict::Unread => Ok(None),
        Verdict::Unsupported(reason) | Verdict::Invalid(reason) if is_starved(&reason) => {
            Err(TrialError::Memory { mebibytes: allowance.bytes >> 20, how: format!("says: {reason}") })
        }
        Verdict::Unsupported(reason) => Err(TrialError::Refused(LoadError::Unsupported(reason))),
        Verdict::Invalid(reason) => Err(TrialError::Refused(LoadError::Invalid(reason))),
    }
}

/// Why a child ended without a verdict, from its last words and its end.
pub(super) fn blame(complained: &[u8], status: ExitStatus, allowance: Allowance) -> TrialError {
    let complaint = String::from_utf8_lossy(complained);
    let complaint = complaint.trim();
    let from = complaint.char_indices().rev().nth(SHOWN - 1).map_or(0, |(at, _)| at);
    let wrote = if complaint.is_empty() { String::new() } else { format!(": {}", &complaint[from..]) };
    let Some(number) = status.signal() else {
        return TrialError::Silent { code: status.code().unwrap_or(-1), hint: wrote };
    };
    // Nobody but the kernel ends it so, and that where memory runs out.
    if number == 9 || is_starved(complaint) {
        let how = format!("was ended by {} (signal {number}){wrote}", name_of(number));
        return TrialError::Memory { mebibytes: allowance.bytes >> 20, how };
    }
    let hint = match number {
        24 => format!(": it had used {} s of processor time, a quarter of what --load-timeout allows", allowance.seconds),
        _ => wrote,
    };
    TrialError::Killed { signal: format!("{} (signal {number})", name_of(number)), hint }
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
    use super::*;

    const ALLOWANCE: Allowance = Allowance { seconds: 3, bytes: 512 << 20 };

    #[test]
    fn an_order_arrives_as_it_was_given() {
        let wanted =
            Wanted { name: EngineName::Tract, format: Some(Format::XgBoost), threads: 3, self_check: false, choice: None };
        let path = PathBuf::from(OsString::from_vec(b"/x \n\xff/\"m\".onnx".to_vec()));
        let line = serde_json::to_string(&Order::new((&path, &wanted), ALLOWANCE)).unwrap();
        assert!(!line.contains('\n'));
        let order: Order = serde_json::from_str(&line).unwrap();
        let (found, asked) = order.model();
        assert_eq!((found, order.allowance), (path, ALLOWANCE));
        assert_eq!((asked.name, asked.format, asked.threads, asked.self_check), (wanted.name, wanted.format, 3, false));
    }

    #[test]
    fn each_verdict_is_told_in_words() {
        let choice = Choice { engine: EngineName::OnnxRuntime, reason: "measured: 9 ms and 3 ms".to_owned() };
        let tried = Tried { choice, checked: vec![Outcome::NoVerdict("no zeros".to_owned())], memory: Some(7) };
        assert_eq!(judge(Verdict::Runs(tried.clone()), ALLOWANCE).unwrap(), Some(tried));
        assert_eq!(judge(Verdict::Unread, ALLOWANCE).unwrap(), None);
        for (verdict, parts) in [
            (
                Verdict::Unsupported("failed to allocate 9".to_owned()),
                ["more memory than the 512 MiB", "says: failed to allocate 9"],
            ),
            (Verdict::Invalid("no graph".to_owned()), ["invalid model", "no graph"]),
            (Verdict::Unsupported("Loop".to_owned()), ["unsupported model", "Loop"]),
        ] {
            let message = judge(verdict, ALLOWANCE).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }

    #[test]
    fn each_end_is_told_in_words() {
        // A wait status holds the signal in its low bits, the code above them.
        for (complained, status, parts) in [
            ("", 11, ["SIGSEGV (signal 11)", "server is unharmed"]),
            ("", 9, ["SIGKILL (signal 9)", "more memory than the 512 MiB"]),
            ("memory allocation of 9 bytes failed", 6, ["more memory than the 512 MiB", "allocation of 9 bytes failed"]),
            ("terminate called after throwing an instance of 'std::bad_alloc'", 6, ["SIGABRT", "resources.limits.memory"]),
            ("assertion failed", 6, ["SIGABRT (signal 6): assertion failed", "make the file anew"]),
            ("", 24, ["SIGXCPU (signal 24)", "3 s of processor time"]),
            ("odd", 1 << 8, ["code 1 and no verdict", "odd"]),
        ] {
            let message = blame(complained.as_bytes(), ExitStatus::from_raw(status), ALLOWANCE).to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
