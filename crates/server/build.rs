//! Links the server smaller where this machine can: relative relocations packed, 1.8 MB of 30, and functions that are the same folded
//! into one, 0.5 MB (docs/adr/0012).

use std::path::PathBuf;
use std::process::Command;

/// The first glibc whose loader reads them (`DT_RELR`).
const READS_PACKED: (u32, u32) = (2, 36);
/// What folds: of the linkers lld, which rustc brings, and mold know it.
const FOLD: &str = "-Wl,--icf=all";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_for_here = variable("HOST") == variable("TARGET") && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_for_here && glibc().is_some_and(|version| version >= READS_PACKED) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    if is_for_here && variable("PROFILE") == "release" && folds() {
        println!("cargo::rustc-link-arg-bins={FOLD}");
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Whether the linker that will be used folds: it links an empty program so.
fn folds() -> bool {
    let folder = PathBuf::from(variable("OUT_DIR"));
    let (source, program) = (folder.join("empty.rs"), folder.join("empty"));
    if std::fs::write(&source, "fn main() {}\n").is_err() {
        return false;
    }
    let mut command = Command::new(variable("RUSTC"));
    command.args(variable("CARGO_ENCODED_RUSTFLAGS").split('\u{1f}').filter(|flag| !flag.is_empty()));
    if let Ok(linker) = std::env::var("RUSTC_LINKER") {
        command.arg(format!("-Clinker={linker}"));
    }
    command.arg(format!("-Clink-arg={FOLD}")).arg("-o").arg(program).arg(source);
    command.output().is_ok_and(|output| output.status.success())
}

/// The version of this machine's C library, which a program that is linked here needs anyway.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
