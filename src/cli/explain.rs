//! `modelyard explain`.

use std::process::ExitCode;

/// Print the documentation of a field, as kubectl explain would
#[derive(Debug, clap::Args)]
pub struct Arguments {}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::bail!("not built yet")
    }
}
