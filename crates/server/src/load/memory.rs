//! What a model takes in memory: the growth of this process's private memory (`RssAnon` of /proc) while it is loaded and run. It counts
//! the weights as the engine keeps them, its plans and the buffers that they keep; not the file's own pages, which the kernel may
//! drop, nor what a request needs for itself.

use std::fs;

/// Private resident memory of this process, bytes; `None` where the system does not say.
///
/// Source: proc_pid_status(5).
pub(crate) fn private() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// How much more there is than before.
pub(crate) fn since(before: Option<u64>) -> Option<u64> {
    Some(private()?.saturating_sub(before?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_counts() {
        let before = private();
        let held = std::hint::black_box(vec![1_u8; 64 << 20]);
        let grown = since(before);
        assert!(held.len() == 64 << 20 && grown.is_none_or(|grown| grown >= 32 << 20), "{before:?} {grown:?}");
        assert_eq!(since(None), None);
    }
}
