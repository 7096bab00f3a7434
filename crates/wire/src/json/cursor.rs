//! A position in a document, and the steps from value to value.

use std::borrow::Cow;

use super::JsonError;
use super::error::describe;

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: u8 = 100;

/// A position in a document. Cloning one remembers a value, to be read once more is known.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    depth: u8,
}

/// The kinds of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    String,
    /// A digit or `-`, or one of the tokens `NaN` and `Infinity`.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

impl<'a> Cursor<'a> {
    /// The start of a document.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    /// Offset of the next byte to be read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[inline]
    pub(super) fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(super) fn whitespace(&mut self) {
        if self.byte().is_some_and(|byte| byte <= b' ') {
            self.skip_whitespace();
        }
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    /// The error that something else than `expected` is here.
    #[cold]
    pub fn unexpected(&self, expected: impl Into<Cow<'static, str>>) -> JsonError {
        JsonError::new(self.at, expected, describe(&self.bytes[self.at..]))
    }

    /// The next byte past whitespace.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        self.whitespace();
        self.byte()
    }

    /// The kind of the next value.
    ///
    /// # Errors
    /// When no value starts here.
    pub fn kind(&mut self) -> Result<Kind, JsonError> {
        Ok(match self.peek() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => Kind::Number,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => return Err(self.unexpected("a value")),
        })
    }

    /// Steps into an array or object.
    #[inline]
    pub(super) fn open(&mut self, bracket: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.peek() != Some(bracket) {
            return Err(self.unexpected(expected));
        }
        if self.depth == MAX_DEPTH {
            return Err(JsonError::new(self.at, format!("at most {MAX_DEPTH} levels of nesting"), "one more"));
        }
        self.at += 1;
        self.depth += 1;
        Ok(())
    }

    /// Steps out, if the array or object ends here.
    #[inline]
    pub(super) fn close(&mut self, bracket: u8) -> bool {
        let ends = self.peek() == Some(bracket);
        if ends {
            self.at += 1;
            self.depth -= 1;
        }
        ends
    }

    /// After a member: past the comma (`true`), or out of the array or object (`false`).
    #[inline]
    pub(super) fn more(&mut self, bracket: u8) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == bracket => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ => Err(self.unexpected(format!("',' or '{}'", bracket as char))),
        }
    }

    /// Walks an object; `member` must read each key's value.
    ///
    /// # Errors
    /// When no well-formed object is here, and whatever `member` returns.
    pub fn object<E: From<JsonError>>(
        &mut self,
        mut member: impl FnMut(Cow<'a, str>, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(b'{', "an object")?;
        if self.close(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            member(key, self)?;
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    fn key(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key"));
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.unexpected("':'"));
        }
        self.at += 1;
        Ok(key)
    }

    /// Walks an array; `element` must read each value.
    ///
    /// # Errors
    /// When no well-formed array is here, and whatever `element` returns.
    pub fn array<E: From<JsonError>>(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), E>) -> Result<(), E> {
        self.open(b'[', "an array")?;
        if self.close(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.more(b']')? {
                return Ok(());
            }
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// When something else is here.
    pub fn bool(&mut self) -> Result<bool, JsonError> {
        self.whitespace();
        if self.token(b"true") {
            Ok(true)
        } else if self.token(b"false") {
            Ok(false)
        } else {
            Err(self.unexpected("true or false"))
        }
    }

    /// `null`.
    ///
    /// # Errors
    /// When something else is here.
    pub fn null(&mut self) -> Result<(), JsonError> {
        self.whitespace();
        if self.token(b"null") { Ok(()) } else { Err(self.unexpected("null")) }
    }

    /// Steps over a bare word, if it is here.
    pub(super) fn token(&mut self, word: &[u8]) -> bool {
        let here = self.bytes[self.at..].starts_with(word);
        if here {
            self.at += word.len();
        }
        here
    }

    /// Steps over a value, checking that it is well-formed.
    ///
    /// # Errors
    /// When it is not.
    pub fn skip_value(&mut self) -> Result<(), JsonError> {
        match self.kind()? {
            Kind::Object => self.object(|_, cursor| cursor.skip_value()),
            Kind::Array => self.array(Self::skip_value),
            Kind::String => self.string().map(drop),
            Kind::Number => self.skip_number(),
            Kind::Bool => self.bool().map(drop),
            Kind::Null => self.null(),
        }
    }

    /// The bytes of the next value, without the whitespace around it.
    ///
    /// # Errors
    /// When it is not well-formed.
    pub fn raw_value(&mut self) -> Result<&'a [u8], JsonError> {
        self.whitespace();
        let start = self.at;
        self.skip_value()?;
        Ok(&self.bytes[start..self.at])
    }

    /// The document's end.
    ///
    /// # Errors
    /// When something else than whitespace follows.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the body")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_a_document() {
        let json = br#" {"a" : [1, 2,3], "b": {"c": null, "d": [true,false]}, "e":"x"} "#;
        let mut cursor = Cursor::new(json);
        let mut keys = Vec::new();
        cursor
            .object(|key, cursor| {
                keys.push((key.into_owned(), String::from_utf8(cursor.raw_value()?.to_vec()).unwrap()));
                Ok::<_, JsonError>(())
            })
            .unwrap();
        cursor.end().unwrap();
        let found: Vec<_> = keys.iter().map(|(key, raw)| (key.as_str(), raw.as_str())).collect();
        assert_eq!(found, [("a", "[1, 2,3]"), ("b", r#"{"c": null, "d": [true,false]}"#), ("e", "\"x\"")]);
    }

    #[test]
    fn faults_say_where_and_what() {
        for (json, message) in [
            ("", "byte 0: expected a value, found the end of the body"),
            ("[1 2]", "byte 3: expected ',' or ']', found '2'"),
            ("[1,]", "byte 3: expected a value, found ']'"),
            ("{1:2}", "byte 1: expected a key, found '1'"),
            ("{\"a\" 1}", "byte 5: expected ':', found '1'"),
            ("{\"a\":1,}", "byte 7: expected a key, found '}'"),
            ("nul", "byte 0: expected null, found 'n'"),
            ("[1]x", "byte 3: expected the end of the body, found 'x'"),
            ("\u{1}", "byte 0: expected a value, found byte 0x01"),
            ("\u{feff}{}", "byte 0: expected a value, found a byte-order mark"),
            ("\u{e9}", "byte 0: expected a value, found '\u{e9}'"),
        ] {
            let mut cursor = Cursor::new(json.as_bytes());
            let error = cursor.skip_value().and_then(|()| cursor.end()).unwrap_err();
            assert_eq!(error.to_string(), message, "{json}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(Cursor::new(&nested(100)).skip_value().is_ok());
        let error = Cursor::new(&nested(101)).skip_value().unwrap_err();
        assert_eq!(error.to_string(), "byte 100: expected at most 100 levels of nesting, found one more");
        assert!(Cursor::new(&vec![b'['; 1 << 20]).skip_value().is_err());
    }
}
