//! Zip, stored or deflated.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zip::ZipArchive;
use zip::read::ZipFile;

use super::guard::{Guard, Metered, refuse};
use crate::StoreError;

/// Bytes that may be read to find and take in the directory of the archive, which is kept in memory: room for the limit of
/// entries with names of a usual length, and far below what an archive of this size could ask for.
const MAX_DIRECTORY: u64 = 16 << 20;

/// `st_mode`'s mask and values of the kind of file.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

pub(super) fn unpack(file: File, guard: &mut Guard) -> Result<(), StoreError> {
    let allowed = std::rc::Rc::new(std::cell::Cell::new(MAX_DIRECTORY));
    let reader = BufReader::new(Rationed { file, left: std::rc::Rc::clone(&allowed) });
    let mut archive = ZipArchive::new(reader).map_err(broken)?;
    allowed.set(u64::MAX);
    if archive.has_duplicate_names() {
        return Err(broken("an entry occurs twice"));
    }
    for index in 0..archive.len() {
        guard.count()?;
        let raw = archive.by_index_raw(index).map_err(broken)?.name_raw().to_vec();
        let mut entry = archive.by_index(index).map_err(|error| refuse(&raw, &format!("cannot be read: {error}")))?;
        member(&raw, &mut entry, guard)?;
    }
    Ok(())
}

fn member<R: Read>(name: &[u8], entry: &mut ZipFile<'_, R>, guard: &mut Guard) -> Result<(), StoreError> {
    let kind = entry.unix_mode().map_or(0, |mode| mode & KIND);
    if entry.is_symlink() || ![0, REGULAR, FOLDER].contains(&kind) {
        return Err(refuse(name, "is a link or a device; expected files and folders only"));
    }
    if name.ends_with(b"/") || kind == FOLDER {
        return guard.folder(name);
    }
    let size = entry.size();
    guard.budget.check(size).map_err(|error| refuse(name, &error.to_string()))?;
    let budget = guard.budget.clone();
    guard.file(name, size, &mut Metered::new(entry, budget))
}

fn broken(error: impl std::fmt::Display) -> StoreError {
    StoreError::Invalid(format!("the zip archive cannot be unpacked: {error}"))
}

/// A file of which only so much may be read.
struct Rationed {
    file: File,
    left: std::rc::Rc<std::cell::Cell<u64>>,
}

impl Read for Rationed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        match self.left.get().checked_sub(count as u64) {
            Some(left) => self.left.set(left),
            None => return Err(io::Error::new(io::ErrorKind::FileTooLarge, "its directory is larger than 16 MiB")),
        }
        Ok(count)
    }
}

impl Seek for Rationed {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
