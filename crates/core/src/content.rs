//! What a file is, told by its first bytes: names and media types lie. Stores, engines and commands all say it in these words.

use crate::api::Format;

/// First bytes that tell; a file may have fewer.
pub const HEAD: usize = 512;

/// A format that a library of boosted trees writes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// JSON of XGBoost.
    XgboostJson,
    /// UBJSON of XGBoost.
    XgboostUbj,
    /// The text of LightGBM.
    Lightgbm,
    /// JSON of CatBoost.
    Catboost,
    /// Any file that gzip compressed (RFC 1952).
    Gzip,
}

impl Native {
    /// What it is in the API's words; `None` for what is no model as it is.
    #[must_use]
    pub const fn format(self) -> Option<Format> {
        match self {
            Self::XgboostJson | Self::XgboostUbj => Some(Format::XgBoost),
            Self::Lightgbm => Some(Format::LightGbm),
            Self::Catboost => Some(Format::CatBoost),
            Self::Gzip => None,
        }
    }

    /// Whether a file of this kind is a model as it is.
    #[must_use]
    pub fn is_model(self) -> bool {
        self != Self::Gzip
    }

    /// The format of a file that begins so, which may still be damaged.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        // What lies further in tells nothing more.
        let head = &head[..head.len().min(64)];
        // White space aside: all but XGBoost write some.
        let text: Vec<u8> = head.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let first_key = |keys: &[&str]| {
            let rest = text.strip_prefix(b"{\"").unwrap_or_default();
            keys.iter().any(|key| rest.strip_prefix(key.as_bytes()).is_some_and(|rest| rest.starts_with(b"\":")))
        };
        if first_key(&["learner", "version", "Config"]) {
            return Some(Self::XgboostJson);
        }
        // The keys are sorted; the first is there only where categories have statistics.
        if first_key(&["ctr_data", "features_info"]) {
            return Some(Self::Catboost);
        }
        if head.starts_with(&[0x1f, 0x8b]) {
            return Some(Self::Gzip);
        }
        if is_ubj(head) {
            return Some(Self::XgboostUbj);
        }
        let lines: Vec<u8> = head.iter().copied().filter(|byte| *byte != b'\r').collect();
        lines.starts_with(b"tree\nversion=").then_some(Self::Lightgbm)
    }
}

/// An object; its first key's length as an integer of one, two, four or eight bytes; the key.
fn is_ubj(head: &[u8]) -> bool {
    [3, 4, 6, 10].iter().any(|at| head.first() == Some(&b'{') && head.get(*at..).is_some_and(|key| key.starts_with(b"learner{")))
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing else that is known, so the engine decides whether it is a model: ONNX has no magic number.
    Model,
    /// An archive of tar's.
    Tar,
    /// What gzip compressed.
    Gzip,
    /// An archive of zip's.
    Zip,
}

/// Files that people hand over instead of a model, and what to tell them.
const MISTAKEN: [(&[u8], &str); 9] = [
    (b"version https://git-lfs", "a Git LFS pointer, not the model that it points to; fetch it with 'git lfs pull'"),
    (b"<!doctype html", "an HTML page, perhaps a sign-in page, not a model"),
    (b"<html", "an HTML page, perhaps a sign-in page, not a model"),
    (b"\x89HDF", "an HDF5 file (Keras); export the model to ONNX (docs/convert.md)"),
    (b"BZh", "compressed with bzip2; expected .onnx, .tar, .tar.gz or .zip"),
    (b"\xfd7zXZ", "compressed with xz; expected .onnx, .tar, .tar.gz or .zip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; expected .onnx, .tar, .tar.gz or .zip"),
    (b"GGUF", "a GGUF file; expected ONNX"),
    (b"CBM1", "CatBoost's binary file; save the model with format=\"json\", which is served as it is"),
];

/// What a file that begins so is.
///
/// # Errors
/// It is no model and no archive of one: what it is, and what to do.
pub fn kind(head: &[u8]) -> Result<Kind, &'static str> {
    if head.is_empty() {
        return Err("empty: 0 bytes");
    }
    let text_start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    for (magic, what) in MISTAKEN {
        if head[text_start..].get(..magic.len()).is_some_and(|start| start.eq_ignore_ascii_case(magic)) {
            return Err(what);
        }
    }
    if is_safetensors(head) {
        return Err("a safetensors file: weights without the model that uses them; export the model to ONNX");
    }
    Ok(match head {
        [0x1f, 0x8b, 8, ..] => Kind::Gzip,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
        // Protocols 2 to 5 begin with their number.
        [0x80, 2..=5, ..] => return Err("a Python pickle (scikit-learn, joblib); export the model to ONNX (docs/convert.md)"),
        _ if is_tar_header(head) => Kind::Tar,
        _ => Kind::Model,
    })
}

