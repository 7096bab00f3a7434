//! Where models come from: one file per kind of source, over a content-addressed cache that processes share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// A model's artefact on this machine's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The `.onnx` file to load; external data and `sample.json` lie beside it.
    pub model: PathBuf,
    /// SHA-256 of the artefact's bytes (of the `.onnx` file, where the source is a folder), lower-case hexadecimal.
    pub digest: String,
    /// Bytes of the artefact.
    pub bytes: u64,
}

/// How far a fetch has come; read by `/readyz` while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes that have come.
    pub bytes: AtomicU64,
    /// Bytes in all; 0 while unknown.
    pub total: AtomicU64,
}

impl Progress {
    /// `(bytes, total)`.
    pub fn read(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}

/// What to fetch, and the limits of fetching.
#[derive(Clone, Debug)]
pub struct Source {
    /// `file:` or `http(s):`.
    pub uri: String,
    /// The SHA-256 that the artefact must have, lower-case hexadecimal.
    pub sha256: Option<String>,
}

/// Why an artefact did not come. [`StoreError::reason`] is the public name of the class.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing there.
    #[error("model not found: {0}")]
    NotFound(String),
    /// Not allowed to read it.
    #[error("not authorised: {0}")]
    Unauthorized(String),
    /// The bytes are not those that the spec names.
    #[error("checksum mismatch: expected sha256 {expected}, found {found} in {uri}")]
    ChecksumMismatch {
        /// Where from.
        uri: String,
        /// What the spec says.
        expected: String,
        /// What came.
        found: String,
    },
    /// An archive or folder that holds no model, more than one, or what no model holds.
    #[error("invalid artefact: {0}")]
    Invalid(String),
    /// The store does not answer, or not to the end: worth another try later.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// This machine's disk.
    #[error("{what}")]
    Disk {
        /// What was being done, with the path.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}
