//! From a file to a model that is known to be sound.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use crate::check::{Unsound, check};
use crate::external;
use crate::proto::ModelProto;
use crate::scan::{Scanned, scan};

/// Why a file is no model.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system did not give it.
    #[error("cannot read {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its bytes are no message.
    #[error("{} is no ONNX file: at byte {at}: {what}", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Bytes from its beginning.
        at: u64,
        /// What was found there.
        what: String,
    },
    /// Its bytes are no ONNX message.
    #[error("{} is no ONNX file", .path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        source: prost::DecodeError,
    },
    /// A tensor's content, which lies in another file, cannot be had.
    #[error("tensor '{tensor}': {what}")]
    External {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        what: String,
    },
    /// It was decoded, and is no sound model.
    #[error(transparent)]
    Unsound(#[from] Unsound),
}

/// The message in a file, with the large contents of its initializers left in it: their places name the file by its whole path.
pub(crate) fn decode(path: &Path) -> Result<ModelProto, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    let whole = std::fs::canonicalize(path).map_err(failed)?;
    let content = match scan(&whole).map_err(failed)? {
        Scanned::Message(content) => content,
        Scanned::Broken(at, what) => return Err(ReadError::Broken { path: path.to_owned(), at, what }),
    };
    ModelProto::decode(Bytes::from(content)).map_err(|source| ReadError::Decode { path: path.to_owned(), source })
}

/// The files that the model in a file keeps tensors in, relative to its folder. None of them is read.
///
/// # Errors
/// See [`ReadError`].
pub fn external_files(path: &Path) -> Result<BTreeSet<PathBuf>, ReadError> {
    let mut files = BTreeSet::new();
    let model = decode(path)?;
    check(&model)?;
    if let Some(graph) = &model.graph {
        external::files(graph, &external::Home::of(path), &mut files)?;
    }
    // `./a` and `a` are one file.
    let plain = |file: &PathBuf| file.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    Ok(files.iter().map(plain).collect())
}

/// Reads the model in a file. Large contents of initializers stay in the files that they lie in, which must not change before the model
/// is written; all else comes into it.
///
/// # Errors
/// See [`ReadError`].
pub fn read(path: &Path) -> Result<ModelProto, ReadError> {
    let mut model = decode(path)?;
    check(&model)?;
    if let Some(graph) = &mut model.graph {
        external::load(graph, &external::Home::of(path))?;
    }
    check(&model)?;
    Ok(model)
}
