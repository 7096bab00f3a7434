//! What leaves this process besides answers: logs to standard error, spans to an OpenTelemetry collector.

pub mod traces;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::args::{LogFormat, Settings};

/// Starts logging.
///
/// # Errors
/// Names the flag when the level is none.
pub fn start(settings: &Settings) -> Result<(), String> {
    let level = &settings.log_level;
    checked(level)?;
    let filter = EnvFilter::try_new(level).map_err(|error| format!("--log-level: '{level}': {error}"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.log_format {
        LogFormat::Text => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("logging: {error}"))
}

/// A word that is no level would be taken for a target whose every line is wanted, and all else would be silent.
fn checked(levels: &str) -> Result<(), String> {
    // The empty word parses, as `error`.
    let wrong = |part: &&str| part.is_empty() || !part.contains('=') && part.parse::<LevelFilter>().is_err();
    match levels.split(',').map(str::trim).find(wrong) {
        Some(part) => {
            Err(format!("--log-level: expected off, error, warn, info, debug or trace, or TARGET=LEVEL, found '{part}'"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for good in ["info", "WARN", "off", "info,access=debug", "access=debug"] {
            assert_eq!(checked(good), Ok(()), "{good}");
        }
        for (bad, part) in [("verbose", "'verbose'"), ("info,access", "'access'"), ("", "''")] {
            assert!(checked(bad).unwrap_err().contains(part), "{bad}");
        }
    }
}
