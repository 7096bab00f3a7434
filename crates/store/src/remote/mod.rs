//! What comes over HTTP: a download into the cache, once for all processes that share it. `http:` and `https:` name it
//! themselves; the other stores make signed addresses of what they name.

use std::sync::Arc;

use http::HeaderValue;
use parking_lot::Mutex;

use super::cache::{self, Known};
use super::lock::{self, Waited};
use super::partial::Partial;
use super::{Artifact, Progress, Source, Store, StoreError, archive, blocking, digest};

mod address;
mod ask;
mod az;
mod backoff;
mod bearer;
mod body;
mod bucket;
mod call;
mod client;
mod connections;
mod connector;
mod download;
mod folder;
mod gs;
mod hf;
mod moving;
mod oci;
mod refusal;
mod renewed;
mod s3;
mod sign;
mod validator;
mod xml;

use address::Address;
pub(super) use az::fetch as fetch_az;
pub(super) use client::Client;
use download::{Done, Download, Listed};
pub(crate) use folder::named_by_its_model;
pub(super) use gs::fetch as fetch_gs;
pub(super) use hf::fetch as fetch_hf;
pub use oci::{About, Pushed, PushedLayer};
pub(super) use oci::{fetch as fetch_oci, push as push_oci};
pub(super) use s3::fetch as fetch_s3;
pub(super) use validator::Validator;

/// Who asks.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("modelyard-server/", env!("CARGO_PKG_VERSION")));

/// A value as a query or a form carries it.
fn encode(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, UNRESERVED).to_string()
}

/// A path as a URL carries it: its slashes stay.
fn encode_path(path: &str) -> String {
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

/// A token that something else keeps fresh in a file.
async fn read_token(file: &str) -> Result<String, StoreError> {
    let read = tokio::fs::read_to_string(file).await;
    let text = read.map_err(|error| StoreError::Unauthorized(format!("cannot read the token in {file}: {error}")))?;
    Ok(text.trim().to_owned())
}

/// RFC 3986, section 2.3.
const UNRESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One fetch.
pub(super) struct Task<'a> {
    pub(super) source: &'a Source,
    /// The sum that the spec names, in lower case.
    pub(super) expected: Option<String>,
    /// The version to bring, where the uri is held to one: see `Pin::version`.
    pub(super) version: Option<&'a str>,
    pub(super) store: &'a Store,
    pub(super) progress: &'a Progress,
}

impl Task<'_> {
    /// The version to bring, if it is one of that kind (`commit=`, say).
    fn version(&self, kind: &str) -> Option<&str> {
        self.version?.strip_prefix(kind)
    }

    /// Whether what the uri gave last may stand in where its store does not answer. Who is held to something else has not got it.
    fn takes_last_copy(&self) -> bool {
        self.source.pin.is_none()
    }
}

/// Fetches `http:` and `https:`.
pub(super) async fn fetch(task: &Task<'_>) -> Result<Artifact, StoreError> {
    let uri = &task.source.uri;
    let mut address = Address::parse(uri).map_err(StoreError::Invalid)?;
    if let Some(variable) = &task.source.authorization_env {
        address.authorization = Some(authorization(variable)?);
    }
    fetch_one(&address, uri, task).await
}

