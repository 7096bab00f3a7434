//! Files that a command reads as ONNX: what is known to be something else is told so, before its bytes are called broken.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::bail;
use modelyard_core::content::{HEAD, instead_of_onnx};

/// Looks at the first bytes of a file that is to be read as ONNX.
///
/// # Errors
/// It is known to be something else: what it is, and what to do. What cannot be read is left to whoever reads it whole.
pub(super) fn expect(path: &Path) -> anyhow::Result<()> {
    let mut head = Vec::with_capacity(HEAD);
    let read = File::open(path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    match read.ok().and_then(|_| instead_of_onnx(&head)) {
        Some(what) => bail!("{} is {what}", path.display()),
        None => Ok(()),
    }
}
