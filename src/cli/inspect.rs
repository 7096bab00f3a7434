//! `modelyard inspect`.

use std::process::ExitCode;

/// Show what a model takes, gives and is made of, and what of it will not run
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
