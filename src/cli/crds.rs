//! `modelyard crds`.

use std::process::ExitCode;

/// Print the CustomResourceDefinitions
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
