//! Where a document is not what was asked for.

use std::borrow::Cow;

/// A body that is not JSON, or not the JSON that the protocol asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: expected {expected}, found {found}")]
pub struct JsonError {
    /// Offset in bytes from the start of the document.
    pub at: usize,
    /// What is there.
    pub found: Cow<'static, str>,
    /// What should be there.
    pub expected: Cow<'static, str>,
}

impl JsonError {
    /// An error at byte `at`.
    #[cold]
    pub fn new(at: usize, expected: impl Into<Cow<'static, str>>, found: impl Into<Cow<'static, str>>) -> Self {
        Self { at, found: found.into(), expected: expected.into() }
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
        Some(character) if !character.is_control() => Cow::Owned(format!("'{character}'")),
        _ => Cow::Owned(format!("byte 0x{first:02x}")),
    }
}
