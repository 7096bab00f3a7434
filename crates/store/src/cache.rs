//! The content-addressed cache on disk, shared by processes.
//!
//! ```text
//! sha256/<digest>/about.json     what lies in content/, with the sum of each file
//! sha256/<digest>/content/...    model.onnx, or an archive's files
//! urls/<key>.json                which digest a URL gave last, and its validators
//! partial/<key>.part, .json      a download under way, or cut; kept for the next attempt
//! locks/<key>.lock
//! tmp/...                        entries being made; they move to sha256/ whole
//! ```
//! An entry is immutable, and what is in it is hashed again before it is used: a damaged one is fetched anew.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Artifact, Limits, StoreError, digest, evict, layout};

/// Paths in the cache directory.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    pub(super) root: PathBuf,
}

/// One file of an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Relative to `content/`.
    pub(super) path: PathBuf,
    /// Its SHA-256.
    pub(super) sha256: String,
}

/// `about.json`.
#[derive(Serialize, Deserialize)]
struct About {
    /// Bytes of the artefact as it came.
    bytes: u64,
    files: Vec<Kept>,
}

/// What a URL gave last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The artefact's SHA-256.
    pub(super) digest: String,
    /// What the server said to tell versions apart.
    pub(super) validator: super::remote::Validator,
    /// When, in nanoseconds since 1970: no two writes leave the same entry.
    pub(super) at: u128,
}

/// Left-overs of crashed processes are removed after this long.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);

impl Cache {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn lock_path(&self, key: &str) -> PathBuf {
        self.root.join("locks").join(format!("{key}.lock"))
    }

    pub(super) fn part_path(&self, key: &str) -> PathBuf {
        self.root.join("partial").join(format!("{key}.part"))
    }

    fn url_path(&self, key: &str) -> PathBuf {
        self.root.join("urls").join(format!("{key}.json"))
    }

    fn entry_path(&self, digest: &str) -> PathBuf {
        self.root.join("sha256").join(digest)
    }

    /// Of a file that is kept here the folder that all files of its artefact lie in.
    pub(super) fn content_of(&self, file: &Path) -> Option<PathBuf> {
        let kept = self.root.join("sha256");
        let digest = file.strip_prefix(&kept).ok()?.components().next()?;
        Some(kept.join(digest).join("content"))
    }

    /// What `key`'s URL gave last, if that is known. An entry that cannot be read counts as unknown.
    pub(super) fn known(&self, key: &str) -> Option<Known> {
        serde_json::from_slice(&fs::read(self.url_path(key)).ok()?).ok()
    }

