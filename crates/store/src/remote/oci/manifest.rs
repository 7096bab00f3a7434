//! What a manifest lists: a model's files by their paths, archives of them, or one archive. Layers of the CNCF's ModelPack name a path
//! in `org.cncf.model.filepath`, those that ORAS pushes in `org.opencontainers.image.title`.

use std::collections::HashMap;

use serde::Deserialize;

use crate::content::Kind;

/// Where a layer's path is written, the first that is there.
pub(super) const PATHS: [&str; 2] = ["org.cncf.model.filepath", "org.opencontainers.image.title"];

/// How a ModelPack calls itself.
pub(super) const ARTIFACT: &str = "application/vnd.cncf.model.manifest.v1+json";

/// How the media types of a ModelPack's layers begin; `weight`, `weight.config`, `doc`, `code` or `dataset` and `.v1.` and a form follow.
const LAYER: &str = "application/vnd.cncf.model.";

/// A manifest, or an index of several.
#[derive(Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    layers: Vec<Listed>,
    /// Of an index.
    manifests: Option<Vec<Entry>>,
}

/// A manifest of an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    digest: String,
    artifact_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

/// A blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layer {
    /// Its SHA-256 in hexadecimal.
    pub(super) sum: String,
    pub(super) size: u64,
}

/// A layer of several.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its path; of an archive, a name of its own.
    pub(super) path: String,
    pub(super) layer: Layer,
    /// The archive's kind, where it is one.
    pub(super) packed: Option<Kind>,
}

/// What is to be fetched.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// One file without a path, or one archive.
    File(Layer),
    /// Files, and a ModelPack's archives of files.
    Files(Vec<Part>),
}

/// The hexadecimal digits of `sha256:DIGITS`.
pub(super) fn sum(digest: &str) -> Option<String> {
    let digits = digest.strip_prefix("sha256:")?;
    let is_sum = digits.len() == 64 && digits.bytes().all(|one| one.is_ascii_hexdigit());
    is_sum.then(|| digits.to_ascii_lowercase())
}

fn is_archive(media_type: &str) -> bool {
    ["tar", "tar+gzip", "tar.gzip", "tgz", "zip"]
        .iter()
        .any(|end| media_type.ends_with(&format!(".{end}")) || media_type.ends_with(&format!("/{end}")))
}

impl Listed {
    /// What a ModelPack says that the layer is for, and its form.
    fn modelpack(&self) -> Option<(&str, &str)> {
        self.media_type.strip_prefix(LAYER)?.split_once(".v1.")
    }

    /// Training data are no part of what is served, and may be larger than all the rest.
    fn is_data(&self) -> bool {
        self.modelpack().is_some_and(|(what, _)| what == "dataset")
    }

    fn packed(&self) -> Option<Kind> {
        match self.modelpack()? {
            (_, "tar") => Some(Kind::Tar),
            (_, "tar+gzip") => Some(Kind::Gzip),
            _ => None,
        }
    }
}

