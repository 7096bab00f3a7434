//! Where manifests come from: files, folders, standard input.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// No manifest is larger; an API server takes far less.
const MOST_BYTES: u64 = 16 << 20;

/// The files that a path stands for.
pub(super) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path == Path::new("-") || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let manifest = file.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
        if manifest && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// The text of a file; of `-`, standard input, which says the same each time: it can be read only once, so it is kept. Who reads
/// the files again after an edit still has what came by it.
pub(super) fn text(file: &Path) -> io::Result<String> {
    static INPUT: OnceLock<Result<String, String>> = OnceLock::new();
    if file != Path::new("-") {
        return whole(File::open(file)?);
    }
    INPUT.get_or_init(|| whole(io::stdin().lock()).map_err(|error| error.to_string())).clone().map_err(io::Error::other)
}

fn whole(source: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    source.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other("larger than 16 MiB: a manifest is expected"));
    }
    if matches!(bytes.as_slice(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Err(io::Error::other("line 1: expected UTF-8 text, found UTF-16: save it as UTF-8"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = String::from_utf8_lossy(good).lines().last().filter(|_| !good.ends_with(b"\n")).map_or(0, |one| one.chars().count()) + 1;
        let found = error.as_bytes().get(good.len()).copied().unwrap_or_default();
        io::Error::other(format!(
            "line {line}, column {column}: expected UTF-8 text, found the byte {found:#04x}, as in Latin-1 or a binary file: save it as UTF-8"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_utf8_is_told_with_its_line() {
        for (bytes, words) in [
            (&b"a: 1\nb: caf\xe9\n"[..], "line 2, column 7: expected UTF-8 text, found the byte 0xe9, as in Latin-1"),
            (b"\xe9", "line 1, column 1: "),
            (b"a\n\xe9", "line 2, column 1: "),
            (b"\xff\xfea\0", "line 1: expected UTF-8 text, found UTF-16"),
            (b"\xfe\xff\0a", "line 1: expected UTF-8 text, found UTF-16"),
        ] {
            let said = whole(bytes).unwrap_err().to_string();
            assert!(said.starts_with(words), "{said}");
        }
    }
}
