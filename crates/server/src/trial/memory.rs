//! How much memory a child may take: what is left in this process's cgroups and on the machine, and what
//! this process may take itself. A model that needs more than that
//! would take its neighbours down with it.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use crate::serve::cgroup;

/// The least that a child is given: below it no program starts.
const LEAST: u64 = 64 << 20;

/// Bytes that are left.
pub(super) fn left() -> u64 {
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let within = left_in(Path::new("/sys/fs/cgroup"), &cgroups);
    let own = getrlimit(Resource::Data).current;
    [machine, within, own].into_iter().flatten().min().unwrap_or(u64::MAX).max(LEAST)
}

/// `MemAvailable` of /proc/meminfo.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The least that is left on the way from this process's cgroup to the root; `None` where there is no bound.
fn left_in(root: &Path, cgroups: &str) -> Option<u64> {
    let number = |folder: &Path, name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let folders = cgroup::folders(root, cgroups, "memory");
    let lefts = folders.into_iter().filter_map(|(folder, unified)| {
        let (most, used, cold) = if unified {
            ("memory.max", "memory.current", "inactive_file")
        } else {
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        };
        // Of files that nobody has read for a while the kernel lets go first.
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let cold = stat.lines().find_map(|line| line.strip_prefix(cold)?.trim().parse::<u64>().ok()).unwrap_or(0);
        Some(number(&folder, most)?.saturating_sub(number(&folder, used)?.saturating_sub(cold)))
    });
    lefts.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_bound_counts() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("pod/memory.max", "1000\n"),
            ("pod/memory.current", "700\n"),
            ("pod/memory.stat", "anon 600\ninactive_file 50\n"),
            ("pod/one/memory.max", "max\n"),
            ("pod/one/memory.current", "5\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(left_in(root.path(), "0::/pod/one\n"), Some(350));
        assert_eq!(left_in(root.path(), "0::/other\n"), None);
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   3 kB\n"), Some(3072));
    }
}
