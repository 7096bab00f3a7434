//! One fetch at a time per artefact, among all processes that share the cache.
//!
//! The lock is the kernel's (`flock`), so it dies with its holder, however that dies. Lock files stay: removing one that
//! another process has just opened would give two holders.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::cache::Cache;
use super::limits::Limits;
use super::{Progress, StoreError, blocking};

/// Held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// How waiting for a lock ended.
#[derive(Debug)]
pub(super) enum Waited {
    /// Ours.
    Held(Lock),
    /// The holder lives but brings nothing: to go on without it, and without its files.
    Stuck,
}

/// Waits until nobody else fetches `key`, and reports the other's progress as ours meanwhile.
///
/// The kernel offers no wait that a future could drop and none that ends with the holder's standstill, hence the polling.
pub(super) async fn acquire(cache: &Cache, key: &str, limits: &Limits, progress: &Progress) -> Result<Waited, StoreError> {
    let (path, part) = (cache.lock_path(key), cache.part_path(key));
    let mut pause = Duration::from_millis(5);
    let mut seen = 0;
    let mut moved = Instant::now();
    loop {
        let at = path.clone();
        if let Some(lock) = blocking(move || try_lock(&at)).await? {
            return Ok(Waited::Held(lock));
        }
        let now = fs::metadata(&part).map_or(0, |about| about.len());
        if now != seen {
            (seen, moved) = (now, Instant::now());
            progress.set(now, progress.read().1);
        } else if moved.elapsed() > limits.patience() {
            tracing::warn!(lock = %path.display(), "another process holds the lock and brings nothing; fetching without it");
            return Ok(Waited::Stuck);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

fn try_lock(path: &Path) -> Result<Option<Lock>, StoreError> {
    let failed = |cause| StoreError::disk(format!("cannot lock {}", path.display()), cause);
    super::cache::make_parent(path)?;
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}
