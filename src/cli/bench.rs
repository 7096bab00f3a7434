//! `modelyard bench`.

use std::process::ExitCode;

/// Measure a served model under load: latency percentiles and throughput
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
