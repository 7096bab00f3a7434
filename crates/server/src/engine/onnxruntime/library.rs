//! The library: found once in a process's life, or not. The server has no part of it; the `-ort` image has it in [`PLACE`].

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::engine::quiet::catch;

/// The variable that names the library.
pub(crate) const VARIABLE: &str = "MODELYARD_ORT_LIB";

/// The variable that keeps ONNX Runtime from writing down what it does and sending it to Microsoft, which since 1.32 it does unasked as
/// soon as its environment is made: no setting of the environment comes before that.
pub(crate) const NO_TELEMETRY: (&str, &str) = ("ORT_DISABLE_TELEMETRY", "1");

/// Where the image has it.
const PLACE: &str = "/usr/local/lib/libonnxruntime.so";

/// Why there is no ONNX Runtime here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Absence {
    /// Nobody named a library, and none is in its place.
    #[error(
        "this server has no ONNX Runtime: on a cluster set engine.name: OnnxRuntime, which takes the image modelyard-server-ort; \
         elsewhere name the library by MODELYARD_ORT_LIB"
    )]
    NotThere,
    /// It is there, and cannot be used.
    #[error("cannot use the ONNX Runtime at {path}: {reason}")]
    Unusable {
        /// The file.
        path: String,
        /// What it or the system said.
        reason: String,
    },
}

static FOUND: LazyLock<Result<Environment, Absence>> = LazyLock::new(|| {
    let path = library().ok_or(Absence::NotThere)?;
    open(&path).map_err(|reason| Absence::Unusable { path: path.display().to_string(), reason })
});

/// What sessions are opened in.
///
/// # Errors
/// See [`Absence`].
pub(super) fn environment() -> Result<&'static Environment, Absence> {
    FOUND.as_ref().map_err(Clone::clone)
}

/// Why there is no ONNX Runtime here; `None` where there is one.
pub fn absence() -> Option<Absence> {
    environment().err()
}

/// Whether there is a library, usable or not; it is not opened.
pub(crate) fn is_at_hand() -> bool {
    library().is_some()
}

/// Starts this program again with telemetry switched off, where there is a library and it is not: a variable of a running process
/// cannot be set without harm. Returns only where there was nothing to do, or with what the system said.
pub fn again_without_telemetry() -> Option<std::io::Error> {
    if library().is_none() || telemetry_is_off() {
        return None;
    }
    let mut words = std::env::args_os();
    let mut again = Command::new("/proc/self/exe");
    again.arg0(words.next().unwrap_or_default()).args(words).env(NO_TELEMETRY.0, NO_TELEMETRY.1);
    Some(again.exec())
}

fn telemetry_is_off() -> bool {
    std::env::var_os(NO_TELEMETRY.0).is_some_and(|value| value == NO_TELEMETRY.1)
}

/// The library's file, if one is named or in its place.
fn library() -> Option<PathBuf> {
    let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from(PLACE)).filter(|path| path.exists()))
}

fn open(path: &Path) -> Result<Environment, String> {
    if !path.exists() {
        return Err("there is no such file".to_owned());
    }
    if !telemetry_is_off() {
        return Err(format!("{}={} is not set, and it would report to its maker", NO_TELEMETRY.0, NO_TELEMETRY.1));
    }
    let opened = catch(|| {
        let builder = ort::init_from(path).map_err(|error| error.to_string())?;
        let logger = |_: LogLevel, category: &str, _: &str, place: &str, message: &str| {
            tracing::debug!(target: "onnxruntime", category, place, "{message}");
        };
        let environment = builder.with_name("modelyard").with_telemetry(false).with_logger(Arc::new(logger)).build();
        let environment = environment.map_err(|error| error.to_string())?;
        // What a run refuses it calls an error, and says it again.
        environment.set_log_level(LogLevel::Warning);
        Ok(environment)
    });
    opened.unwrap_or_else(Err)
}