/// Fetches the one artefact at an address; `identity` names it in the cache, whoever asks for it.
async fn fetch_one(address: &Address, identity: &str, task: &Task<'_>) -> Result<Artifact, StoreError> {
    let (store, progress, expected) = (task.store, task.progress, &task.expected);
    let url = digest::of_bytes(identity.as_bytes());
    let before = known(store, &url).await?;
    if let Some(artifact) = cached(store, expected.as_ref(), progress).await? {
        let version = before.filter(|known| known.digest == artifact.digest).and_then(|known| known.validator.told());
        return Ok(Artifact { version, ..artifact });
    }
    let key = expected.clone().unwrap_or_else(|| format!("url-{url}"));
    let (key, lock) = match lock::acquire(&store.cache, &key, &store.limits, progress).await? {
        Waited::Held(lock) => (key, Some(lock)),
        Waited::Stuck => (format!("{key}-{}", cache::unique()), None),
    };
    if let Some(artifact) = cached(store, expected.as_ref(), progress).await? {
        return Ok(artifact);
    }
    let shared = lock.is_some();
    let last = if expected.is_none() && task.takes_last_copy() { last_copy(store, &url, progress).await? } else { None };
    if let Some((known, artifact)) = &last
        && before.as_ref() != Some(known)
    {
        // Fetched by the one whom we waited for.
        return Ok(Artifact { version: known.validator.told(), ..artifact.clone() });
    }
    let (cache, part, of) = (store.cache.clone(), key, url.clone());
    let partial = blocking(move || Partial::open(&cache, &part, &of, lock.map(Arc::new))).await?;
    let partial = Arc::new(Mutex::new(partial));
    let known = last.as_ref().map(|(known, _)| known.validator.clone());
    let listed = Listed::default();
    let download =
        Download { store, progress, address, expected: expected.as_ref(), known, partial: Arc::clone(&partial), listed };
    match (download.run().await, last) {
        (Ok(Done::Complete { digest, bytes }), _) => keep(store, url, address.shown(), (partial, digest, bytes)).await,
        (Ok(Done::NotModified), Some((known, artifact))) => {
            let cache = store.cache.clone();
            let version = known.validator.told();
            blocking(move || cache.remember(&url, &known.digest, known.validator)).await?;
            Ok(Artifact { version, ..artifact })
        }
        (Ok(Done::NotModified), None) => Err(StoreError::Unavailable(format!("{} answered 304 unasked", address.shown()))),
        (Err(StoreError::Unavailable(why)), Some((known, artifact))) => {
            tracing::warn!(%why, digest = %artifact.digest, "the store is unavailable; using the last good copy");
            Ok(Artifact { version: known.validator.told(), ..artifact })
        }
        (Err(error), _) => {
            let partial = partial.lock();
            // Of a key that is a folder's there is no object, and no start is left of it.
            let nothing = matches!(error, StoreError::NotFound(_)) && partial.bytes() == 0;
            if !shared || nothing {
                partial.remove();
            }
            Err(error.of_version(partial.validator().told()))
        }
    }
}

/// A URL as messages show it; none where it is no URL of this kind.
pub(super) fn shown(uri: &str) -> Option<String> {
    Some(Address::parse(uri).ok()?.shown())
}

/// The header that a variable of the environment holds.
fn authorization(variable: &str) -> Result<HeaderValue, StoreError> {
    let text = std::env::var(variable).map_err(|_| {
        StoreError::Unauthorized(format!("the variable {variable}, which holds the Authorization header, is not set"))
    })?;
    let mut header = HeaderValue::from_str(text.trim())
        .map_err(|_| StoreError::Unauthorized(format!("the variable {variable} holds bytes that no header can have")))?;
    header.set_sensitive(true);
    Ok(header)
}

/// The artefact of the expected sum, if it is in the cache: then no server needs to be asked.
pub(super) async fn cached(
    store: &Store,
    expected: Option<&String>,
    progress: &Progress,
) -> Result<Option<Artifact>, StoreError> {
    let Some(digest) = expected.cloned() else { return Ok(None) };
    let cache = store.cache.clone();
    let found = blocking(move || cache.find(&digest)).await?;
    if let Some(artifact) = &found {
        progress.set(artifact.bytes, artifact.bytes);
    }
    Ok(found)
}

async fn known(store: &Store, url: &str) -> Result<Option<Known>, StoreError> {
    let (cache, url) = (store.cache.clone(), url.to_owned());
    blocking(move || Ok(cache.known(&url))).await
}

/// What the URL gave last, if it is still in the cache.
async fn last_copy(store: &Store, url: &str, progress: &Progress) -> Result<Option<(Known, Artifact)>, StoreError> {
    let Some(known) = known(store, url).await? else { return Ok(None) };
    let artifact = cached(store, Some(&known.digest), progress).await?;
    Ok(artifact.map(|artifact| (known, artifact)))
}

/// Makes what was downloaded an entry of the cache.
async fn keep(
    store: &Store,
    url: String,
    name: String,
    (partial, digest, bytes): (Arc<Mutex<Partial>>, String, u64),
) -> Result<Artifact, StoreError> {
    let (cache, limits) = (store.cache.clone(), store.limits.clone());
    blocking(move || {
        let partial = partial.lock();
        let artifact = match cache.find(&digest)? {
            Some(artifact) => Ok(artifact),
            None => cache.insert(&digest, bytes, &limits, |into| archive::place(partial.path(), &name, &digest, into, &limits)),
        };
        // What is no artefact now will not become one.
        partial.remove();
        let artifact = artifact?;
        cache.remember(&url, &digest, partial.validator().clone())?;
        Ok(Artifact { version: partial.validator().told(), ..artifact })
    })
    .await
}
