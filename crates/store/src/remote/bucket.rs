//! What object stores have in common: keys in a bucket, of which one is a file and several with the same beginning are a folder.

use std::future::Future;

use super::address::Address;
use super::folder::{self, Folder, Member};
use super::{Task, fetch_one};
use crate::{Artifact, Store, StoreError};

/// An object as a listing shows it.
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) tag: String,
}

/// One bucket of an object store.
pub(super) trait Bucket: Sync {
    /// Where the object of a key is read, and what signs that.
    fn object(&self, key: &str) -> Result<Address, StoreError>;

    /// Where an object that was listed is read, and whether that address names its version.
    fn version(&self, listed: &Listed) -> Result<(Address, bool), StoreError> {
        Ok((self.object(&listed.key)?, false))
    }

    /// Where that version of an object is read, if it is a version of this kind of store.
    fn at_version(&self, _key: &str, _version: &str) -> Option<Result<Address, StoreError>> {
        None
    }

    /// The objects whose keys begin so, at most `most` and one more.
    fn list(&self, store: &Store, prefix: &str, most: usize) -> impl Future<Output = Result<Vec<Listed>, StoreError>> + Send;

    /// What to do where the store refuses the caller.
    fn advice(&self) -> String;
}

/// Fetches the object of that key, or the folder of all that begin with it.
pub(super) async fn fetch(bucket: &impl Bucket, key: &str, task: &Task<'_>) -> Result<Artifact, StoreError> {
    let (source, expected, store, progress) = (task.source, &task.expected, task.store, task.progress);
    let explained = |error: StoreError| explain(error, &source.uri, &bucket.advice());
    if let Some(address) = task.version.and_then(|version| bucket.at_version(key, version)) {
        let address = address?;
        return fetch_one(&address, &address.uri.to_string(), task).await.map_err(explained);
    }
    if !key.ends_with('/') {
        let address = bucket.object(key)?;
        let identity = address.uri.to_string();
        match fetch_one(&address, &identity, task).await {
            Err(StoreError::NotFound(_)) => {}
            outcome => return outcome.map_err(explained),
        }
    }
    let prefix = format!("{}/", key.trim_end_matches('/'));
    let identity = bucket.object(&prefix)?.uri.to_string();
    if let Some(sum) = expected
        && let Some(artifact) = folder::last_copy(&identity, store, progress).await?
        && let Ok(artifact) = folder::named_by_its_model(artifact, &source.uri, Some(sum.clone())).await
    {
        return Ok(artifact);
    }
    let listed = match bucket.list(store, &prefix, store.limits.max_entries).await {
        Ok(listed) => listed,
        Err(StoreError::Unavailable(why)) if task.takes_last_copy() => {
            let Some(artifact) = folder::last_copy(&identity, store, progress).await? else {
                return Err(explained(StoreError::Unavailable(why)));
            };
            tracing::warn!(%why, digest = %artifact.digest, "the store is unavailable; using the last good copy");
            return folder::named_by_its_model(artifact, &source.uri, expected.clone()).await;
        }
        Err(error) => return Err(explained(error)),
    };
    let mut members = Vec::with_capacity(listed.len());
    for one in listed {
        // An empty object stands for a folder in the consoles of these stores.
        let Some(path) = one.key.strip_prefix(&prefix).filter(|path| !path.is_empty() && !path.ends_with('/')) else { continue };
        let (address, pinned) = bucket.version(&one)?;
        members.push(Member {
            path: path.to_owned(),
            address,
            bytes: one.bytes,
            tag: one.tag,
            pinned,
            sha256: None,
            packed: None,
        });
    }
    if members.is_empty() {
        return Err(StoreError::NotFound(format!(
            "{}: no object of that key, and none whose key begins with '{prefix}'",
            source.uri
        )));
    }
    let folder = Folder { identity, uri: source.uri.clone(), version: None, members };
    folder.fetch(task).await.map_err(explained)
}

/// Says of which uri an error is, and what to set where the caller was refused.
pub(super) fn explain(error: StoreError, uri: &str, advice: &str) -> StoreError {
    match error {
        StoreError::Unauthorized(why) => StoreError::Unauthorized(format!("{uri}: {why}; {advice}")),
        StoreError::NotFound(why) => StoreError::NotFound(format!("{uri}: {why}")),
        StoreError::Unavailable(why) => StoreError::Unavailable(format!("{uri}: {why}")),
        other => other,
    }
}
