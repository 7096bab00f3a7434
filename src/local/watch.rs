//! Whether the files have changed: told by the system where it can, looked up now and then where it cannot.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::events::Event;

/// Between two looks, for filesystems that tell nothing (network shares, some containers' mounts).
const LOOK: Duration = Duration::from_secs(2);
/// An editor writes in several steps; the files count once they have been still for so long.
const STILL: Duration = Duration::from_millis(100);

/// Sends [`Event::Edited`] whenever the content of the files is another than before, until nobody listens.
pub(super) async fn watch(files: Vec<PathBuf>, events: mpsc::UnboundedSender<Event>) {
    let files: Vec<PathBuf> = files.into_iter().filter(|file| file != Path::new("-")).collect();
    if files.is_empty() {
        return;
    }
    let (touched, mut touches) = mpsc::unbounded_channel();
    // Held for as long as this runs: it stops watching when dropped.
    let _watcher = watcher(&files, touched).inspect_err(|error| tracing::warn!(%error, "the system tells no changes; looking"));
    let mut known = fingerprint(&files);
    loop {
        tokio::select! {
            touch = touches.recv() => if touch.is_none() { tokio::time::sleep(LOOK).await },
            () = tokio::time::sleep(LOOK) => {}
        }
        let mut now = fingerprint(&files);
        if now == known {
            continue;
        }
        loop {
            tokio::time::sleep(STILL).await;
            let later = fingerprint(&files);
            if later == now {
                break;
            }
            now = later;
        }
        while touches.try_recv().is_ok() {}
        known = now;
        if events.send(Event::Edited).is_err() {
            return;
        }
    }
}

/// Watches the files' folders: an editor that writes a new file and renames it would leave a watch on the old one.
fn watcher(files: &[PathBuf], touched: mpsc::UnboundedSender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Opening and reading is no change; our own looks would wake us for ever.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = touched.send(());
        }
    })?;
    let mut folders: Vec<&Path> = Vec::new();
    for file in files {
        let folder = if file.is_dir() { file } else { file.parent().unwrap_or(file) };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if !folders.contains(&folder) {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
            folders.push(folder);
        }
    }
    Ok(watcher)
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
