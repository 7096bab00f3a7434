//! A folder in a store: its files are downloaded one after the other, each resumed by itself, and kept as one entry of the cache.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::address::Address;
use super::download::{Done, Download, Listed};
use super::validator::Validator;
use super::{Task, cached, known};
use crate::archive;
use crate::cache::{self, Kept};
use crate::content::Kind;
use crate::lock::{self, Waited};
use crate::partial::Partial;
use crate::{Artifact, Limits, Progress, Store, StoreError, blocking, digest};

/// One file of a folder.
#[derive(Clone)]
pub(super) struct Member {
    /// Its path within the folder.
    pub(super) path: String,
    /// Where to get it.
    pub(super) address: Address,
    pub(super) bytes: u64,
    /// The tag of its version.
    pub(super) tag: String,
    /// Whether the address names the version by itself, so that no answer needs to be compared with the tag.
    pub(super) pinned: bool,
    /// Its sum, where the store names it.
    pub(super) sha256: Option<String>,
    /// Of an archive its kind: what it holds lies in the folder in its place.
    pub(super) packed: Option<Kind>,
}

/// What a store says that a folder holds.
pub(super) struct Folder {
    /// What names it in the cache, and in messages.
    pub(super) identity: String,
    pub(super) uri: String,
    /// The name of its version, where its store has one for the whole.
    pub(super) version: Option<String>,
    pub(super) members: Vec<Member>,
}

/// A file that is here.
struct Arrived {
    path: PathBuf,
    sha256: String,
    partial: Arc<Mutex<Partial>>,
    packed: Option<Kind>,
}

impl Folder {
    /// Of the whole listing: another one is another version.
    fn listing(&self) -> String {
        let lines: Vec<_> = self.members.iter().map(|one| format!("{}\0{}\0{}\n", one.path, one.bytes, one.tag)).collect();
        digest::of_bytes(lines.concat().as_bytes())
    }

    fn bytes(&self) -> u64 {
        self.members.iter().map(|one| one.bytes).fold(0, u64::saturating_add)
    }

    /// Refuses what no model is, before anything is downloaded.
    fn check(&self, store: &Store) -> Result<(), StoreError> {
        let (limits, uri) = (&store.limits, &self.uri);
        if self.members.len() > limits.max_entries {
            return Err(StoreError::Invalid(format!("{uri} holds more than the limit of {} files", limits.max_entries)));
        }
        if self.bytes() > limits.max_artifact_bytes {
            let (bytes, limit) = (self.bytes(), limits.max_artifact_bytes);
            return Err(StoreError::Invalid(format!("{uri} holds {bytes} bytes, more than the limit of {limit}")));
        }
        let mut paths = HashSet::new();
        for member in &self.members {
            if !paths.insert(archive::safe(member.path.as_bytes())?) {
                return Err(StoreError::Invalid(format!("{uri} holds '{}' twice", member.path)));
            }
        }
        Ok(())
    }

    /// Brings the folder into the cache, or finds it there.
    pub(super) async fn fetch(&self, task: &Task<'_>) -> Result<Artifact, StoreError> {
        let (store, progress, expected) = (task.store, task.progress, &task.expected);
        self.check(store)?;
        let (key, listing) = (key(&self.identity), self.listing());
        let (lock_key, lock) = match lock::acquire(&store.cache, &format!("url-{key}"), &store.limits, progress).await? {
            Waited::Held(lock) => (key.clone(), Some(Arc::new(lock))),
            Waited::Stuck => (format!("{key}-{}", cache::unique()), None),
        };
        // Another process may have brought it while we waited.
        if let Some(known) = known(store, &key).await?
            && known.validator.is_tag(&listing)
            && let Some(artifact) = cached(store, Some(&known.digest), progress).await?
        {
            return named_by_its_model(self.versioned(artifact), &self.uri, expected.clone()).await;
        }
        let mut arrived = Vec::with_capacity(self.members.len());
        let mut before = 0;
        for member in &self.members {
            let of = digest::of_bytes(format!("{}\0{}\0{}", self.identity, member.path, member.tag).as_bytes());
            // Each file has its own start on the disk, and that of another version is none for this one.
            let part = format!("url-{lock_key}-{}", &of[..16]);
            let (cache, lock) = (store.cache.clone(), lock.clone());
            let partial = blocking(move || Partial::open(&cache, &part, &of, lock)).await?;
            arrived.push(self.member(member, Arc::new(Mutex::new(partial)), before, task).await?);
            before += member.bytes;
        }
        let artifact = keep(store, arrived, self.bytes()).await?;
        let (cache, digest) = (store.cache.clone(), artifact.digest.clone());
        let validator = Validator { version: self.version.clone(), ..Validator::tag(listing) };
        blocking(move || cache.remember(&key, &digest, validator)).await?;
        named_by_its_model(self.versioned(artifact), &self.uri, expected.clone()).await
    }

