//! Where a document is not what was asked for.

use std::borrow::Cow;

/// A body that is not JSON, or not the JSON that the protocol asks for.
///
/// Boxed, so that the answer of each step of a cursor fits a register.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {}: expected {}, found {}", .0.at, .0.expected, .0.found)]
pub struct JsonError(Box<Mismatch>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mismatch {
    at: usize,
    found: Cow<'static, str>,
    expected: Cow<'static, str>,
}

impl JsonError {
    /// At byte `at` should be `expected`, and there is `found`.
    #[cold]
    pub fn new(at: usize, expected: impl Into<Cow<'static, str>>, found: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Mismatch { at, found: found.into(), expected: expected.into() }))
    }

    /// Offset in bytes from the start of the document.
    #[must_use]
    pub fn at(&self) -> usize {
        self.0.at
    }

    /// What is there.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.0.found
    }

    /// What should be there.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.0.expected
    }
}

/// What lies at the start of `rest`, in words: a character, a byte, or the end.
#[cold]
pub(super) fn describe(rest: &[u8]) -> Cow<'static, str> {
    let Some(first) = rest.first() else { return Cow::Borrowed("the end of the body") };
    let head = &rest[..rest.len().min(4)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    match text.chars().next() {
        Some('\u{feff}') => Cow::Borrowed("a byte-order mark"),
        Some(character) if !character.is_control() => Cow::Owned(format!("'{character}'")),
        _ => Cow::Owned(format!("byte 0x{first:02x}")),
    }
}
