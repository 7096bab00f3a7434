//! `file:`: what is on this machine's disk already. A model is used where it lies; an archive is unpacked into the cache.

use std::fs;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::content::{self, Kind};
use super::lock::{self, Waited};
use super::{Artifact, Limits, Progress, Store, StoreError, archive, blocking, digest, files, layout};

/// What lies at a `file:` uri.
enum Found {
    /// A model, ready to use.
    Model(Artifact),
    /// An archive, with its sum.
    Archive { path: PathBuf, kind: Kind, digest: String, bytes: u64 },
}

pub(super) async fn fetch(
    uri: &str,
    expected: Option<String>,
    store: &Store,
    progress: &Progress,
) -> Result<Artifact, StoreError> {
    let path = path_of(uri)?;
    let (uri, limits) = (uri.to_owned(), store.limits.clone());
    let (path, kind, digest, bytes) = match blocking(move || look(&path, (&uri, expected.as_ref()), &limits)).await? {
        Found::Model(artifact) => {
            progress.set(artifact.bytes, artifact.bytes);
            return Ok(artifact);
        }
        Found::Archive { path, kind, digest, bytes } => (path, kind, digest, bytes),
    };
    let (cache, limits) = (store.cache.clone(), store.limits.clone());
    let lock = match lock::acquire(&cache, &digest, &limits, progress).await? {
        Waited::Held(lock) => Some(lock),
        Waited::Stuck => None,
    };
    progress.set(bytes, bytes);
    blocking(move || {
        let _lock = lock;
        match cache.find(&digest)? {
            Some(artifact) => Ok(artifact),
            None => cache.insert(&digest, bytes, &limits, |into| archive::unpack(&path, kind, into, &limits)),
        }
    })
    .await
}

fn look(path: &Path, (uri, expected): (&str, Option<&String>), limits: &Limits) -> Result<Found, StoreError> {
    let about = fs::metadata(path).map_err(|cause| StoreError::file(path, cause))?;
    let (model, kind) = if about.is_dir() {
        (layout::find_model(path)?, Kind::Model)
    } else if about.is_file() {
        (path.to_owned(), content::kind(path, &path.display().to_string())?)
    } else {
        return Err(StoreError::Invalid(format!("{} is neither a file nor a folder", path.display())));
    };
    let (digest, bytes) = digest::of_file(&model).map_err(|cause| StoreError::file(&model, cause))?;
    StoreError::check_sum(uri, expected, &digest)?;
    Ok(match kind {
        Kind::Model => {
            let content = if about.is_dir() { files::sum_beside(&model, limits) } else { digest.clone() };
            Found::Model(Artifact { model, digest, bytes, content, version: None })
        }
        kind => Found::Archive { path: model, kind, digest, bytes },
    })
}

/// The path of `file:relative`, `file:/absolute`, `file:///absolute` and `file://localhost/absolute`. Percent-encoding is
/// undone if no file has the name as it is written.
pub(super) fn path_of(uri: &str) -> Result<PathBuf, StoreError> {
    let rest = uri.split_once(':').map_or("", |(_, rest)| rest);
    let written = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => match rest.strip_prefix("localhost").unwrap_or(rest) {
            path if path.starts_with('/') => path,
            _ => {
                return Err(StoreError::Invalid(format!(
                    "'{uri}' names a host; expected file:relative/path, file:/absolute/path or file:///absolute/path"
                )));
            }
        },
    };
    if written.is_empty() {
        return Err(StoreError::Invalid(format!("expected a path after 'file:', found '{uri}'")));
    }
    let plain = PathBuf::from(written);
    match percent_decode_str(written).decode_utf8() {
        Ok(decoded) if decoded != written && !plain.exists() => Ok(PathBuf::from(decoded.as_ref())),
        _ => Ok(plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_of_a_path_is_read() {
        for (uri, path) in [
            ("file:models/m.onnx", "models/m.onnx"),
            ("file:/abs/m.onnx", "/abs/m.onnx"),
            ("file:///abs/my%20model.onnx", "/abs/my model.onnx"),
            ("file://localhost/abs", "/abs"),
            ("FILE:x", "x"),
        ] {
            assert_eq!(path_of(uri).unwrap(), Path::new(path), "{uri}");
        }
        for uri in ["file:", "file://host/m.onnx", "file://"] {
            assert_eq!(path_of(uri).unwrap_err().reason(), "ModelInvalid", "{uri}");
        }
    }
}
