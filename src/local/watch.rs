//! Whether the files, or the models that they name, have changed: told by the system where it can, looked up now and then where it cannot.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, watch};

use super::events::Event;
use super::models::Models;

/// Between two looks, for filesystems that tell nothing (network shares, some containers' mounts).
const LOOK: Duration = Duration::from_secs(2);
/// An editor writes in several steps; the files count once they have been still for so long.
const STILL: Duration = Duration::from_millis(100);

/// Sends [`Event::Edited`] whenever the content of the files, or what lies at the paths of the `models` that were taken last, is
/// another than before, until nobody listens.
pub(super) async fn watch(files: Vec<PathBuf>, mut models: watch::Receiver<Models>, events: mpsc::UnboundedSender<Event>) {
    // What came by standard input is kept, and does not change.
    let files: Vec<PathBuf> = files.into_iter().filter(|file| file != Path::new("-")).collect();
    let (touched, mut touches) = mpsc::channel(1);
    let mut taken = models.borrow_and_update().clone();
    // Held for as long as this runs: it stops watching when dropped.
    let mut watcher = Some(watcher(&files, &taken, touched.clone()));
    let mut known = (fingerprint(&files), taken.clone());
    loop {
        tokio::select! {
            _ = touches.recv() => {}
            changed = models.changed() => {
                if changed.is_err() {
                    return;
                }
                // What was taken, not what is there now: that may be another thing again.
                let new = models.borrow_and_update().clone();
                if new.0.keys().ne(taken.0.keys()) {
                    // The old one first: the system grants only so many.
                    drop(watcher.take());
                    watcher = Some(self::watcher(&files, &new, touched.clone()));
                }
                (taken, known.1) = (new.clone(), new);
            }
            () = tokio::time::sleep(LOOK) => {}
        }
        let mut now = (fingerprint(&files), taken.now());
        if now == known {
            continue;
        }
        loop {
            tokio::time::sleep(STILL).await;
            let later = (fingerprint(&files), taken.now());
            if later == now {
                break;
            }
            now = later;
        }
        let _ = touches.try_recv();
        known = now;
        if events.send(Event::Edited).is_err() {
            return;
        }
    }
}

/// Watches the files' folders: an editor that writes a new file and renames it would leave a watch on the old one. What cannot be
/// watched is looked at now and then all the same.
fn watcher(files: &[PathBuf], models: &Models, touched: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let told = move |event: notify::Result<notify::Event>| {
        // Opening and reading is no change; our own looks would wake us for ever. One touch that waits is as good as many.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = touched.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(told)
        .inspect_err(|error| tracing::warn!(%error, "the system tells no changes; looking"))
        .ok()?;
    let mut folders: Vec<&Path> = Vec::new();
    for path in files.iter().chain(models.0.keys()) {
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if !folders.contains(&folder) {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(%error, folder = %folder.display(), "the system tells no changes here; looking");
            }
            folders.push(folder);
        }
    }
    Some(watcher)
}

/// Of the names and the content of all files.
fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let mut inside: Vec<PathBuf> = match std::fs::read_dir(file) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => vec![file.clone()],
        };
        inside.sort();
        for path in inside.iter().filter(|path| is_manifest(path) || *path == file) {
            path.hash(&mut hasher);
            std::fs::read(path).ok().hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
}
