//! `modelyard validate`.

use std::process::ExitCode;

/// Check YAML files offline: schema, defaults and every rule that the API server would apply
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
