//! Files that somebody exchanges while the server runs. They are looked at now and then: what stands behind a name may be exchanged in many
//! ways, and a look costs some microseconds.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Which state of a file was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u64, u64, i64, i64, u64);

impl Stamp {
    /// That of the file now.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self(about.dev(), about.ino(), about.mtime(), about.mtime_nsec(), about.len()))
    }
}

/// The file's text, of no more than `most` bytes.
///
/// # Errors
/// What the system says, or that it is larger.
pub(crate) fn text(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::other(format!("expected at most {most} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_far_as_is_allowed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "12345").unwrap();
        assert_eq!(text(file.path(), 5).unwrap(), "12345");
        assert_eq!(text(file.path(), 4).unwrap_err().to_string(), "expected at most 4 bytes");
        let before = Stamp::of(file.path()).unwrap();
        fs::write(&file, "123456").unwrap();
        assert_ne!(Stamp::of(file.path()).unwrap(), before);
    }
}
