//! What every archive's entries pass, whatever its format: the name is checked, the bytes are counted, the file is made anew.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::super::cache::Kept;
use super::super::limits::Limits;
use super::super::{StoreError, digest};

/// The longest name of an entry, in bytes: Linux's own limit of a path.
pub(super) const MAX_NAME: usize = 4096;

/// How many bytes an archive may still unpack to. Clones share it.
#[derive(Clone)]
pub(super) struct Budget {
    spent: Rc<Cell<u64>>,
    limit: u64,
    reason: Rc<str>,
}

impl Budget {
    /// For an archive of `packed` bytes.
    pub(super) fn new(packed: u64, limits: &Limits) -> Self {
        let by_ratio = packed.saturating_mul(limits.max_ratio).max(limits.ratio_from_bytes);
        let (limit, reason) = if by_ratio < limits.max_unpacked_bytes {
            (by_ratio, format!("more than {by_ratio} bytes, over {} times the archive's own size", limits.max_ratio))
        } else {
            (limits.max_unpacked_bytes, format!("more than the limit of {} bytes", limits.max_unpacked_bytes))
        };
        Self { spent: Rc::default(), limit, reason: reason.into() }
    }

    fn spend(&self, bytes: u64) -> io::Result<()> {
        let spent = self.spent.get().saturating_add(bytes);
        self.spent.set(spent);
        self.within(spent)
    }

    /// Refuses a declared size before anything is read for it.
    pub(super) fn check(&self, declared: u64) -> io::Result<()> {
        self.within(self.spent.get().saturating_add(declared))
    }

    fn within(&self, bytes: u64) -> io::Result<()> {
        if bytes > self.limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("makes the archive unpack to {}", self.reason)));
        }
        Ok(())
    }
}

/// A reader whose bytes are counted.
pub(super) struct Metered<R> {
    inner: R,
    budget: Budget,
}

impl<R> Metered<R> {
    pub(super) const fn new(inner: R, budget: Budget) -> Self {
        Self { inner, budget }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.budget.spend(count as u64)?;
        Ok(count)
    }
}

/// Makes the files of one archive in one folder.
pub(super) struct Guard {
    root: PathBuf,
    max_entries: usize,
    pub(super) budget: Budget,
    entries: usize,
    kept: Vec<Kept>,
}

impl Guard {
    pub(super) fn new(root: &Path, max_entries: usize, budget: Budget) -> Self {
        Self { root: root.to_owned(), max_entries, budget, entries: 0, kept: Vec::new() }
    }

    /// Counts one more entry of any kind.
    pub(super) fn count(&mut self) -> Result<(), StoreError> {
        self.entries += 1;
        if self.entries > self.max_entries {
            return Err(StoreError::Invalid(format!("the archive has more than the limit of {} entries", self.max_entries)));
        }
        Ok(())
    }

    /// Makes a folder, which may be there already.
    pub(super) fn folder(&self, name: &[u8]) -> Result<(), StoreError> {
        Self::make_folder(name, &self.root.join(safe(name)?))
    }

    fn make_folder(name: &[u8], path: &Path) -> Result<(), StoreError> {
        fs::create_dir_all(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => refuse(name, "makes a folder of what is a file by an earlier entry"),
            _ => clash(name, path, cause),
        })
    }

    /// Makes a file of all that `reader` gives, which must be `size` bytes.
    pub(super) fn file(&mut self, name: &[u8], size: u64, reader: &mut impl Read) -> Result<(), StoreError> {
        let relative = safe(name)?;
        if relative.as_os_str().is_empty() {
            return Err(refuse(name, "has no name"));
        }
        let path = self.root.join(&relative);
        if let Some(parent) = path.parent() {
            Self::make_folder(name, parent)?;
        }
        let mut file = File::options().write(true).create_new(true).open(&path).map_err(|cause| clash(name, &path, cause))?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        let mut written = 0_u64;
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(refuse(name, &error.to_string())),
            };
            hasher.update(&buffer[..count]);
            written += count as u64;
            file.write_all(&buffer[..count])
                .map_err(|cause| StoreError::disk(format!("cannot write {}", path.display()), cause))?;
        }
        if written != size {
            return Err(refuse(name, &format!("holds {written} bytes where its header says {size}")));
        }
        file.sync_all().map_err(|cause| StoreError::disk(format!("cannot write {}", path.display()), cause))?;
        self.kept.push(Kept { path: relative, sha256: digest::hex(hasher) });
        Ok(())
    }

    /// The files that were made.
    pub(super) fn finish(self) -> Result<Vec<Kept>, StoreError> {
        if self.kept.is_empty() {
            return Err(StoreError::Invalid("the archive holds no file".to_owned()));
        }
        Ok(self.kept)
    }
}

/// An entry that is refused, by name.
pub(super) fn refuse(name: &[u8], why: &str) -> StoreError {
    let name: String = String::from_utf8_lossy(name).chars().take(200).flat_map(char::escape_debug).collect();
    StoreError::Invalid(format!("the archive's entry '{name}' {why}"))
}

/// Why a file or folder could not be made: the archive's fault if something is there already, else the disk's.
fn clash(name: &[u8], path: &Path, cause: io::Error) -> StoreError {
    match cause.kind() {
        io::ErrorKind::AlreadyExists if path.is_dir() => refuse(name, "is a file and a folder at once"),
        io::ErrorKind::AlreadyExists => refuse(name, "occurs twice"),
        io::ErrorKind::NotADirectory => refuse(name, "makes a folder of what is a file by an earlier entry"),
        io::ErrorKind::InvalidFilename => refuse(name, "has too long a name"),
        _ => StoreError::disk(format!("cannot make {}", path.display()), cause),
    }
}

/// The name as a path that stays in the folder.
pub(crate) fn safe(name: &[u8]) -> Result<PathBuf, StoreError> {
    if name.len() > MAX_NAME {
        return Err(refuse(name, &format!("has a name of {} bytes; expected at most {MAX_NAME}", name.len())));
    }
    let text = std::str::from_utf8(name).map_err(|_| refuse(name, "has a name that is not UTF-8"))?;
    if text.starts_with('/') {
        return Err(refuse(name, "has an absolute path"));
    }
    if text.contains(['\\', '\0']) {
        return Err(refuse(name, "has a backslash or a NUL in its name"));
    }
    let mut path = PathBuf::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(refuse(name, "leads out of its folder")),
            part => path.push(part),
        }
    }
    Ok(path)
}
