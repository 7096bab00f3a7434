//! What the process itself costs, from `/proc`; where there is no `/proc`, nothing is said.

use std::fs;

/// Processor time and memory of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessMetrics {
    /// User and system time, seconds.
    pub cpu_seconds: f64,
    /// Resident set, bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// Threads.
    pub threads: u64,
}

impl ProcessMetrics {
    /// What it costs now; `None` where the system does not say.
    pub fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let page = rustix::param::page_size() as u64;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        // The command's name is in parentheses and may hold spaces; fields are counted after it (proc(5)).
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) as f64 / ticks,
            threads: field(20)?,
            resident_bytes: field(24)? * page,
            open_files: fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_threads() {
        let Some(now) = ProcessMetrics::read() else { return assert!(!std::path::Path::new("/proc/self/stat").exists()) };
        assert!(now.resident_bytes > 100_000 && now.threads >= 1 && now.open_files >= 3, "{now:?}");
    }
}
