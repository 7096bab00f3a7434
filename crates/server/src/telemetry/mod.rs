//! What leaves this process besides answers: logs to standard error, spans to an OpenTelemetry collector.

pub mod traces;

use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, Settings};

/// Starts logging.
///
/// # Errors
/// Names the flag when the level is none.
pub fn start(settings: &Settings) -> Result<(), String> {
    let level = &settings.log_level;
    let filter = EnvFilter::try_new(level).map_err(|error| format!("--log-level: '{level}': {error}"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.log_format {
        LogFormat::Text => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("logging: {error}"))
}
