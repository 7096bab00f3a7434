//! Tar: POSIX ustar with pax headers, and GNU's long names.
//!
//! The `tar` crate reads headers in its raw mode; the extensions are read here, since it would take a long name or a pax header
//! of any size into memory.

use std::io::Read;

use tar::{Archive, Entry, EntryType};

use super::guard::{Guard, MAX_NAME, refuse};
use crate::StoreError;

/// Bytes of one extension header at most.
const MAX_EXTENSION: u64 = 64 << 10;

pub(super) fn unpack(reader: impl Read, guard: &mut Guard) -> Result<(), StoreError> {
    let mut archive = Archive::new(reader);
    let mut long_name = None;
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        guard.count()?;
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let mut name = extension(&mut entry)?;
                name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                long_name = Some(name);
            }
            EntryType::XHeader => long_name = pax_path(&extension(&mut entry)?)?.or(long_name),
            EntryType::XGlobalHeader => {
                if pax_path(&extension(&mut entry)?)?.is_some() {
                    return Err(broken("a global header names a path"));
                }
            }
            kind => {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                member(kind, &name, &mut entry, guard)?;
            }
        }
    }
    if long_name.is_some() {
        return Err(broken("it ends after a long name"));
    }
    // To the end, so that gzip checks its own sum.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(broken)?;
    Ok(())
}

fn member<R: Read>(kind: EntryType, name: &[u8], entry: &mut Entry<'_, R>, guard: &mut Guard) -> Result<(), StoreError> {
    let what = match kind {
        // Old archives mark a folder by the slash alone.
        EntryType::Regular | EntryType::Continuous if !name.ends_with(b"/") => {
            let size = entry.size();
            guard.budget.check(size).map_err(|error| refuse(name, &error.to_string()))?;
            return guard.file(name, size, entry);
        }
        EntryType::Regular | EntryType::Continuous | EntryType::Directory => return guard.folder(name),
        EntryType::Symlink => "a symbolic link",
        EntryType::Link | EntryType::GNULongLink => "a hard link, or the long name of a link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "of an unknown kind",
    };
    Err(refuse(name, &format!("is {what}; expected files and folders only")))
}

fn extension<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, StoreError> {
    let size = entry.size();
    if size > MAX_EXTENSION {
        return Err(broken(format!("an extension header of {size} bytes; expected at most {MAX_EXTENSION}")));
    }
    let mut content = Vec::new();
    entry.read_to_end(&mut content).map_err(broken)?;
    if content.len() as u64 != size {
        return Err(broken("an extension header is cut short"));
    }
    Ok(content)
}

/// The `path` record of a pax header. Records are `LENGTH KEY=VALUE\n`, the length counting the whole record. A record that
/// would change what the header says of the content (`size`, `linkpath`, GNU's sparse maps) is refused.
fn pax_path(content: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let mut rest = content;
    let mut path = None;
    while !rest.is_empty() {
        let record = rest
            .iter()
            .take(8)
            .position(|byte| *byte == b' ')
            .and_then(|space| Some((space, std::str::from_utf8(&rest[..space]).ok()?.parse::<usize>().ok()?)))
            .and_then(|(space, length)| rest.get(space + 1..length)?.strip_suffix(b"\n").map(|record| (record, length)));
        let Some((record, length)) = record else { return Err(broken("a pax header is malformed")) };
        rest = &rest[length..];
        let Some(equals) = record.iter().position(|byte| *byte == b'=') else {
            return Err(broken("a pax record has no '='"));
        };
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        match key {
            b"path" if value.len() <= MAX_NAME => path = Some(value.to_vec()),
            b"path" => return Err(refuse(value, "has too long a name")),
            b"size" | b"linkpath" => return Err(broken(format!("a pax header sets {}", String::from_utf8_lossy(key)))),
            key if key.starts_with(b"GNU.sparse") => return Err(broken("a sparse file")),
            _ => {}
        }
    }
    Ok(path)
}

fn broken(error: impl std::fmt::Display) -> StoreError {
    StoreError::Invalid(format!("the tar archive cannot be unpacked: {error}"))
}
