//! How many threads this process may keep busy: the cgroup's CPU quota and the affinity mask, never the host's core count alone.

use std::fs;
use std::path::Path;

use super::cgroup;

/// The number of threads that the CPU quota and the affinity mask allow, at least 1. A quota of 1.5 gives 2.
pub fn quota_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let quota = quota(Path::new("/sys/fs/cgroup"), &cgroups);
    threads(cores, quota)
}

fn threads(cores: usize, quota: Option<f64>) -> usize {
    quota.map_or(cores, |quota| (quota.ceil() as usize).min(cores)).max(1)
}

/// The tightest quota in processors on the way from this process's cgroup to the root, v2 and v1; `None` where there is none.
fn quota(root: &Path, cgroups: &str) -> Option<f64> {
    let folders = cgroup::folders(root, cgroups, "cpu").into_iter();
    let quotas = folders.filter_map(|(folder, unified)| if unified { quota_v2(&folder) } else { quota_v1(&folder) });
    quotas.reduce(f64::min)
}

fn quota_v2(folder: &Path) -> Option<f64> {
    let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota, period)
}

fn quota_v1(folder: &Path) -> Option<f64> {
    let quota = fs::read_to_string(folder.join("cpu.cfs_quota_us")).ok()?;
    let period = fs::read_to_string(folder.join("cpu.cfs_period_us")).ok()?;
    ratio(&quota, &period)
}

/// `quota / period`; `max` and -1 mean none.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn version_2_takes_the_tightest_on_the_way_up() {
        let root = folder_with(&[("pod/cpu.max", "150000 100000\n"), ("pod/one/cpu.max", "max 100000\n")]);
        assert_eq!(quota(root.path(), "0::/pod/one\n"), Some(1.5));
        assert_eq!(quota(root.path(), "0::/other\n"), None);
    }

    #[test]
    fn version_1_reads_quota_and_period() {
        let root = folder_with(&[("cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n"), ("cpu,cpuacct/a/cpu.cfs_period_us", "100000\n")]);
        assert_eq!(quota(root.path(), "4:memory:/a\n3:cpu,cpuacct:/a\n"), Some(0.5));
        let unlimited = folder_with(&[("cpu/cpu.cfs_quota_us", "-1\n"), ("cpu/cpu.cfs_period_us", "100000\n")]);
        assert_eq!(quota(unlimited.path(), "3:cpu:/a\n"), None);
    }

    #[test]
    fn a_part_of_a_processor_is_one_thread() {
        assert_eq!([threads(8, Some(0.5)), threads(8, Some(1.5)), threads(2, Some(64.0)), threads(4, None)], [1, 2, 2, 4]);
    }
}
