//! The SHA-256 of a file, however large.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use modelyard_core::digest::hex;
use sha2::{Digest, Sha256};

/// As 64 hexadecimal digits.
pub(super) fn of(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hex(&hasher.finalize()))
}
