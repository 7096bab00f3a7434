//! Log lines on standard error, for people or for programs.

use std::io::{IsTerminal, Stderr, stderr};

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{DefaultFields, Format};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why there is no log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A word that is no level. It would be taken for a target whose every line is wanted, and all else would be silent.
    #[error("expected off, error, warn, info or debug, or TARGET=LEVEL, found '{0}'")]
    Word(String),
    /// It looks like levels, and is not.
    #[error("'{levels}': {problem}")]
    Levels {
        /// What was asked for.
        levels: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something else logs already.
    #[error("cannot log: {0}")]
    Taken(String),
}

/// Puts another filter in place.
type Put = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// The levels that are logged, which can be changed.
pub struct Levels {
    now: Mutex<String>,
    put: Put,
}

/// Starts logging at levels that stay.
///
/// # Errors
/// When `levels` are none, or something else logs already.
pub fn start(levels: &str, lines: Lines) -> Result<(), LogError> {
    let logs = fmt().with_env_filter(filter(levels)?);
    let started = match lines {
        Lines::Text => logs.with_ansi(stderr().is_terminal()).try_init(),
        Lines::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| LogError::Taken(error.to_string()))
}

/// Starts logging at levels that can be changed. (Each line then costs a lock, which a server that writes one per request does not
/// want.)
///
/// # Errors
/// When `levels` are none, or something else logs already.
pub fn start_changeable(levels: &str, lines: Lines) -> Result<Levels, LogError> {
    let (logs, filter) = (fmt(), filter(levels)?);
    // The two are of different types, and so are the handles that change their filters.
    let (put, started): (Put, _) = match lines {
        Lines::Text => {
            let logs = logs.with_ansi(stderr().is_terminal()).with_env_filter(filter).with_filter_reloading();
            let handle = logs.reload_handle();
            (Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())), logs.try_init())
        }
        Lines::Json => {
            let logs = logs.json().flatten_event(true).with_env_filter(filter).with_filter_reloading();
            let handle = logs.reload_handle();
            (Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())), logs.try_init())
        }
    };
    started.map_err(|error| LogError::Taken(error.to_string()))?;
    Ok(Levels { now: Mutex::new(levels.to_owned()), put })
}

impl Levels {
    /// Levels that can be changed and change nothing, for who logs elsewhere or not at all.
    #[must_use]
    pub fn fixed(levels: &str) -> Self {
        Self { now: Mutex::new(levels.to_owned()), put: Box::new(|_| Ok(())) }
    }

    /// What is logged.
    #[must_use]
    pub fn get(&self) -> String {
        self.now.lock().clone()
    }

    /// Logs at other levels from now on.
    ///
    /// # Errors
    /// When `levels` are none: then those that were stay.
    pub fn set(&self, levels: &str) -> Result<(), LogError> {
        let filter = filter(levels)?;
        let mut now = self.now.lock();
        (self.put)(filter).map_err(LogError::Taken)?;
        levels.clone_into(&mut now);
        Ok(())
    }
}

/// Lines to standard error. One that cannot be written, on a full disk, is lost: to say so there as well would panic.
fn fmt() -> SubscriberBuilder<DefaultFields, Format, LevelFilter, fn() -> Stderr> {
    tracing_subscriber::fmt().with_writer(stderr as fn() -> Stderr).log_internal_errors(false)
}

fn filter(levels: &str) -> Result<EnvFilter, LogError> {
    // The empty word parses, as `error`. Nothing is compiled in at `trace`, so it would be taken and ignored.
    let wrong = |part: &&str| {
        let level = part.rsplit('=').next().unwrap_or_default().parse::<LevelFilter>();
        part.is_empty() || level.as_ref().is_ok_and(|level| *level == LevelFilter::TRACE) || !part.contains('=') && level.is_err()
    };
    if let Some(part) = levels.split(',').map(str::trim).find(wrong) {
        return Err(LogError::Word(part.to_owned()));
    }
    let problem = |error: tracing_subscriber::filter::ParseError| error.to_string();
    EnvFilter::try_new(levels).map_err(|error| LogError::Levels { levels: levels.to_owned(), problem: problem(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for good in ["info", "WARN", "off", "info,access=debug", "access=debug"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for (bad, part) in [
            ("verbose", "'verbose'"),
            ("info,access", "'access'"),
            ("", "''"),
            ("info,kube=loud", "kube=loud"),
            ("trace", "'trace'"),
            ("info,h2=TRACE", "'h2=TRACE'"),
            ("5", "'5'"),
        ] {
            assert!(filter(bad).unwrap_err().to_string().contains(part), "{bad}");
        }
    }

    #[test]
    fn levels_change_and_a_wrong_one_leaves_them() {
        let levels = Levels::fixed("info");
        levels.set("info,kube=debug").unwrap();
        assert_eq!(levels.get(), "info,kube=debug");
        assert_eq!(levels.set("loud"), Err(LogError::Word("loud".to_owned())));
        assert_eq!(levels.get(), "info,kube=debug");
    }
}
