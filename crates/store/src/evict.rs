//! Keeps the cache within its bounds: the entries unused for longest go first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Limits;
use super::cache::Cache;

/// One entry on disk.
#[derive(Debug)]
struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// Removes entries until the rest is within [`Limits::max_cache_bytes`], but none that was used lately: a process that has
/// found it may not have read it yet. Never fails: what cannot be read or removed is logged, and costs space only.
pub(super) fn evict(cache: &Cache, limits: &Limits) {
    let mut entries = entries(cache);
    let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
    entries.sort_by_key(|entry| entry.used);
    for entry in entries {
        let unused = entry.used.elapsed().unwrap_or(Duration::ZERO);
        if bytes <= limits.max_cache_bytes || unused < limits.in_use {
            break;
        }
        match cache.discard(&entry.path) {
            Ok(()) => {
                bytes -= entry.bytes;
                tracing::info!(entry = %entry.path.display(), bytes = entry.bytes, ?unused, "removed from the full cache");
            }
            Err(error) => tracing::warn!(%error, "the cache is over its limit"),
        }
    }
    if bytes > limits.max_cache_bytes {
        let limit = limits.max_cache_bytes;
        tracing::warn!(bytes, limit, "the cache is over its limit (--cache-limit), and what is in it was used lately");
    }
}

/// Every complete entry, with the bytes that it takes.
fn entries(cache: &Cache) -> Vec<Entry> {
    let folders = fs::read_dir(cache.root.join("sha256")).into_iter().flatten().flatten();
    let of = |path: PathBuf| {
        let used = fs::metadata(path.join("about.json"))?.modified()?;
        Ok::<_, io::Error>(Entry { bytes: size(&path)?, used, path })
    };
    // One that another process takes away meanwhile needs no counting.
    folders.filter_map(|folder| of(folder.path()).ok()).collect()
}

/// Bytes of the files in a folder, and in those below it.
fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}
