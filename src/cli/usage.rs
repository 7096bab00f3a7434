//! Wrong arguments that clap cannot tell: they exit 2, as those do that it can.

use std::process::ExitCode;

/// What is wrong with the arguments, and what was expected.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(String);

impl Usage {
    /// Wrong arguments, in these words.
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

/// What a command that failed exits with.
pub(super) fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}
