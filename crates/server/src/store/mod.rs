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

/// What bounds a fetch.
#[derive(Clone, Debug, Default)]
pub struct Limits {}

/// The cache, and how to reach the sources.
pub struct Store {}

impl Store {
    /// A store over the cache folder `dir`.
    pub fn new(dir: impl Into<PathBuf>, limits: Limits) -> Self {
        let _ = (dir.into(), limits);
        Self {}
    }

    /// Where models are cached by default.
    pub fn default_dir() -> PathBuf {
        PathBuf::new()
    }
}

impl StoreError {
    /// The public name of the class.
    pub fn reason(&self) -> &'static str {
        "StoreUnavailable"
    }
}

/// Fetches.
///
/// # Errors
/// See [`StoreError`].
pub async fn fetch(source: &Source, store: &Store, progress: &Progress) -> Result<Artifact, StoreError> {
    let _ = (store, progress);
    let model = PathBuf::from(source.uri.trim_start_matches("file:"));
    Ok(Artifact { model, digest: String::new(), bytes: 0 })
}
