//! What the script prints at the end: how long each test took, and which were skipped and why.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

/// Notes how long a test took.
pub(crate) fn took(test: &str, time: Duration) {
    note(&format!("{:6.1} {test}", time.as_secs_f64()));
}

/// Notes that a test cannot run here.
pub(crate) fn skipped(test: &str, why: &str) {
    note(&format!("skipped {test}: {why}"));
}

fn note(line: &str) {
    println!("{line}");
    let Some(path) = std::env::var_os("OPERATOR_TESTS_RECORD") else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}
