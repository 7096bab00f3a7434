//! What a manifest lists: a model's files by their paths, or one archive of them. Layers of the CNCF's ModelPack name a path in
//! `org.cncf.model.filepath`, those that ORAS pushes in `org.opencontainers.image.title`.

use std::collections::HashMap;

use serde::Deserialize;

const PATHS: [&str; 2] = ["org.cncf.model.filepath", "org.opencontainers.image.title"];

#[derive(Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    layers: Vec<Listed>,
    /// Of an index.
    manifests: Option<Vec<serde_json::Value>>,
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

/// What is to be fetched.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// One file without a path, or one archive.
    File(Layer),
    /// Files by their paths.
    Files(Vec<(String, Layer)>),
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

impl Manifest {
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| format!("its manifest cannot be read: {error}"))
    }

    /// # Errors
    /// Why no model can be made of it.
    pub(super) fn content(self) -> Result<Content, String> {
        if let Some(manifests) = &self.manifests {
            let (count, of) = (manifests.len(), "the reference is an index");
            return Err(format!("{of} of {count} manifests; expected one manifest: name its digest"));
        }
        let archives = self.layers.iter().filter(|layer| is_archive(&layer.media_type)).count();
        let (several, alone) = (self.layers.len() > 1, self.layers.len() == 1);
        if several && archives > 0 {
            let all = self.layers.len();
            return Err(format!("{archives} of its {all} layers are archives; expected files, or one archive alone"));
        }
        let mut files = Vec::with_capacity(self.layers.len());
        for layer in self.layers {
            let path = PATHS.iter().find_map(|name| layer.annotations.get(*name)).cloned();
            let is_archive = is_archive(&layer.media_type);
            let Some(sum) = sum(&layer.digest) else {
                return Err(format!("a layer's digest is '{}'; expected sha256", layer.digest));
            };
            let blob = Layer { sum, size: layer.size };
            match path {
                _ if alone && is_archive => return Ok(Content::File(blob)),
                Some(path) => files.push((path, blob)),
                None if alone => return Ok(Content::File(blob)),
                None => return Err(format!("the layer {} has no path in {} or {}", layer.digest, PATHS[0], PATHS[1])),
            }
        }
        if files.is_empty() {
            return Err("its manifest lists no layers".to_owned());
        }
        Ok(Content::Files(files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn layer(media_type: &str, path: Option<(&str, &str)>) -> Value {
        let annotations: HashMap<_, _> = path.into_iter().collect();
        json!({"mediaType": media_type, "digest": format!("sha256:{}", "A".repeat(64)), "size": 5, "annotations": annotations})
    }

    fn content(manifest: &Value) -> Result<Content, String> {
        Manifest::read(manifest.to_string().as_bytes())?.content()
    }

    #[test]
    fn files_and_one_archive_are_found() {
        let blob = || Layer { sum: "a".repeat(64), size: 5 };
        let raw = "application/vnd.cncf.model.weight.v1.raw";
        let two = [layer(raw, Some((PATHS[0], "m.onnx"))), layer("application/json", Some((PATHS[1], "sample.json")))];
        let files = vec![("m.onnx".to_owned(), blob()), ("sample.json".to_owned(), blob())];
        assert_eq!(content(&json!({"layers": two})), Ok(Content::Files(files)));
        let archive = layer("application/vnd.oci.image.layer.v1.tar+gzip", Some((PATHS[1], "model.tar.gz")));
        assert_eq!(content(&json!({"layers": [archive]})), Ok(Content::File(blob())));
        assert_eq!(content(&json!({"layers": [layer("application/octet-stream", None)]})), Ok(Content::File(blob())));
    }

    #[test]
    fn what_is_no_model_is_refused_with_what_was_found() {
        let (raw, archive) = (layer("a/raw", None), layer("application/x.tar", None));
        for (manifest, words) in [
            (json!({"manifests": [{}, {}]}), "index of 2 manifests"),
            (json!({"layers": []}), "no layers"),
            (json!({"layers": [archive, raw]}), "1 of its 2 layers are archives"),
            (json!({"layers": [raw, raw]}), "has no path in org.cncf.model.filepath"),
            (json!({"layers": [{"mediaType": "a", "digest": "sha512:12", "size": 1}]}), "'sha512:12'; expected sha256"),
            (json!({"layers": 1}), "cannot be read"),
        ] {
            let message = content(&manifest).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
