//! Archives, which anybody may have made. Nothing of one is believed: not a name, a size, a kind of entry or a count.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::cache::Kept;
use super::content::Kind;
use super::limits::Limits;
use super::{StoreError, content};

mod guard;
mod tar;
mod zip;

pub(super) use guard::safe;
use guard::{Budget, Guard, Metered};

/// Unpacks the archive at `path` into the empty folder `into`: regular files and folders only, each name once.
///
/// # Errors
/// `Invalid` naming the entry that is refused; `Disk` where this machine's disk fails.
pub(super) fn unpack(path: &Path, kind: Kind, into: &Path, limits: &Limits) -> Result<Vec<Kept>, StoreError> {
    let file = File::open(path).map_err(|cause| StoreError::file(path, cause))?;
    let packed = file.metadata().map_err(|cause| StoreError::file(path, cause))?.len();
    let budget = Budget::new(packed, limits);
    let mut guard = Guard::new(into, limits.max_entries, budget.clone());
    match kind {
        Kind::Zip => zip::unpack(file, &mut guard)?,
        Kind::Gzip => {
            tar::unpack(Metered::new(MultiGzDecoder::new(BufReader::with_capacity(64 << 10, file)), budget), &mut guard)?
        }
        Kind::Tar => tar::unpack(Metered::new(BufReader::with_capacity(64 << 10, file), budget), &mut guard)?,
        Kind::Model => return Err(StoreError::Invalid(format!("{} is no archive", path.display()))),
    }
    guard.finish()
}

/// What a downloaded file becomes in the cache: `model.onnx`, or what the archive holds. The file is moved or left.
pub(super) fn place(path: &Path, name: &str, digest: &str, into: &Path, limits: &Limits) -> Result<Vec<Kept>, StoreError> {
    match content::kind(path, name)? {
        Kind::Model => {
            let model = into.join("model.onnx");
            std::fs::rename(path, &model).map_err(|cause| StoreError::disk(format!("cannot move {}", path.display()), cause))?;
            Ok(vec![Kept { path: "model.onnx".into(), sha256: digest.to_owned() }])
        }
        kind => unpack(path, kind, into, limits),
    }
}

#[cfg(test)]
mod tests;
