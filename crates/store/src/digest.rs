//! SHA-256, as lower-case hexadecimal.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use modelyard_core::digest::{self, sha256};
use sha2::{Digest, Sha256};

/// The sum as text.
pub(super) fn hex(hasher: Sha256) -> String {
    digest::hex(&hasher.finalize())
}

/// The sum of `bytes`.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    sha256(bytes)
}

/// The sum and the length of a file.
pub(super) fn of_file(path: &Path) -> io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let bytes = update_from(&mut hasher, &mut File::open(path)?)?;
    Ok((hex(hasher), bytes))
}

/// Adds all that `reader` gives, and says how much it was.
pub(super) fn update_from(hasher: &mut Sha256, reader: &mut impl Read) -> io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
