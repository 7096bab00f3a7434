//! From a file to a model that is known to be sound.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use crate::check::{Unsound, check};
use crate::external;
use crate::proto::ModelProto;

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

fn decode(path: &Path) -> Result<ModelProto, ReadError> {
    let content = std::fs::read(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    let decoded = ModelProto::decode(Bytes::from(content));
    let model = decoded.map_err(|source| ReadError::Decode { path: path.to_owned(), source })?;
    check(&model)?;
    Ok(model)
}

/// The files that the model in a file keeps tensors in, relative to its folder. None of them is read.
///
/// # Errors
/// See [`ReadError`].
pub fn external_files(path: &Path) -> Result<BTreeSet<PathBuf>, ReadError> {
    let mut files = BTreeSet::new();
    if let Some(graph) = &decode(path)?.graph {
        external::files(graph, &mut files)?;
    }
    // `./a` and `a` are one file.
    let plain = |file: &PathBuf| file.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    Ok(files.iter().map(plain).collect())
}

/// Reads the model in a file; what it keeps in other files beside it comes into it.
///
/// # Errors
/// See [`ReadError`].
pub fn read(path: &Path) -> Result<ModelProto, ReadError> {
    let mut model = decode(path)?;
    if let Some(graph) = &mut model.graph {
        external::load(graph, path.parent().unwrap_or(Path::new("")))?;
    }
    check(&model)?;
    Ok(model)
}
