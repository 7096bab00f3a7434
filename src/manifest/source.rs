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
    String::from_utf8(bytes).map_err(|error| {
        let position = error.utf8_error().valid_up_to();
        io::Error::other(format!("expected UTF-8 text, found something else at byte {position}"))
    })
}
