//! The boosters' own file formats, on disk: a store finds models in folders by them, an engine loads them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use modelyard_core::content::HEAD;
pub use modelyard_core::content::Native;

/// The format of the file at `path`, a regular one; `None` for any other.
///
/// # Errors
/// What the system said where it cannot be read.
pub fn native_of_file(path: &Path) -> io::Result<Option<Native>> {
    let mut head = Vec::with_capacity(HEAD);
    File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(Native::of(&head))
}