/// What a file that begins so is, and what to do, where it is known to be no ONNX file; for whoever reads ONNX files alone.
#[must_use]
pub fn instead_of_onnx(head: &[u8]) -> Option<String> {
    if let Some(format) = Native::of(head).and_then(Native::format) {
        let whose = format.as_str();
        return Some(format!(
            "{whose}'s own file, which is served as it is, without conversion; expected an .onnx file: docs/convert.md tells how to \
             write one"
        ));
    }
    let archive = match kind(head) {
        Ok(Kind::Model) => return None,
        Ok(Kind::Tar) => "a tar archive; unpack it, and name the .onnx file in it",
        Ok(Kind::Gzip) => "compressed with gzip; unpack it, and name the .onnx file",
        Ok(Kind::Zip) => {
            "a zip archive; unpack it, and name the .onnx file in it (PyTorch's and Keras' own files are such archives without \
             one: docs/convert.md tells how to export them)"
        }
        Err(what) => what,
    };
    Some(archive.to_owned())
}

/// The length of a header in eight bytes, at most 100 MB, and its JSON.
///
/// Source: the format's own description, huggingface.co/docs/safetensors.
fn is_safetensors(head: &[u8]) -> bool {
    let Some((length, rest)) = head.split_first_chunk::<8>() else { return false };
    (2..=100_000_000).contains(&u64::from_le_bytes(*length)) && rest.starts_with(b"{\"")
}

/// POSIX ustar: bytes 148..156 hold the sum of the header's 512 bytes, counting those eight as spaces. Older archives have it
/// too, while not all have the word `ustar`.
fn is_tar_header(head: &[u8]) -> bool {
    let Ok(head) = <&[u8; HEAD]>::try_from(head) else { return false };
    let Ok(digits) = std::str::from_utf8(&head[148..156]) else { return false };
    let Ok(told) = u32::from_str_radix(digits.trim_matches(['\0', ' ']), 8) else { return false };
    let sum: u32 = head.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    told == sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        for (head, native) in [
            (&b"{\"learner\":{\"attributes\""[..], Some(Native::XgboostJson)),
            (b"{ \"version\": [3, 2, 0]", Some(Native::XgboostJson)),
            (b"{L\0\0\0\0\0\0\0\x07learner{", Some(Native::XgboostUbj)),
            (b"tree\r\nversion=v4\r\n", Some(Native::Lightgbm)),
            (b"{\n  \"features_info\":\n    {\n", Some(Native::Catboost)),
            (b"{\"ctr_data\":{", Some(Native::Catboost)),
            (b"{\"learners\":{", None),
            (b"{\"inputs\":[]}", None),
            (b"tree=1", None),
            (b"", None),
        ] {
            assert_eq!(Native::of(head), native, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        for (head, expected) in [
            (&[0x1f, 0x8b, 8, 0][..], Ok(Kind::Gzip)),
            (b"PK\x03\x04...", Ok(Kind::Zip)),
            (&[8, 8, 18, 7], Ok(Kind::Model)),
            (&[0; HEAD], Ok(Kind::Model)),
            (b"", Err("0 bytes")),
            (b"\n <!DOCTYPE html>", Err("HTML")),
            (b"version https://git-lfs.github.com/spec/v1\n", Err("LFS")),
            (b"\x89HDF\r\n\x1a\n", Err("HDF5")),
            (b"\x80\x04\x95\0\0\0", Err("pickle")),
            (b"\x10\0\0\0\0\0\0\0{\"weight\":{", Err("safetensors")),
            (b"CBM1\0\0", Err("CatBoost's binary file")),
        ] {
            let shown = String::from_utf8_lossy(head);
            match (kind(head), expected) {
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{shown}: {found}"),
                (found, expected) => assert_eq!(found, expected, "{shown}"),
            }
        }
    }

    #[test]
    fn whoever_reads_onnx_says_what_else_a_file_is() {
        for (head, words) in [
            (&b"{\"learner\":{\"attributes\""[..], Some("XGBoost's own file, which is served as it is, without conversion")),
            (b"{L\0\0\0\0\0\0\0\x07learner{", Some("XGBoost's own file")),
            (b"tree\nversion=v4\n", Some("LightGBM's own file")),
            (b"{\"features_info\":{", Some("CatBoost's own file")),
            (b"PK\x03\x04...", Some("a zip archive; unpack it")),
            (&[0x1f, 0x8b, 8, 0], Some("compressed with gzip; unpack it")),
            (b"\x89HDF\r\n\x1a\n", Some("an HDF5 file (Keras)")),
            (b"", Some("empty")),
            (&[8, 8, 18, 7], None),
            (b"hello, world", None),
        ] {
            let found = instead_of_onnx(head);
            assert_eq!(found.is_some(), words.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().starts_with(words.unwrap_or_default()), "{words:?}");
        }
    }
}
