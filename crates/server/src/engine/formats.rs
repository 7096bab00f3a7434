//! Which format a file is in: told by its first bytes, or said by whoever serves it.

use std::path::Path;

use modelyard_core::api::Format;

use super::ensemble::Trees;
use super::{LoadError, catboost, lightgbm, xgboost};
use modelyard_store::{Native, native_of_file};

/// The model of a file in a booster's own format, as its first bytes or `said` have it; `None` for an `.onnx` file.
///
/// # Errors
/// See [`LoadError`].
pub(super) fn booster(path: &Path, said: Option<Format>) -> Result<Option<Trees>, LoadError> {
    let found = match native_of_file(path) {
        Ok(found) => found,
        // A folder: the file's own reading says so in better words.
        Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => return Ok(None),
        Err(source) => return Err(LoadError::Read { path: path.display().to_string(), source }),
    };
    if found == Some(Native::Gzip) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Err(LoadError::Invalid(format!("{name} is compressed with gzip; expected the model file itself, decompressed")));
    }
    match said.or(found.and_then(Native::format)) {
        None | Some(Format::Onnx) => Ok(None),
        Some(Format::XgBoost) => xgboost::load(path).map(Some),
        Some(Format::LightGbm) => lightgbm::load(path).map(Some),
        Some(Format::CatBoost) => catboost::load(path).map(Some),
    }
}

/// The error of a file that could not be read in the format that was said: where its first bytes tell another one, it says so.
pub(super) fn blame(error: LoadError, path: &Path, said: Option<Format>) -> LoadError {
    let (LoadError::Invalid(reason) | LoadError::Unsupported(reason), Some(said)) = (&error, said) else { return error };
    let told = native_of_file(path).ok().flatten().and_then(Native::format);
    let told = match told {
        Some(told) if told == said => return error,
        Some(told) => format!("its first bytes are {}'s", told.as_str()),
        // It is no booster's that is known, and may be this one all the same.
        None if said == Format::Onnx || matches!(error, LoadError::Unsupported(_)) => return error,
        None => "its first bytes are not".to_owned(),
    };
    let said = if said == Format::Onnx { "an .onnx file".to_owned() } else { format!("{}'s", said.as_str()) };
    LoadError::Invalid(format!("format says that it is {said}, and {told}: name another file, or leave format out. {reason}"))
}