    fn versioned(&self, artifact: Artifact) -> Artifact {
        Artifact { version: self.version.clone(), ..artifact }
    }

    async fn member(
        &self,
        member: &Member,
        partial: Arc<Mutex<Partial>>,
        before: u64,
        task: &Task<'_>,
    ) -> Result<Arrived, StoreError> {
        let (store, progress) = (task.store, task.progress);
        let listed = Listed {
            size: Some(member.bytes),
            tag: (!member.pinned).then(|| member.tag.clone()),
            among: Some((before, self.bytes())),
        };
        let expected = member.sha256.as_ref();
        let address = &member.address;
        let download = Download { store, progress, address, expected, known: None, partial: Arc::clone(&partial), listed };
        match download.run().await? {
            Done::Complete { digest, bytes } if bytes == member.bytes => {
                Ok(Arrived { path: archive::safe(member.path.as_bytes())?, sha256: digest, partial, packed: member.packed })
            }
            Done::Complete { bytes, .. } => {
                partial.lock().remove();
                let (path, listed) = (&member.path, member.bytes);
                Err(StoreError::Unavailable(format!("{}: {path} has {bytes} bytes where {listed} were listed", self.uri)))
            }
            Done::NotModified => Err(StoreError::Unavailable(format!("{} answered 304 unasked", address.shown()))),
        }
    }
}

/// What names a folder in the cache: never what a file of the same name has.
pub(super) fn key(identity: &str) -> String {
    digest::of_bytes(format!("folder\0{identity}").as_bytes())
}

/// The folder as it was last brought, where its store does not answer.
pub(super) async fn last_copy(identity: &str, store: &Store, progress: &Progress) -> Result<Option<Artifact>, StoreError> {
    let Some(known) = known(store, &key(identity)).await? else { return Ok(None) };
    let artifact = cached(store, Some(&known.digest), progress).await?;
    Ok(artifact.map(|artifact| Artifact { version: known.validator.version, ..artifact }))
}

/// A folder's sum is that of its model's file, as it is for a folder on this machine's disk.
pub(crate) async fn named_by_its_model(artifact: Artifact, uri: &str, expected: Option<String>) -> Result<Artifact, StoreError> {
    let uri = uri.to_owned();
    blocking(move || {
        let (digest, bytes) = digest::of_file(&artifact.model).map_err(|cause| StoreError::file(&artifact.model, cause))?;
        StoreError::check_sum(&uri, expected.as_ref(), &digest)?;
        Ok(Artifact { digest, bytes, ..artifact })
    })
    .await
}

/// Makes one entry of the files.
async fn keep(store: &Store, arrived: Vec<Arrived>, bytes: u64) -> Result<Artifact, StoreError> {
    let (cache, limits) = (store.cache.clone(), store.limits.clone());
    blocking(move || {
        let mut lines: Vec<_> = arrived.iter().map(|one| format!("{}\0{}\n", one.path.display(), one.sha256)).collect();
        lines.sort();
        let digest = digest::of_bytes(lines.concat().as_bytes());
        let artifact = match cache.find(&digest)? {
            Some(artifact) => Ok(artifact),
            None => cache.insert(&digest, bytes, &limits, |into| place(&arrived, into, &limits)),
        };
        for one in &arrived {
            one.partial.lock().remove();
        }
        artifact
    })
    .await
}

/// Puts the files into the folder `into`, and then what archives hold: an archive never replaces a file.
fn place(arrived: &[Arrived], into: &Path, limits: &Limits) -> Result<Vec<Kept>, StoreError> {
    let mut kept = Vec::with_capacity(arrived.len());
    for one in arrived.iter().filter(|one| one.packed.is_none()) {
        let to = into.join(&one.path);
        cache::make_parent(&to)?;
        let partial = one.partial.lock();
        std::fs::rename(partial.path(), &to)
            .map_err(|cause| StoreError::disk(format!("cannot move {}", partial.path().display()), cause))?;
        kept.push(Kept { path: one.path.clone(), sha256: one.sha256.clone() });
    }
    let mut unpacked = 0_u64;
    for one in arrived {
        let Some(kind) = one.packed else { continue };
        let files = archive::unpack(one.partial.lock().path(), kind, into, limits)?;
        let sizes = files.iter().filter_map(|file| std::fs::metadata(into.join(&file.path)).ok());
        unpacked = sizes.map(|about| about.len()).fold(unpacked, u64::saturating_add);
        kept.extend(files);
        // Each archive is bounded by itself; here all of them together.
        if unpacked > limits.max_unpacked_bytes || kept.len() > limits.max_entries {
            let (most, bytes) = (limits.max_entries, limits.max_unpacked_bytes);
            return Err(StoreError::Invalid(format!("its archives hold more than the limits of {most} files and {bytes} bytes")));
        }
    }
    Ok(kept)
}
