//! SHA-256 as texts have it: in hexadecimal, lower case.

use sha2::{Digest, Sha256};

/// The sum of `content`, as 64 digits.
#[must_use]
pub fn sha256(content: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(content))
}

/// Two digits for each byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
