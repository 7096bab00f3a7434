//! Where models come from: one file per kind of source, over a content-addressed cache that processes share.
//!
//! What the spec names by its SHA-256 is either exactly that or no artefact at all; what comes from outside (an archive's names
//! and sizes, a server's lengths and redirects) is believed only within [`Limits`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use modelyard_core::location::Scheme;
use modelyard_core::pins::Pin;

mod archive;
mod cache;
mod content;
mod digest;
mod environment;
mod evict;
mod files;
mod layout;
mod limits;
mod local;
mod lock;
mod native;
mod partial;
mod pinned;
mod remote;

#[cfg(test)]
mod tests;

pub use limits::Limits;
pub use native::{Native, native_of_file};
pub use remote::{About, Pushed, PushedLayer};

/// A model's artefact on this machine's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The model's file; external data and `sample.json` lie beside it.
    pub model: PathBuf,
    /// SHA-256 of the artefact's bytes (of the model's file, where the source is a folder), lower-case hexadecimal.
    pub digest: String,
    /// Bytes of the artefact (of the model's file, where the source is a folder).
    pub bytes: u64,
    /// SHA-256 of all of it: of a folder over the paths and sums of its files; elsewhere it is the digest.
    pub content: String,
    /// What the uri led to, in the words of its store, where it has some: see [`Pin::version`].
    pub version: Option<String>,
}

impl Artifact {
    /// One whose sum is over all of it.
    fn whole(model: PathBuf, digest: &str, bytes: u64) -> Self {
        Self { model, digest: digest.to_owned(), bytes, content: digest.to_owned(), version: None }
    }

    /// What a fetch has to bring from now on to bring the same.
    #[must_use]
    pub fn pin(&self, of: String) -> Pin {
        let content = (self.content != self.digest).then(|| self.content.clone());
        Pin { of, digest: self.digest.clone(), content, version: self.version.clone() }
    }
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

