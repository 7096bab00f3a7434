//! A model becomes an artifact in a registry: a ModelPack of the CNCF (media types and configuration by model-spec v1), a layer for each file.
//! What the registry has already is not sent again, and the same files make the same digest, so pushing twice changes nothing.

use std::path::Path;

use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use serde_json::{Value, json};

use super::credentials::{self, Door};
use super::manifest::{ARTIFACT, PATHS};
use super::named::Named;
use crate::environment::Variables;
use crate::remote::bucket::explain;
use crate::{Limits, Progress, Store, StoreError, blocking, digest};

mod plan;
mod upload;

use plan::Planned;
use upload::{Blob, Content, Registry};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.cncf.model.config.v1+json";

/// The annotation of the manifest that holds what the model takes and gives, as JSON: the configuration has no place for it.
const SIGNATURE: &str = "dev.modelyard.signature";

/// What is known of a model beside its files.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Its file's format, such as `onnx`.
    pub format: String,
    /// How many numbers it has learned; 0 if nobody knows.
    pub parameters: u64,
    /// Its inputs and outputs; null if nobody knows.
    pub signature: Value,
}

/// An artifact in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pushed {
    /// Names exactly this, for ever: to be written into `model.uri`.
    pub uri: String,
    /// The manifest's.
    pub digest: String,
    /// What it lists.
    pub layers: Vec<PushedLayer>,
}

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PushedLayer {
    /// Its path.
    pub path: String,
    /// What it is.
    pub media_type: String,
    /// `sha256:` and its sum.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
    /// Whether it was sent: if not, the registry had it.
    pub sent: bool,
}

/// Pushes the folder, the model's file or the archive at `path`; `model` is the model's file in it.
pub(crate) async fn push(
    (path, model): (&Path, &Path),
    uri: &str,
    about: &About,
    (store, progress): (&Store, &Progress),
) -> Result<Pushed, StoreError> {
    let named = Named::to_push(uri)?;
    let planned = plan(path, model, &store.limits).await?;
    let variables = Variables::new(&store.environment, None);
    let login =
        credentials::login(&variables, &named.host).await.map_err(|why| StoreError::Unauthorized(format!("{uri}: {why}")))?;
    let who = login.as_ref().map_or_else(|| "without credentials".to_owned(), |login| format!("as {}", login.user));
    let advice = format!("asked {who}; the caller needs the right to push: docker login {}, or DOCKER_CONFIG", named.host);
    let pushed = async {
        let door = Door::find(&named, "pull,push", login, store).await?;
        let registry = Registry { named: &named, door: &door, store, progress };
        send(&registry, planned, about).await
    };
    pushed.await.map_err(|error| explain(error, uri, &advice))
}

async fn plan(path: &Path, model: &Path, limits: &Limits) -> Result<Vec<Planned>, StoreError> {
    let (path, model, limits) = (path.to_owned(), model.to_owned(), limits.clone());
    blocking(move || plan::plan(&path, &model, &limits)).await
}

async fn send(registry: &Registry<'_>, planned: Vec<Planned>, about: &About) -> Result<Pushed, StoreError> {
    let config = config(&registry.named.repository, &planned, about).to_string();
    let total = planned.iter().map(|layer| layer.bytes).fold(config.len() as u64, u64::saturating_add);
    registry.progress.set(0, total);
    let mut layers = Vec::with_capacity(planned.len());
    for layer in &planned {
        let blob = Blob { sum: layer.sum.clone(), bytes: layer.bytes, content: Content::File(layer.file.clone()) };
        layers.push(PushedLayer {
            path: layer.path.clone(),
            media_type: layer.media_type.to_owned(),
            digest: format!("sha256:{}", layer.sum),
            bytes: layer.bytes,
            sent: registry.have(&blob, &layer.path).await?,
        });
    }
    let sum = digest::of_bytes(config.as_bytes());
    let descriptor = json!({"mediaType": CONFIG, "digest": format!("sha256:{sum}"), "size": config.len()});
    let bytes = config.len() as u64;
    registry.have(&Blob { sum, bytes, content: Content::Bytes(config.into()) }, "the configuration").await?;
    let manifest = manifest(&descriptor, &layers, about).to_string();
    let digest = format!("sha256:{}", digest::of_bytes(manifest.as_bytes()));
    name(registry, manifest, &digest).await?;
    let uri = format!("oci://{}/{}@{digest}", registry.named.host, registry.named.repository);
    Ok(Pushed { uri, digest, layers })
}

/// Puts the manifest there, and with it the tag.
async fn name(registry: &Registry<'_>, manifest: String, digest: &str) -> Result<(), StoreError> {
    let address = registry.at("manifests", &registry.named.reference)?;
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(MANIFEST));
    let answered = registry.put(&address, kind, &Content::Bytes(manifest.into())).await?;
    let counted = answered.get(HeaderName::from_static("docker-content-digest")).and_then(|value| value.to_str().ok());
    match counted {
        Some(counted) if counted != digest => {
            Err(StoreError::Unavailable(format!("{} took the manifest {digest} as {counted}", address.shown())))
        }
        _ => Ok(()),
    }
}

/// `application/vnd.cncf.model.config.v1+json`. No time is in it: the same files are the same artifact.
fn config(repository: &str, layers: &[Planned], about: &About) -> Value {
    let mut technical = json!({"format": about.format});
    if let Some(size) = size(about.parameters) {
        technical["paramSize"] = size.into();
    }
    let sums: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", layer.unpacked)).collect();
    let name = repository.rsplit('/').next().unwrap_or(repository);
    json!({"descriptor": {"name": name}, "config": technical, "modelfs": {"type": "layers", "diffIds": sums}})
}

/// A number of parameters with one digit after the point and a letter; none below a thousand, for which there is no letter.
fn size(parameters: u64) -> Option<String> {
    let (factor, letter) = [(1e15, 'Q'), (1e12, 'T'), (1e9, 'B'), (1e6, 'M'), (1e3, 'K')]
        .into_iter()
        .find(|(factor, _)| parameters as f64 >= *factor)?;
    let count = format!("{:.1}", parameters as f64 / factor);
    Some(format!("{}{letter}", count.strip_suffix(".0").unwrap_or(&count)))
}

fn manifest(config: &Value, layers: &[PushedLayer], about: &About) -> Value {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| {
            // Both names: ours and modctl's, and that by which `oras pull` makes files.
            let annotations = json!({PATHS[0]: layer.path, PATHS[1]: layer.path});
            json!({"mediaType": layer.media_type, "digest": layer.digest, "size": layer.bytes, "annotations": annotations})
        })
        .collect();
    let mut manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": ARTIFACT, "config": config, "layers": layers});
    if !about.signature.is_null() {
        manifest["annotations"] = json!({SIGNATURE: about.signature.to_string()});
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_parameters_is_written_as_the_specification_says() {
        for (parameters, written) in [
            (0, None),
            (999, None),
            (25_450, Some("25.4K")),
            (1_000_000, Some("1M")),
            (6_740_000_000, Some("6.7B")),
            (2_000_000_000_000, Some("2T")),
        ] {
            assert_eq!(size(parameters).as_deref(), written, "{parameters}");
        }
    }
}
