//! The files of a folder on this machine, as an artefact of them has them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Artifact, Limits, Store, StoreError, archive, cache, content, digest};

/// Ends of what lies beside models where they are trained, grows there, and is read by no server.
const UNREAD: [&str; 9] = [".log", ".tmp", ".csv", ".parquet", ".md", ".yaml", ".yml", ".py", ".ipynb"];

/// Folders in one another that are looked into.
const DEPTH: usize = 16;

/// The regular files of a folder by their paths in it; hidden ones and what macOS adds are no part of a model.
///
/// # Errors
/// `Invalid` where a name or a number is beyond what an artefact may have.
pub(super) fn of_folder(folder: &Path, limits: &Limits) -> Result<BTreeMap<String, PathBuf>, StoreError> {
    let mut files = BTreeMap::new();
    walk(folder, "", DEPTH, &mut files, limits.max_entries)?;
    Ok(files)
}

fn walk(folder: &Path, at: &str, depth: usize, files: &mut BTreeMap<String, PathBuf>, most: usize) -> Result<(), StoreError> {
    if depth == 0 {
        return Err(StoreError::Invalid(format!("{} is more than {DEPTH} folders deep", folder.display())));
    }
    let failed = |cause| StoreError::disk(format!("cannot list {}", folder.display()), cause);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(StoreError::Invalid(format!("{} has a name that is not UTF-8", entry.path().display())));
        };
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        let (path, inside) = (entry.path(), format!("{at}{name}"));
        let about = fs::metadata(&path).map_err(|cause| StoreError::file(&path, cause))?;
        if about.is_dir() {
            walk(&path, &format!("{inside}/"), depth - 1, files, most)?;
        } else if about.is_file() {
            archive::safe(inside.as_bytes())?;
            files.insert(inside, path);
        } else {
            return Err(StoreError::Invalid(format!("{} is neither a file nor a folder", path.display())));
        }
        if files.len() > most {
            return Err(StoreError::Invalid(format!("{} holds more than the limit of {most} files", folder.display())));
        }
    }
    Ok(())
}

/// Copies all that belongs to an artefact into the folder `into`, which is made, whole or not at all; the paths of the files.
///
/// # Errors
/// `Invalid` where `into` is there and not empty; `Disk`.
pub(super) fn copy(artifact: &Artifact, uri: &str, store: &Store, into: &Path) -> Result<Vec<String>, StoreError> {
    let failed = |what: &str, path: &Path, cause| StoreError::disk(format!("cannot {what} {}", path.display()), cause);
    let files = of_artifact(artifact, uri, store)?;
    let taken = fs::read_dir(into).is_ok_and(|mut entries| entries.next().is_some()) || into.is_file();
    if taken {
        return Err(StoreError::Invalid(format!("{} is there already, and not an empty folder", into.display())));
    }
    cache::make_parent(into)?;
    // Beside it, so that it can be moved there.
    let name = into.file_name().unwrap_or_default().to_string_lossy();
    let making = Making(into.with_file_name(format!(".{name}.{}", cache::unique())));
    for (inside, file) in &files {
        let to = making.0.join(inside);
        cache::make_parent(&to)?;
        fs::copy(file, &to).map_err(|cause| failed("copy to", &to, cause))?;
    }
    fs::rename(&making.0, into).map_err(|cause| failed("make", into, cause))?;
    Ok(files.into_keys().collect())
}

/// What lies in the artefact's entry of the cache, else in the folder of this machine that its uri names, else the model alone.
fn of_artifact(artifact: &Artifact, uri: &str, store: &Store) -> Result<BTreeMap<String, PathBuf>, StoreError> {
    if let Some(content) = store.cache.content_of(&artifact.model) {
        return of_folder(&content, &store.limits);
    }
    let named = super::local::path_of(uri)?;
    if named.is_dir() {
        return of_folder(&named, &store.limits);
    }
    let name = artifact.model.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok([(name, artifact.model.clone())].into())
}

/// The SHA-256 over the paths and sums of what lies beside a model of this machine and may be read with it: external data, a sample, a
/// tokenizer. What cannot be read is no part of it; of more files than an artefact may have, only the model's own count.
pub(super) fn sum_beside(model: &Path, limits: &Limits) -> String {
    let folder = model.parent().unwrap_or(Path::new(""));
    let mut lines = Vec::new();
    let whole = lines_of(folder, "", DEPTH, &mut lines, limits.max_entries);
    if !whole {
        tracing::warn!(
            folder = %folder.display(),
            "too many files lie beside the model: only its own file is compared when it is loaded again"
        );
        lines.clear();
        lines.extend(line(model, "model"));
    }
    lines.sort();
    digest::of_bytes(lines.concat().as_bytes())
}

fn line(path: &Path, inside: &str) -> Option<String> {
    let (sum, _) = digest::of_file(path).ok()?;
    Some(format!("{inside}\0{sum}\n"))
}

/// False: there are more than `most`.
fn lines_of(folder: &Path, at: &str, depth: usize, lines: &mut Vec<String>, most: usize) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let unread = content::is_foreign(&name) || UNREAD.iter().any(|end| name.ends_with(end));
        if name.starts_with('.') || name == "__MACOSX" || unread {
            continue;
        }
        let (path, inside) = (entry.path(), format!("{at}{name}"));
        let Ok(about) = fs::metadata(&path) else { continue };
        if about.is_dir() && depth > 0 {
            if !lines_of(&path, &format!("{inside}/"), depth - 1, lines, most) {
                return false;
            }
        } else if about.is_file() {
            lines.extend(line(&path, &inside));
        }
        if lines.len() > most {
            return false;
        }
    }
    true
}

/// A folder that is removed unless it was moved away.
struct Making(PathBuf);

impl Drop for Making {
    fn drop(&mut self) {
        cache::remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_copied_is_whole_and_replaces_nothing() {
        let (root, limits) = (tempfile::tempdir().unwrap(), Limits::default());
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("from/1")).unwrap();
        fs::write(at("from/1/model.onnx"), "model").unwrap();
        fs::write(at("from/README.md"), "card").unwrap();
        fs::write(at("from/.hidden"), "no").unwrap();
        let store = Store::new(at("cache"), limits);
        let uri = format!("file:{}", at("from").display());
        let artifact = Artifact::whole(at("from/1/model.onnx"), "", 5);
        assert_eq!(copy(&artifact, &uri, &store, &at("a/b")).unwrap(), ["1/model.onnx", "README.md"]);
        assert_eq!(fs::read_to_string(at("a/b/1/model.onnx")).unwrap(), "model");
        assert!(!at("a/b/.hidden").exists());
        assert_eq!(fs::read_dir(at("a")).unwrap().count(), 1);
        let error = copy(&artifact, &uri, &store, &at("a/b")).unwrap_err();
        assert!(error.to_string().contains("is there already"), "{error}");
        fs::create_dir(at("empty")).unwrap();
        let uri = format!("{uri}/1/model.onnx");
        assert_eq!(copy(&artifact, &uri, &store, &at("empty")).unwrap(), ["model.onnx"]);
    }
}
