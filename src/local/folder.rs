//! The folder for servers' ports and last words. It goes with us; one that was left behind, by `kill -9` or a power cut, goes at
//! the next start.
//!
//! Each holds a lock for as long as its owner lives: the system lets go of it whatever the owner's end. Process ids would not do,
//! since they are used again.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

const PREFIX: &str = "modelyard-local-";
const LOCK: &str = "lock";

/// A folder that is ours, and known to be.
pub(super) struct Folder {
    folder: TempDir,
    _lock: File,
}

impl Folder {
    /// Makes one in `parent`, and removes those there whose owners are gone.
    pub(super) fn new(parent: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // Locked before it bears its name, or another one that starts now might take it for left behind.
        let unnamed = folder.path().join("lock.new");
        let lock = File::create(&unnamed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        fs::rename(unnamed, folder.path().join(LOCK))?;
        if let Err(error) = sweep(parent) {
            // What others left is no reason not to start.
            tracing::debug!(%error, "cannot look for folders left behind");
        }
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        // Links are not followed, and other users' folders not touched.
        let own = entry.metadata().is_ok_and(|about| about.is_dir() && about.uid() == rustix::process::geteuid().as_raw());
        if !own || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::debug!(%error, folder = %entry.path().display(), "cannot remove a folder left behind");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_goes_and_what_the_living_have_stays() {
        let parent = tempfile::tempdir().unwrap();
        let living = Folder::new(parent.path()).unwrap();
        let dead = Folder::new(parent.path()).unwrap();
        fs::write(dead.path().join("ports.json"), "{}").unwrap();
        // As after `kill -9`: the folder is there, and nobody has the lock.
        let left = { dead }.folder.keep();
        let (unknown, foreign) = (parent.path().join("modelyard-local-unlocked"), parent.path().join("other"));
        for folder in [&unknown, &foreign] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(foreign.join(LOCK), "").unwrap();
        std::os::unix::fs::symlink(&foreign, parent.path().join("modelyard-local-link")).unwrap();
        let new = Folder::new(parent.path()).unwrap();
        assert!(!left.exists());
        assert!([living.path(), new.path(), &unknown, &foreign.join(LOCK)].iter().all(|path| path.exists()));
        let path = new.path().to_owned();
        drop(new);
        assert!(!path.exists());
    }
}
