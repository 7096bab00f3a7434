//! `modelyard rbac`: what the operator may do. `make generate` keeps it in the chart, which makes its roles of it.

use std::process::ExitCode;

/// Print the rights that the operator needs
///
/// The Helm chart grants exactly these. An administrator who makes the roles by hand (rbac.create=false) finds their rules here:
/// `cluster` for a ClusterRole, `namespaces` for a ClusterRole or a Role in each watched namespace, `own` for a Role in the
/// operator's own namespace.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        super::stdout::print(&modelyard_core::rights::yaml())?;
        Ok(ExitCode::SUCCESS)
    }
}
