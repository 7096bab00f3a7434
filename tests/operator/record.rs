//! What the script prints at the end: how long each test took, and which were skipped and why, what faults cost.

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

/// Notes a line of the table of faults.
pub(crate) fn fault(line: &str) {
    println!("{line}");
    append("FAULTS_TABLE", line);
}

fn note(line: &str) {
    println!("{line}");
    append("OPERATOR_TESTS_RECORD", line);
}

fn append(variable: &str, line: &str) {
    let Some(path) = std::env::var_os(variable) else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}
