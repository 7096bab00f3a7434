//! What leaves this process besides answers: logs to standard error, spans to an OpenTelemetry collector.

pub mod traces;

use modelyard_telemetry::logs::{self, Lines};

use crate::args::{LogFormat, Settings};

/// Starts logging.
///
/// # Errors
/// Names the flag when the level is none.
pub fn start(settings: &Settings) -> Result<(), String> {
    let lines = match settings.log_format {
        LogFormat::Text => Lines::Text,
        LogFormat::Json => Lines::Json,
    };
    logs::start(&settings.log_level, lines).map_err(|error| format!("--log-level: {error}"))
}
