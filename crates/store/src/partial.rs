//! A download on disk, as far as it has come. It outlives a cut and a crash: the next attempt goes on where it ends.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cache::{self, Cache};
use super::lock::Lock;
use super::remote::Validator;
use super::{StoreError, digest};

/// The file, and the sum of what is in it.
#[derive(Debug)]
pub(super) struct Partial {
    cache: Cache,
    path: PathBuf,
    about: PathBuf,
    url: String,
    file: File,
    hasher: Sha256,
    bytes: u64,
    validator: Validator,
    resumed: bool,
    /// Held while anybody can write to the file, even if the fetch was dropped during a write.
    _lock: Option<Arc<Lock>>,
}

/// What the file beside the bytes says of them.
#[derive(Serialize, Deserialize)]
struct About {
    /// The URL's key: bytes of one URL are no start for another.
    url: String,
    validator: Validator,
}

impl Partial {
    /// Opens what an earlier attempt for `url` left under `key`, or starts anew.
    pub(super) fn open(cache: &Cache, key: &str, url: &str, lock: Option<Arc<Lock>>) -> Result<Self, StoreError> {
        let path = cache.part_path(key);
        let about = path.with_extension("json");
        cache::make_parent(&path)?;
        let failed = |cause| StoreError::disk(format!("cannot open {}", path.display()), cause);
        let mut file = File::options().create(true).truncate(false).read(true).append(true).open(&path).map_err(failed)?;
        let left = fs::read(&about).ok().and_then(|json| serde_json::from_slice::<About>(&json).ok());
        let mut hasher = Sha256::new();
        let (bytes, validator) = match left.filter(|left| left.url == url) {
            Some(left) => (digest::update_from(&mut hasher, &mut file).map_err(failed)?, left.validator),
            None => {
                file.set_len(0).map_err(failed)?;
                (0, Validator::default())
            }
        };
        let (cache, url) = (cache.clone(), url.to_owned());
        Ok(Self { cache, path, about, url, file, hasher, bytes, validator, resumed: bytes > 0, _lock: lock })
    }

    /// Bytes that are here.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Of which version of the artefact these bytes are.
    pub(super) const fn validator(&self) -> &Validator {
        &self.validator
    }

    /// Whether the bytes came in several pieces, which a careless server may have taken from different versions.
    pub(super) const fn was_resumed(&self) -> bool {
        self.resumed
    }

    /// The next bytes go on from those that are here.
    pub(super) fn resume(&mut self) {
        self.resumed |= self.bytes > 0;
    }

    /// Forgets the bytes that are here; those of `validator`'s version follow.
    pub(super) fn restart(&mut self, validator: Validator) -> Result<(), StoreError> {
        self.file.set_len(0).map_err(|cause| StoreError::disk(format!("cannot empty {}", self.path.display()), cause))?;
        (self.hasher, self.bytes, self.resumed) = (Sha256::new(), 0, false);
        self.validator = validator.clone();
        self.cache.write(&self.about, &About { url: self.url.clone(), validator })
    }

    /// Adds bytes.
    pub(super) fn append(&mut self, pieces: &[Bytes]) -> Result<(), StoreError> {
        for piece in pieces {
            if let Err(cause) = self.file.write_all(piece) {
                // A full disk is not kept full.
                self.remove();
                return Err(StoreError::disk(format!("cannot write {}", self.path.display()), cause));
            }
            self.hasher.update(piece);
            self.bytes += piece.len() as u64;
        }
        Ok(())
    }

    /// All bytes are here, and safe on the disk: their sum.
    pub(super) fn finish(&mut self) -> Result<String, StoreError> {
        self.file.sync_all().map_err(|cause| StoreError::disk(format!("cannot write {}", self.path.display()), cause))?;
        Ok(digest::hex(self.hasher.clone()))
    }

    /// Where the bytes are.
    pub(super) const fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Removes the bytes.
    pub(super) fn remove(&self) {
        cache::remove(&self.path);
        cache::remove(&self.about);
    }
}
