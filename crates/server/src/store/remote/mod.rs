//! `http:` and `https:`: a download into the cache, once for all processes that share it.

use std::sync::Arc;

use http::HeaderValue;
use parking_lot::Mutex;

use super::cache::{self, Known};
use super::lock::{self, Waited};
use super::partial::Partial;
use super::{Artifact, Progress, Source, Store, StoreError, archive, blocking, digest};

mod address;
mod ask;
mod backoff;
mod client;
mod download;
mod validator;

use address::Address;
pub(super) use client::Client;
use download::{Done, Download};
pub(super) use validator::Validator;

pub(super) async fn fetch(
    source: &Source,
    expected: Option<String>,
    store: &Store,
    progress: &Progress,
) -> Result<Artifact, StoreError> {
    let uri = &source.uri;
    let mut address = Address::parse(uri).map_err(StoreError::Invalid)?;
    if let Some(variable) = &source.authorization_env {
        address.authorization = Some(authorization(variable)?);
    }
    let url = digest::of_bytes(uri.as_bytes());
    let before = known(store, &url).await?;
    if let Some(artifact) = cached(store, expected.as_ref(), progress).await? {
        return Ok(artifact);
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
    let last = if expected.is_none() { last_copy(store, &url, progress).await? } else { None };
    if let Some((known, artifact)) = &last
        && before.as_ref() != Some(known)
    {
        // Fetched by the one whom we waited for.
        return Ok(artifact.clone());
    }
    let (cache, part, of) = (store.cache.clone(), key, url.clone());
    let partial = blocking(move || Partial::open(&cache, &part, &of, lock)).await?;
    let partial = Arc::new(Mutex::new(partial));
    let known = last.as_ref().map(|(known, _)| known.validator.clone());
    let download =
        Download { store, progress, address: &address, expected: expected.as_ref(), known, partial: Arc::clone(&partial) };
    match (download.run().await, last) {
        (Ok(Done::Complete { digest, bytes }), _) => keep(store, url, address.shown(), (partial, digest, bytes)).await,
        (Ok(Done::NotModified), Some((known, artifact))) => {
            let cache = store.cache.clone();
            blocking(move || cache.remember(&url, &known.digest, known.validator)).await?;
            Ok(artifact)
        }
        (Ok(Done::NotModified), None) => Err(StoreError::Unavailable(format!("{} answered 304 unasked", address.shown()))),
        (Err(StoreError::Unavailable(why)), Some((_, artifact))) => {
            tracing::warn!(%why, digest = %artifact.digest, "the store is unavailable; using the last good copy");
            Ok(artifact)
        }
        (Err(error), _) => {
            if !shared {
                partial.lock().remove();
            }
            Err(error)
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
async fn cached(store: &Store, expected: Option<&String>, progress: &Progress) -> Result<Option<Artifact>, StoreError> {
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
        Ok(artifact)
    })
    .await
}
