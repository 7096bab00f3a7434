//! What a file holds, told by its first bytes: names and media types lie.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::StoreError;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing else that is known, so the engine decides whether it is a model: ONNX has no magic number.
    Model,
    Tar,
    Gzip,
    Zip,
}

/// Files that people hand over instead of a model, and what to tell them.
const MISTAKEN: [(&[u8], &str); 8] = [
    (b"version https://git-lfs", "a Git LFS pointer, not the model that it points to; fetch it with 'git lfs pull'"),
    (b"<!doctype html", "an HTML page, perhaps a sign-in page, not a model"),
    (b"<html", "an HTML page, perhaps a sign-in page, not a model"),
    (b"\x89HDF", "an HDF5 file (Keras); export the model to ONNX"),
    (b"BZh", "compressed with bzip2; expected .onnx, .tar, .tar.gz or .zip"),
    (b"\xfd7zXZ", "compressed with xz; expected .onnx, .tar, .tar.gz or .zip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; expected .onnx, .tar, .tar.gz or .zip"),
    (b"GGUF", "a GGUF file; expected ONNX"),
];

/// Weights of other frameworks, which lie beside the ONNX file in many repositories: nothing here reads them.
const FOREIGN: [&str; 13] =
    [".safetensors", ".h5", ".msgpack", ".ot", ".pt", ".pth", ".ckpt", ".gguf", ".tflite", ".mlmodel", ".pb", ".pkl", ".joblib"];

/// Whether a file of that name is another framework's.
pub(super) fn is_foreign(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    FOREIGN.iter().any(|end| name.ends_with(end))
}

/// Tells what the file at `path` is; `name` is for messages.
pub(super) fn kind(path: &Path, name: &str) -> Result<Kind, StoreError> {
    let mut head = Vec::with_capacity(512);
    File::open(path)
        .and_then(|file| file.take(512).read_to_end(&mut head))
        .map_err(|source| StoreError::disk(format!("cannot read {}", path.display()), source))?;
    kind_of(&head).map_err(|what| StoreError::Invalid(format!("{name} is {what}")))
}

fn kind_of(head: &[u8]) -> Result<Kind, &'static str> {
    if head.is_empty() {
        return Err("empty: 0 bytes");
    }
    let text_start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    for (magic, what) in MISTAKEN {
        if head[text_start..].get(..magic.len()).is_some_and(|start| start.eq_ignore_ascii_case(magic)) {
            return Err(what);
        }
    }
    Ok(match head {
        [0x1f, 0x8b, 8, ..] => Kind::Gzip,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
        _ if is_tar_header(head) => Kind::Tar,
        _ => Kind::Model,
    })
}

/// POSIX ustar: bytes 148..156 hold the sum of the header's 512 bytes, counting those eight as spaces. Older archives have it
/// too, while not all have the word `ustar`.
fn is_tar_header(head: &[u8]) -> bool {
    let Ok(head) = <&[u8; 512]>::try_from(head) else { return false };
    let Ok(digits) = std::str::from_utf8(&head[148..156]) else { return false };
    let Ok(told) = u32::from_str_radix(digits.trim_matches(['\0', ' ']), 8) else { return false };
    let sum: u32 = head.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    told == sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_told_by_its_first_bytes() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_old();
        header.set_size(0);
        header.set_cksum();
        tar.append_data(&mut header, "model.onnx", std::io::empty()).unwrap();
        let tar = tar.into_inner().unwrap();
        assert_eq!(kind_of(&tar[..512]), Ok(Kind::Tar));
        assert_eq!(kind_of(&[0x1f, 0x8b, 8, 0]), Ok(Kind::Gzip));
        assert_eq!(kind_of(b"PK\x03\x04..."), Ok(Kind::Zip));
        assert_eq!(kind_of(&[8, 8, 18, 7]), Ok(Kind::Model));
        assert_eq!(kind_of(&[0; 512]), Ok(Kind::Model));
        assert!(kind_of(b"").unwrap_err().contains("0 bytes"));
        assert!(kind_of(b"\n <!DOCTYPE html>").unwrap_err().contains("HTML"));
        assert!(kind_of(b"version https://git-lfs.github.com/spec/v1\n").unwrap_err().contains("LFS"));
    }
}