impl Manifest {
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| format!("its manifest cannot be read: {error}"))
    }

    /// Of an index the digest of the manifest to take: the only model, else the only one.
    ///
    /// # Errors
    /// There are several, and nothing says which.
    pub(super) fn chosen(&self) -> Result<Option<String>, String> {
        let Some(all) = &self.manifests else { return Ok(None) };
        let models: Vec<_> = all.iter().filter(|one| one.artifact_type.as_deref() == Some(ARTIFACT)).collect();
        let chosen = match (models.as_slice(), all.as_slice()) {
            ([one], _) => one.digest.clone(),
            ([], [one]) => one.digest.clone(),
            (models, all) => {
                let (count, models) = (all.len(), models.len());
                return Err(format!(
                    "the reference is an index of {count} manifests, {models} of them of the type {ARTIFACT}; expected one of them, or one \
                     manifest: name its digest"
                ));
            }
        };
        sum(&chosen).ok_or_else(|| format!("a manifest's digest is '{chosen}'; expected sha256"))?;
        Ok(Some(chosen))
    }

    /// # Errors
    /// Why no model can be made of it.
    pub(super) fn content(self) -> Result<Content, String> {
        if self.manifests.is_some() {
            return Err("the index lists an index; expected a manifest: name its digest".to_owned());
        }
        let all = self.layers.len();
        let layers: Vec<_> = self.layers.into_iter().filter(|layer| !layer.is_data()).collect();
        let archives = layers.iter().filter(|layer| layer.packed().is_none() && is_archive(&layer.media_type)).count();
        let alone = layers.len() == 1;
        if !alone && archives > 0 {
            return Err(format!(
                "{archives} of its {all} layers are archives, and not of a ModelPack; expected files, or one archive alone"
            ));
        }
        let mut files = Vec::with_capacity(layers.len());
        for layer in layers {
            let Some(sum) = sum(&layer.digest) else {
                return Err(format!("a layer's digest is '{}'; expected sha256", layer.digest));
            };
            if layer.media_type.ends_with("+zstd") {
                return Err(format!("the layer {} is compressed with zstd; expected raw, tar or tar+gzip", layer.digest));
            }
            let path = PATHS.iter().find_map(|name| layer.annotations.get(*name)).cloned();
            let (packed, is_archive) = (layer.packed(), is_archive(&layer.media_type));
            let blob = Layer { sum, size: layer.size };
            let path = match (path, packed) {
                (_, _) if alone && is_archive => return Ok(Content::File(blob)),
                // What an archive holds has its own paths.
                (_, Some(_)) => format!("{}.tar", blob.sum),
                (Some(path), None) => path,
                (None, None) if alone => return Ok(Content::File(blob)),
                (None, None) => return Err(format!("the layer {} has no path in {} or {}", layer.digest, PATHS[0], PATHS[1])),
            };
            files.push(Part { path, layer: blob, packed });
        }
        if files.is_empty() {
            return Err(match all {
                0 => "its manifest lists no layers".to_owned(),
                _ => "its manifest lists data alone".to_owned(),
            });
        }
        Ok(Content::Files(files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const RAW: &str = "application/vnd.cncf.model.weight.v1.raw";

    fn layer(media_type: &str, path: Option<(&str, &str)>) -> Value {
        let annotations: HashMap<_, _> = path.into_iter().collect();
        json!({"mediaType": media_type, "digest": format!("sha256:{}", "A".repeat(64)), "size": 5, "annotations": annotations})
    }

    fn content(manifest: &Value) -> Result<Content, String> {
        Manifest::read(manifest.to_string().as_bytes())?.content()
    }

    fn blob() -> Layer {
        Layer { sum: "a".repeat(64), size: 5 }
    }

    fn part(path: &str, packed: Option<Kind>) -> Part {
        Part { path: path.to_owned(), layer: blob(), packed }
    }

    #[test]
    fn files_and_one_archive_are_found() {
        let two = [layer(RAW, Some((PATHS[0], "m.onnx"))), layer("application/json", Some((PATHS[1], "sample.json")))];
        assert_eq!(content(&json!({"layers": two})), Ok(Content::Files(vec![part("m.onnx", None), part("sample.json", None)])));
        let archive = layer("application/vnd.oci.image.layer.v1.tar+gzip", Some((PATHS[1], "model.tar.gz")));
        assert_eq!(content(&json!({"layers": [archive]})), Ok(Content::File(blob())));
        assert_eq!(content(&json!({"layers": [layer("application/octet-stream", None)]})), Ok(Content::File(blob())));
    }

    #[test]
    fn archives_of_a_modelpack_lie_beside_its_files_and_its_data_stay_there() {
        let layers = [
            layer("application/vnd.cncf.model.weight.v1.tar", Some((PATHS[0], "m.onnx"))),
            layer("application/vnd.cncf.model.weight.config.v1.tar+gzip", None),
            layer("application/vnd.cncf.model.doc.v1.raw", Some((PATHS[0], "README.md"))),
            layer("application/vnd.cncf.model.dataset.v1.tar+zstd", None),
        ];
        let packed = |kind| part(&format!("{}.tar", "a".repeat(64)), Some(kind));
        let files = vec![packed(Kind::Tar), packed(Kind::Gzip), part("README.md", None)];
        assert_eq!(content(&json!({"layers": layers})), Ok(Content::Files(files)));
        assert_eq!(content(&json!({"layers": [layers[0], layers[3]]})), Ok(Content::File(blob())));
    }

    #[test]
    fn of_an_index_the_only_model_is_taken_or_the_only_manifest() {
        let entry = |letter: &str, kind: &str| json!({"digest": format!("sha256:{}", letter.repeat(64)), "artifactType": kind});
        let chosen = |entries: &[Value]| Manifest::read(json!({"manifests": entries}).to_string().as_bytes()).unwrap().chosen();
        let (model, other) = (entry("a", ARTIFACT), entry("b", "application/x"));
        let taken = |letter: &str| Ok(Some(format!("sha256:{}", letter.repeat(64))));
        assert_eq!(chosen(&[other.clone(), model.clone()]), taken("a"));
        assert_eq!(chosen(std::slice::from_ref(&other)), taken("b"));
        for (entries, words) in [
            (vec![], "an index of 0 manifests"),
            (vec![other.clone(), other], "of 2 manifests, 0 of them of the type"),
            (vec![model.clone(), model], "of 2 manifests, 2 of them of the type"),
            (vec![json!({"digest": "sha512:12"})], "'sha512:12'; expected sha256"),
        ] {
            let message = chosen(&entries).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn what_is_no_model_is_refused_with_what_was_found() {
        let (raw, archive) = (layer("a/raw", None), layer("application/x.tar", None));
        let data = layer("application/vnd.cncf.model.dataset.v1.raw", Some((PATHS[0], "train.csv")));
        for (manifest, words) in [
            (json!({"manifests": []}), "lists an index"),
            (json!({"layers": []}), "no layers"),
            (json!({"layers": [data]}), "data alone"),
            (json!({"layers": [archive, raw]}), "1 of its 2 layers are archives"),
            (json!({"layers": [raw, raw]}), "has no path in org.cncf.model.filepath"),
            (json!({"layers": [layer("application/vnd.cncf.model.weight.v1.tar+zstd", None)]}), "compressed with zstd"),
            (json!({"layers": [{"mediaType": "a", "digest": "sha512:12", "size": 1}]}), "'sha512:12'; expected sha256"),
            (json!({"layers": 1}), "cannot be read"),
        ] {
            let message = content(&manifest).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
