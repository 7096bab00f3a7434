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
        Err(StoreError::Unavailable(why)) if task.takes_last_copy() => match last_copy(identity, task).await? {
            Some(artifact) => {
                tracing::warn!(%why, digest = %artifact.digest, "the store is unavailable; using the last good copy");
                Ok(artifact)
            }
            None => Err(StoreError::Unavailable(why)),
        },
        outcome => outcome,
    }
}

/// Fetches the one file that `identity` names now, in that version; `sum` is what its store says of it.
pub(super) async fn file(
    (identity, version): (&str, String),
    address: &Address,
    sum: Option<String>,
    task: &Task<'_>,
) -> Result<Artifact, StoreError> {
    if let Some(sum) = &sum {
        // Its store says so: nothing needs to come for it.
        let checked = StoreError::check_sum(&task.source.uri, task.expected.as_ref(), sum);
        checked.map_err(|error| error.of_version(Some(version.clone())))?;
    }
    let expected = task.expected.clone().or(sum);
    let pinned = Task { expected, ..*task };
    let fetched = fetch_one(address, &address.uri.to_string(), &pinned).await;
    let artifact = fetched.map_err(|error| error.of_version(Some(version.clone())))?;
    let (cache, key, digest) = (task.store.cache.clone(), folder::key(identity), artifact.digest.clone());
    let validator = Validator { version: Some(version.clone()), ..file_tag() };
    blocking(move || cache.remember(&key, &digest, validator)).await?;
    Ok(Artifact { version: Some(version), ..artifact })
}

/// A file's sum is that of its bytes, a folder's that of its model.
async fn last_copy(identity: &str, task: &Task<'_>) -> Result<Option<Artifact>, StoreError> {
    let Some(artifact) = folder::last_copy(identity, task.store, task.progress).await? else { return Ok(None) };
    let is_file = known(task.store, &folder::key(identity)).await?.is_some_and(|known| known.validator.is_tag(FILE));
    if is_file {
        StoreError::check_sum(&task.source.uri, task.expected.as_ref(), &artifact.digest)?;
        return Ok(Some(artifact));
    }
    folder::named_by_its_model(artifact, &task.source.uri, task.expected.clone()).await.map(Some)
}

/// Marks that a name is one file's.
const FILE: &str = "file";

fn file_tag() -> Validator {
    Validator::tag(FILE)
}
