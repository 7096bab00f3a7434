//! `modelyard version`.

use std::process::ExitCode;

use serde_json::json;

/// Print the version
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

/// The commit that was built, where the build says so.
const COMMIT: Option<&str> = option_env!("MODELYARD_COMMIT");

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let version = env!("CARGO_PKG_VERSION");
        let commit = COMMIT.filter(|commit| !commit.is_empty());
        let text = match self.output {
            Format::Text => format!("modelyard {version}{}\n", commit.map(|one| format!(" ({one})")).unwrap_or_default()),
            Format::Json => format!("{:#}\n", json!({ "name": "modelyard", "version": version, "commit": commit })),
        };
        super::stdout::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
