//! A uri that is held to what it led to before: exactly that comes, from wherever it is still to be had, or nothing.
//!
//! What came is compared whole, by its SHA-256. That a store keeps versions makes it possible that the old one comes; whether it does is never
//! believed.

use modelyard_core::location::Scheme;
use modelyard_core::pins::Pin;

use super::remote::{self, Task};
use super::{Artifact, StoreError, by_scheme};

/// Fetches what `pin` names.
///
/// # Errors
/// `Changed` where the uri leads to something else, and what it led to is gone.
pub(super) async fn fetch(scheme: Scheme, pin: &Pin, task: &Task<'_>) -> Result<Artifact, StoreError> {
    if scheme != Scheme::File
        && let Some(artifact) = kept(pin, task).await?
    {
        return Ok(artifact);
    }
    // What is one file or one archive has the same sum here and there; a folder's is known when all of it is here.
    let expected = task.expected.clone().or_else(|| pin.content.is_none().then(|| pin.digest.clone()));
    let held = Task { expected, version: pin.version.as_deref(), ..*task };
    let gone = match by_scheme(scheme, &held).await {
        // A version that is not there, or not for this caller (S3 has a right of its own for versions): the same bytes may lie there as
        // the newest.
        Err(StoreError::NotFound(why) | StoreError::Unauthorized(why)) if is_address(pin) => why,
        outcome => return judge(outcome, pin, task, ""),
    };
    let newest = by_scheme(scheme, &Task { version: None, ..held }).await;
    judge(newest, pin, task, &format!("; asked for that version it says: {gone}"))
}

/// Whether a store can be asked for this version.
fn is_address(pin: &Pin) -> bool {
    pin.version.as_ref().is_some_and(|version| !version.starts_with("ETag=") && !version.starts_with("Last-Modified="))
}

/// What is pinned, if the cache has it: then no store is asked.
async fn kept(pin: &Pin, task: &Task<'_>) -> Result<Option<Artifact>, StoreError> {
    let content = pin.content().to_owned();
    let Some(artifact) = remote::cached(task.store, Some(&content), task.progress).await? else { return Ok(None) };
    let artifact = Artifact { version: pin.version.clone(), ..artifact };
    if pin.content.is_none() {
        return Ok(Some(artifact));
    }
    remote::named_by_its_model(artifact, &task.source.uri, Some(pin.digest.clone())).await.map(Some)
}

fn judge(outcome: Result<Artifact, StoreError>, pin: &Pin, task: &Task<'_>, said: &str) -> Result<Artifact, StoreError> {
    let uri = super::shown(&task.source.uri);
    match outcome {
        Ok(artifact) if artifact.content == pin.content() => Ok(artifact),
        Ok(artifact) => Err(changed(&uri, pin, &name(&artifact.content, artifact.version.as_ref()), said)),
        // What the spec itself says of the bytes goes first.
        Err(StoreError::ChecksumMismatch { found, version, .. }) if task.source.sha256.is_none() => {
            Err(changed(&uri, pin, &name(&found, version.as_ref()), said))
        }
        Err(StoreError::NotFound(why) | StoreError::Unauthorized(why)) if !said.is_empty() => {
            Err(changed(&uri, pin, &format!("nothing that can be read ({why})"), said))
        }
        outcome => outcome,
    }
}

fn changed(uri: &str, pin: &Pin, found: &str, said: &str) -> StoreError {
    let pinned = name(pin.content(), pin.version.as_ref());
    StoreError::Changed(format!(
        "the model changed: {uri} led to {pinned} when this revision first served, and leads to {found} now{said}; a revision never \
         changes what it serves: run modelyard restart, or change the uri, to serve what is there now, or put back what was there"
    ))
}

/// A version as messages name it.
fn name(sum: &str, version: Option<&String>) -> String {
    let version = version.map(|version| format!(" ({version})")).unwrap_or_default();
    format!("sha256 {sum}{version}")
}
