//! `oci://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST]`: a model as an artifact in a registry of container images. A tag is resolved to its manifest
//! first, and what that lists is read by digest.

use super::bucket::explain;
use super::call::Call;
use super::folder::{Folder, Member};
use super::{Task, cached, pinned};
use crate::store::environment::Variables;
use crate::store::{Artifact, StoreError, digest};

mod credentials;
mod manifest;

use credentials::Door;
use manifest::{Content, Manifest};

/// Manifests that may hold a model.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, \
                        application/vnd.oci.image.index.v1+json";

/// What the uri names.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    /// With its port.
    host: String,
    repository: String,
    /// A tag or a digest.
    reference: String,
}

impl Named {
    fn parse(uri: &str) -> Result<Self, StoreError> {
        let wrong = || {
            StoreError::Invalid(format!(
                "expected oci://HOST/REPOSITORY[:TAG] or oci://HOST/REPOSITORY@sha256:DIGEST, found '{uri}'"
            ))
        };
        let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
        let (host, rest) = rest.split_once('/').filter(|(host, _)| !host.is_empty()).ok_or_else(wrong)?;
        let (repository, reference) = match rest.split_once('@') {
            Some((name, digest)) => {
                manifest::sum(digest).ok_or_else(wrong)?;
                // The tag beside a digest is for people.
                (name.rsplit_once(':').map_or(name, |(name, _)| name), digest)
            }
            None => rest.rsplit_once(':').unwrap_or((rest, "latest")),
        };
        let is_part = |part: &str| {
            part.starts_with(|one: char| one.is_ascii_alphanumeric())
                && part.bytes().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || b"._-".contains(&one))
        };
        let is_tag = |tag: &str| {
            (1..=128).contains(&tag.len()) && tag.bytes().all(|one| one.is_ascii_alphanumeric() || b"._-".contains(&one))
        };
        let is_reference = is_tag(reference) || manifest::sum(reference).is_some();
        let is_host = host.bytes().all(|one| one.is_ascii_alphanumeric() || b".-:[]".contains(&one));
        if !is_host || !repository.split('/').all(is_part) || !is_reference {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), reference: reference.to_owned() })
    }

    /// Registries are asked by https; one on this machine by plain http, as Docker does.
    fn base(&self) -> String {
        let name = self.host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|one| one.is_ascii_digit()));
        let near = matches!(name.map_or(self.host.as_str(), |(name, _)| name), "localhost" | "127.0.0.1" | "[::1]");
        format!("{}://{}/v2/", if near { "http" } else { "https" }, self.host)
    }
}

/// Fetches `oci://HOST/REPOSITORY[:TAG|@DIGEST]`.
pub(in crate::store) async fn fetch(task: &Task<'_>) -> Result<Artifact, StoreError> {
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
    let fetched = pinned::or_last_copy(uri, task, async {
        let door = Door::find(&named.base(), &named.repository, login, task.store).await?;
        pull(&named, &door, task).await
    });
    fetched.await.map_err(|error| explain(error, uri, &advice))
}

async fn pull(named: &Named, door: &Door, task: &Task<'_>) -> Result<Artifact, StoreError> {
    let uri = &task.source.uri;
    let at = |kind: &str, name: &str| door.address(&format!("{}{}/{kind}/{name}", named.base(), named.repository));
    let call = Call::get(at("manifests", &named.reference)?).with(http::header::ACCEPT, ACCEPTED)?;
    let body = call.send(task.store).await?.body;
    let found = digest::of_bytes(&body);
    if let Some(expected) = manifest::sum(&named.reference) {
        StoreError::check_sum(uri, Some(&expected), &found)?;
    }
    tracing::info!(uri, digest = format!("sha256:{found}"), "the reference is this manifest");
    let manifest = Manifest::read(&body).map_err(|why| StoreError::Invalid(format!("{uri}: {why}")))?;
    match manifest.content().map_err(|why| StoreError::Invalid(format!("{uri}: {why}")))? {
        Content::File(layer) => {
            let address = at("blobs", &format!("sha256:{}", layer.sum))?;
            pinned::file(uri, &address, Some(layer.sum), task).await
        }
        Content::Files(layers) => {
            let mut members = Vec::with_capacity(layers.len());
            for (path, layer) in layers {
                let address = at("blobs", &format!("sha256:{}", layer.sum))?;
                members.push(Member {
                    path,
                    address,
                    bytes: layer.size,
                    tag: layer.sum.clone(),
                    pinned: true,
                    sha256: Some(layer.sum),
                });
            }
            Folder { identity: uri.clone(), uri: uri.clone(), members }.fetch(task).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_read() {
        let sum = format!("sha256:{}", "a".repeat(64));
        let by_digest = (format!("oci://h:5000/a/b:v1@{sum}"), "h:5000", "a/b", sum.as_str());
        for (uri, host, repository, reference) in [
            ("oci://r.example/a".to_owned(), "r.example", "a", "latest"),
            ("oci://r.example/a/b-c_d:V1.0".to_owned(), "r.example", "a/b-c_d", "V1.0"),
            ("oci://[::1]:5000/a:x".to_owned(), "[::1]:5000", "a", "x"),
            by_digest,
        ] {
            let expected = Named { host: host.into(), repository: repository.into(), reference: reference.into() };
            assert_eq!(Named::parse(&uri).unwrap(), expected, "{uri}");
        }
        for uri in
            ["oci://h", "oci://h/", "oci:///a", "oci://h/A", "oci://h/a:", "oci://h/a@sha256:12", "oci://h/../a", "oci://u@h/a"]
        {
            assert!(Named::parse(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn only_a_registry_on_this_machine_is_asked_by_plain_http() {
        for (uri, base) in [
            ("oci://localhost/a", "http://localhost/v2/"),
            ("oci://127.0.0.1:5000/a", "http://127.0.0.1:5000/v2/"),
            ("oci://[::1]:5000/a", "http://[::1]:5000/v2/"),
            ("oci://localhost.example/a", "https://localhost.example/v2/"),
            ("oci://r.example:443/a", "https://r.example:443/v2/"),
        ] {
            assert_eq!(Named::parse(uri).unwrap().base(), base, "{uri}");
        }
    }
}