    fn set(&self, bytes: u64, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Source {
    /// One of [`Scheme`]'s.
    pub uri: String,
    /// The SHA-256 that the artefact must have, in hexadecimal.
    pub sha256: Option<String>,
    /// The variable of the environment that holds the `Authorization` header for an `http(s):` store, where one is needed.
    pub authorization_env: Option<String>,
    /// What the names of the variables begin with that hold the credentials of any other store.
    pub credentials_env: Option<String>,
    /// What the uri led to before, which is to come again, or nothing.
    pub pin: Option<Pin>,
}

/// Where fetched models are kept, and the bounds of fetching them. Processes may share a cache directory.
#[derive(Clone, Debug)]
pub struct Store {
    cache: cache::Cache,
    limits: Limits,
    client: remote::Client,
    environment: environment::Environment,
}

impl Store {
    /// A store over the cache directory `dir`, which is made once something is kept in it: `file:` needs none.
    pub fn new(dir: impl Into<PathBuf>, limits: Limits) -> Self {
        let client = remote::Client::new(limits.connect);
        Self { cache: cache::Cache::new(dir.into()), limits, client, environment: environment::Environment::Process }
    }

    /// The cache directory unless one is named: `modelyard/models` in the user's cache directory, or in `/var/cache`.
    pub fn default_dir() -> PathBuf {
        let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        set("XDG_CACHE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(|| PathBuf::from("/var/cache"))
            .join("modelyard/models")
    }
}

/// Brings a model's artefact to this machine's disk, or finds it there.
///
/// Dropping the future stops the fetch; what has come of a download is kept, and the next fetch goes on from there.
///
/// # Errors
/// See [`StoreError`].
pub async fn fetch(source: &Source, store: &Store, progress: &Progress) -> Result<Artifact, StoreError> {
    let expected = source.sha256.as_ref().map(|sum| sum.to_ascii_lowercase());
    if let Some(sum) = &expected
        && (sum.len() != 64 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(StoreError::Invalid(format!("expected a sha256 of 64 hexadecimal digits, found '{sum}'")));
    }
    let scheme = Scheme::of(&source.uri).map_err(StoreError::Invalid)?;
    match &source.pin {
        None => by_scheme(scheme, &remote::Task { source, expected, version: None, store, progress }).await,
        Some(pin) => pinned::fetch(scheme, pin, &remote::Task { source, expected, version: None, store, progress }).await,
    }
}

async fn by_scheme(scheme: Scheme, task: &remote::Task<'_>) -> Result<Artifact, StoreError> {
    let (source, store, progress) = (task.source, task.store, task.progress);
    match scheme {
        Scheme::File => local::fetch(&source.uri, task.expected.clone(), store, progress).await,
        Scheme::Http => remote::fetch(task).await,
        Scheme::S3 => remote::fetch_s3(task).await,
        Scheme::Gs => remote::fetch_gs(task).await,
        Scheme::Az => remote::fetch_az(task).await,
        Scheme::Hf => remote::fetch_hf(task).await,
        Scheme::Oci => remote::fetch_oci(task).await,
        Scheme::Pvc => {
            Err(StoreError::Invalid(format!("{} is mounted by the operator on a cluster; expected file:PATH here", source.uri)))
        }
    }
}

/// Pushes a folder with a model, a model's file or an archive to the registry that an `oci:` uri with a tag names, by Docker's own
/// configuration of logins. `artifact` is what a fetch of it found.
///
/// # Errors
/// See [`StoreError`].
pub async fn push(
    (path, artifact): (&Path, &Artifact),
    uri: &str,
    about: &About,
    (store, progress): (&Store, &Progress),
) -> Result<Pushed, StoreError> {
    match Scheme::of(uri) {
        Ok(Scheme::Oci) => remote::push_oci((path, &artifact.model), uri, about, (store, progress)).await,
        _ => Err(StoreError::Invalid(format!("expected oci://HOST/REPOSITORY:TAG to push to, found '{uri}'"))),
    }
}

/// Copies the files of a fetched artefact into a new folder; their paths in it.
///
/// # Errors
/// `Invalid` where the folder is there and not empty; `Disk`.
pub async fn copy(artifact: &Artifact, uri: &str, store: &Store, into: &Path) -> Result<Vec<String>, StoreError> {
    let (artifact, uri, store, into) = (artifact.clone(), uri.to_owned(), store.clone(), into.to_owned());
    blocking(move || files::copy(&artifact, &uri, &store, &into)).await
}

/// A uri as messages show it: without its credentials and its query.
#[must_use]
pub fn shown(uri: &str) -> String {
    remote::shown(uri).unwrap_or_else(|| uri.to_owned())
}

/// The model's file of a path that may be a folder, as a `file:` model would find it.
///
/// # Errors
/// `Invalid` where a folder holds none, or several.
pub fn model_file(path: &Path) -> Result<PathBuf, StoreError> {
    if path.is_dir() { layout::find_model(path) } else { Ok(path.to_owned()) }
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
        /// Its name in the store, where that is known.
        version: Option<String>,
    },
    /// The uri leads to other bytes than it did, and those are not to be had any more.
    #[error("{0}")]
    Changed(String),
    /// An archive or folder that holds no model, more than one, or what no model holds.
    #[error("invalid artefact: {0}")]
    Invalid(String),
    /// The store does not answer, or not to the end: worth another try later.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// This machine's disk.
    #[error("{what}: {cause}")]
    Disk {
        /// What was being done, with the path.
        what: String,
        /// What the system said.
        cause: io::Error,
    },
}

impl StoreError {
    /// The public name of the class, as conditions, readiness and metrics carry it.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "ModelNotFound",
            Self::Unauthorized(_) => "ModelUnauthorized",
            Self::ChecksumMismatch { .. } => "ChecksumMismatch",
            Self::Changed(_) => "ModelChanged",
            Self::Invalid(_) => "ModelInvalid",
            Self::Unavailable(_) | Self::Disk { .. } => "StoreUnavailable",
        }
    }

    fn disk(what: impl Into<String>, cause: io::Error) -> Self {
        Self::Disk { what: what.into(), cause }
    }

    /// What a failure to read the user's own file means.
    fn file(path: &Path, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound(format!("no file {}", path.display())),
            io::ErrorKind::PermissionDenied => Self::Unauthorized(format!("cannot read {}: {cause}", path.display())),
            _ => Self::disk(format!("cannot read {}", path.display()), cause),
        }
    }

    /// The same of bytes that have this name in their store.
    fn of_version(mut self, name: Option<String>) -> Self {
        if let Self::ChecksumMismatch { version, .. } = &mut self {
            *version = name.or(version.take());
        }
        self
    }

    fn check_sum(uri: &str, expected: Option<&String>, found: &str) -> Result<(), Self> {
        match expected {
            Some(expected) if expected != found => {
                let (uri, expected, found) = (uri.to_owned(), expected.clone(), found.to_owned());
                Err(Self::ChecksumMismatch { uri, expected, found, version: None })
            }
            _ => Ok(()),
        }
    }
}

/// Runs file work where it blocks nobody. It runs to its end even if the caller goes away.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(StoreError::disk("file work was broken off", io::Error::other(error))),
    }
}
