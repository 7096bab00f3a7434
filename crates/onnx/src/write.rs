//! From a model to a file, which is there whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use prost::Message;

use crate::proto::ModelProto;

/// The largest message that other readers of protobuf take, in bytes.
const MOST: usize = (1 << 31) - 1;

/// Why a model was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// One file cannot hold it.
    #[error("the model has {0} bytes; one ONNX file holds at most {MOST}")]
    TooLarge(usize),
    /// The system did not take it.
    #[error("cannot write {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Writes the model into one file: beside it first, then in its place.
///
/// # Errors
/// See [`WriteError`].
pub fn write(model: &ModelProto, path: &Path) -> Result<(), WriteError> {
    let length = model.encoded_len();
    if length > MOST {
        return Err(WriteError::TooLarge(length));
    }
    let failed = |source| WriteError::Io { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".modelyard-").tempfile_in(folder).map_err(failed)?;
    file.write_all(&model.encode_to_vec()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    // A temporary file is its owner's alone; a model is read by servers.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(readable).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