    /// Remembers what `key`'s URL gave.
    pub(super) fn remember(&self, key: &str, digest: &str, validator: super::remote::Validator) -> Result<(), StoreError> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        self.write(&self.url_path(key), &Known { digest: digest.to_owned(), validator, at })
    }

    /// The artefact of that digest, if it is here and undamaged. Hashes all of it: runs on a blocking thread.
    pub(super) fn find(&self, digest: &str) -> Result<Option<Artifact>, StoreError> {
        let entry = self.entry_path(digest);
        let about = match fs::read(entry.join("about.json")) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(StoreError::disk(format!("cannot read {}", entry.display()), cause)),
        };
        let content = entry.join("content");
        let about = serde_json::from_slice::<About>(&about).ok().filter(|about| {
            about.files.iter().all(|file| digest::of_file(&content.join(&file.path)).is_ok_and(|(sum, _)| sum == file.sha256))
        });
        let Some(about) = about else {
            tracing::warn!(entry = %entry.display(), "damaged: removed from the cache");
            self.discard(&entry)?;
            return Ok(None);
        };
        self.touch(&entry);
        Ok(Some(Artifact::whole(layout::find_model(&content)?, digest, about.bytes)))
    }

    /// Makes the entry of an artefact of `bytes` bytes: `fill` puts its files into the folder that it is given. Then entries that
    /// nobody has used for long go, until the cache is within its bounds again.
    pub(super) fn insert<F>(&self, digest: &str, bytes: u64, limits: &Limits, fill: F) -> Result<Artifact, StoreError>
    where
        F: FnOnce(&Path) -> Result<Vec<Kept>, StoreError>,
    {
        self.sweep();
        let entry = self.entry_path(digest);
        make_parent(&entry)?;
        let making = self.temporary("entry");
        let content = making.path.join("content");
        fs::create_dir_all(&content).map_err(|cause| StoreError::disk(format!("cannot make {}", content.display()), cause))?;
        let files = fill(&content)?;
        let model = layout::find_model(&content)?;
        let model = entry.join("content").join(model.strip_prefix(&content).unwrap_or(&model));
        self.write(&making.path.join("about.json"), &About { bytes, files })?;
        match fs::rename(&making.path, &entry) {
            Ok(()) => {}
            // Another process that did not wait for the lock was faster: its entry is the same.
            Err(_) if entry.join("about.json").exists() => {}
            Err(cause) => return Err(StoreError::disk(format!("cannot make {}", entry.display()), cause)),
        }
        evict::evict(self, limits);
        Ok(Artifact::whole(model, digest, bytes))
    }

    /// Notes that an entry is used now. On a cache that may not be written nothing is ever evicted either.
    fn touch(&self, entry: &Path) {
        let touched = File::open(entry.join("about.json")).and_then(|about| about.set_modified(SystemTime::now()));
        if let Err(error) = touched {
            tracing::debug!(entry = %entry.display(), %error, "its last use is not noted");
        }
    }

    /// Writes a small JSON file whole or not at all.
    pub(super) fn write(&self, path: &Path, content: &impl Serialize) -> Result<(), StoreError> {
        let failed = |cause| StoreError::disk(format!("cannot write {}", path.display()), cause);
        make_parent(path)?;
        let new = self.temporary("json");
        make_parent(&new.path)?;
        let json = serde_json::to_vec_pretty(content).map_err(|error| failed(error.into()))?;
        fs::write(&new.path, json).map_err(failed)?;
        File::open(&new.path).and_then(|file| file.sync_all()).map_err(failed)?;
        fs::rename(&new.path, path).map_err(failed)
    }

    /// A fresh path in `tmp/`; what is there when it is dropped is removed.
    fn temporary(&self, what: &str) -> Temporary {
        Temporary { path: self.root.join("tmp").join(format!("{what}-{}", unique())) }
    }

    /// Takes an entry out at once, then removes it.
    pub(super) fn discard(&self, entry: &Path) -> Result<(), StoreError> {
        let away = self.temporary("damaged");
        make_parent(&away.path)?;
        match fs::rename(entry, &away.path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::disk(format!("cannot remove {}", entry.display()), cause))
            }
            _ => Ok(()),
        }
    }

    /// Removes what crashed processes left long ago. Never fails: it only saves space.
    fn sweep(&self) {
        for folder in ["tmp", "partial"] {
            for entry in fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten() {
                let age = entry.metadata().and_then(|about| about.modified()).ok().and_then(|at| at.elapsed().ok());
                if age.is_some_and(|age| age > STALE) {
                    remove(&entry.path());
                }
            }
        }
    }
}

/// A file or folder that lives no longer than this.
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes a file or a folder, if it is there; a failure costs space only, and is logged.
pub(super) fn remove(path: &Path) {
    let outcome = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return,
    };
    if let Err(error) = outcome
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove from the cache");
    }
}

pub(super) fn make_parent(path: &Path) -> Result<(), StoreError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::create_dir_all(parent)
        .map_err(|cause| StoreError::disk(format!("cannot make the cache folder {}", parent.display()), cause))
}

/// A name that no other process or call uses.
pub(super) fn unique() -> String {
    format!("{}-{:016x}", std::process::id(), random())
}

/// 64 random bits, by the seed that the standard library draws for each hash map.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u8)
}
