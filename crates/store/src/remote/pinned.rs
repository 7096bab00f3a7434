//! What a moving name leads to, where a store resolves it to something fixed first: a branch to a commit, a tag to a manifest. What the name gave last
//! is remembered, for the time when its store does not answer.

use std::future::Future;

use super::address::Address;
use super::folder;
use super::validator::Validator;
use super::{Task, fetch_one, known};
use crate::{Artifact, StoreError, blocking};

/// Fetches what `identity` names now; where its store is away, what it gave last.
pub(super) async fn or_last_copy(
    identity: &str,
    task: &Task<'_>,
    fetch: impl Future<Output = Result<Artifact, StoreError>>,
) -> Result<Artifact, StoreError> {
    match fetch.await {
        Err(StoreError::Unavailable(why)) => match last_copy(identity, task).await? {
            Some(artifact) => {
                tracing::warn!(%why, digest = %artifact.digest, "the store is unavailable; using the last good copy");
                Ok(artifact)
            }
            None => Err(StoreError::Unavailable(why)),
        },
        outcome => outcome,
    }
}

/// Fetches the one file that `identity` names now; `sum` is what its store says of it.
pub(super) async fn file(
    identity: &str,
    address: &Address,
    sum: Option<String>,
    task: &Task<'_>,
) -> Result<Artifact, StoreError> {
    let expected = task.expected.clone().or(sum);
    let pinned = Task { expected, source: task.source, store: task.store, progress: task.progress };
    let artifact = fetch_one(address, &address.uri.to_string(), &pinned).await?;
    let (cache, key, digest) = (task.store.cache.clone(), folder::key(identity), artifact.digest.clone());
    blocking(move || cache.remember(&key, &digest, file_tag())).await?;
    Ok(artifact)
}

/// A file's sum is that of its bytes, a folder's that of its model.
async fn last_copy(identity: &str, task: &Task<'_>) -> Result<Option<Artifact>, StoreError> {
    let Some(artifact) = folder::last_copy(identity, task.store, task.progress).await? else { return Ok(None) };
    let is_file = known(task.store, &folder::key(identity)).await?.is_some_and(|known| known.validator == file_tag());
    if is_file {
        StoreError::check_sum(&task.source.uri, task.expected.as_ref(), &artifact.digest)?;
        return Ok(Some(artifact));
    }
    folder::named_by_its_model(artifact, &task.source.uri, task.expected.clone()).await.map(Some)
}

/// Marks that a name is one file's.
fn file_tag() -> Validator {
    Validator::tag("file")
}
