//! The boosters' own file formats, told by a file's first bytes: a store finds models in folders by them, an engine loads them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use modelyard_core::api::Format;

/// A format that a library of boosted trees writes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    XgboostJson,
    XgboostUbj,
    Lightgbm,
    Catboost,
    /// Any file that gzip compressed (RFC 1952).
    Gzip,
}

/// Bytes that tell.
const HEAD: u64 = 64;

impl Native {
    /// The format of the file at `path`, a regular one; `None` for any other.
    ///
    /// # Errors
    /// What the system said where it cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        File::open(path)?.take(HEAD).read_to_end(&mut head)?;
        Ok(Self::of(&head))
    }

    /// What it is in the API's words; `None` for what is no model as it is.
    pub const fn format(self) -> Option<Format> {
        match self {
            Self::XgboostJson | Self::XgboostUbj => Some(Format::XgBoost),
            Self::Lightgbm => Some(Format::LightGbm),
            Self::Catboost => Some(Format::CatBoost),
            Self::Gzip => None,
        }
    }

    /// Whether a file of this kind is a model as it is.
    pub fn is_model(self) -> bool {
        self != Self::Gzip
    }

    /// The format of a file that begins so, which may still be damaged.
    pub fn of(head: &[u8]) -> Option<Self> {
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
}
