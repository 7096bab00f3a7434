//! `oci://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST]`: a model as an artifact in a registry of container images. A tag is resolved to its manifest
//! first, an index to the manifest of the model, and what that lists is read by digest. [`push`] writes such artifacts.

use http::header::ACCEPT;

use super::bucket::explain;
use super::call::Call;
use super::folder::{Folder, Member};
use super::{Task, cached, moving};
use crate::environment::Variables;
use crate::{Artifact, StoreError, digest};

mod credentials;
mod manifest;
mod named;
mod push;

use credentials::Door;
use manifest::{Content, Manifest, Part};
use named::Named;
pub(crate) use push::push;
pub use push::{About, Pushed, PushedLayer};

/// Manifests that may hold a model.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, \
                        application/vnd.oci.image.index.v1+json";

/// Fetches `oci://HOST/REPOSITORY[:TAG|@DIGEST]`.
pub(crate) async fn fetch(task: &Task<'_>) -> Result<Artifact, StoreError> {
    let uri = &task.source.uri;
    let named = Named::parse(uri)?;
    let variables = Variables::new(&task.store.environment, task.source.credentials_env.as_ref());
    if let Some(artifact) = cached(task.store, task.expected.as_ref(), task.progress).await? {
        return Ok(artifact);
    }
    let login =
        credentials::login(&variables, &named.host).await.map_err(|why| StoreError::Unauthorized(format!("{uri}: {why}")))?;
    let who = login.as_ref().map_or_else(|| "without credentials".to_owned(), |login| format!("as {}", login.user));
    let advice = format!(
        "asked {who}; the caller needs the right to pull: name a Secret of the type kubernetes.io/dockerconfigjson that has {} in \
         model.secretRef",
        named.host
    );
    let fetched = moving::or_last_copy(uri, task, async {
        let door = Door::find(&named, "pull", login, task.store).await?;
        pull(&named, &door, task).await
    });
    fetched.await.map_err(|error| explain(error, uri, &advice))
}

async fn pull(named: &Named, door: &Door, task: &Task<'_>) -> Result<Artifact, StoreError> {
    let uri = &task.source.uri;
    let at = |kind: &str, name: &str| door.address(&format!("{}{}/{kind}/{name}", named.base(), named.repository));
    let wrong = |why: String| StoreError::Invalid(format!("{uri}: {why}"));
    let read = async |reference: &str| {
        let call = Call::get(at("manifests", reference)?).with(ACCEPT, ACCEPTED)?;
        let body = call.send(task.store).await?.body;
        let found = digest::of_bytes(&body);
        StoreError::check_sum(uri, manifest::sum(reference).as_ref(), &found)?;
        tracing::info!(uri, digest = format!("sha256:{found}"), "{reference} is this manifest");
        Manifest::read(&body).map_err(wrong).map(|manifest| (manifest, found))
    };
    let (mut manifest, found) = read(task.version("manifest=").unwrap_or(&named.reference)).await?;
    let version = format!("manifest=sha256:{found}");
    if let Some(digest) = manifest.chosen().map_err(wrong)? {
        (manifest, _) = read(&digest).await?;
    }
    match manifest.content().map_err(wrong)? {
        Content::File(layer) => {
            let address = at("blobs", &format!("sha256:{}", layer.sum))?;
            moving::file((uri, version), &address, Some(layer.sum), task).await
        }
        Content::Files(layers) => {
            let mut members = Vec::with_capacity(layers.len());
            for Part { path, layer, packed } in layers {
                let address = at("blobs", &format!("sha256:{}", layer.sum))?;
                members.push(Member {
                    path,
                    address,
                    bytes: layer.size,
                    tag: layer.sum.clone(),
                    pinned: true,
                    sha256: Some(layer.sum),
                    packed,
                });
            }
            Folder { identity: uri.clone(), uri: uri.clone(), version: Some(version), members }.fetch(task).await
        }
    }
}
