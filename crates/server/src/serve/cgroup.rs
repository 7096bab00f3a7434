//! The folders of this process's cgroups: where its bounds are written.

use std::path::{Path, PathBuf};

/// The folders of a controller from this process's cgroup up to the root, and whether they are version 2's. `cgroups` is the text
/// of /proc/self/cgroup.
pub(crate) fn folders(root: &Path, cgroups: &str, controller: &str) -> Vec<(PathBuf, bool)> {
    let mut found = Vec::new();
    for line in cgroups.lines() {
        // "hierarchy:controllers:path" (cgroups(7)); v2's line has no controllers.
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let unified = controllers.is_empty();
        if !unified && !controllers.split(',').any(|one| one == controller) {
            continue;
        }
        let mount = if unified { root.to_path_buf() } else { root.join(controllers) };
        let mount = if mount.exists() { mount } else { root.join(controller) };
        found.extend(ancestors(&mount, path).into_iter().map(|folder| (folder, unified)));
    }
    found
}

/// The cgroup's folder and those above it. Inside a container the path may be the host's: then only the mount itself is there.
fn ancestors(mount: &Path, path: &str) -> Vec<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    relative.ancestors().map(|part| mount.join(part)).collect()
}
