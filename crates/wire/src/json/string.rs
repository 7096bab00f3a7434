//! Strings: borrowed where nothing is escaped, checked to be UTF-8 without lone surrogates.

use std::borrow::Cow;

use super::error::describe;
use super::{Cursor, JsonError};

impl<'a> Cursor<'a> {
    /// A string.
    ///
    /// # Errors
    /// When something else is here, or one that is not closed, not UTF-8, or wrongly escaped.
    pub fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a string"));
        }
        self.at += 1;
        let head = self.run()?;
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(head));
        }
        let mut text = head.to_owned();
        while self.byte() != Some(b'"') {
            text.push(self.escape()?);
            text.push_str(self.run()?);
        }
        self.at += 1;
        Ok(Cow::Owned(text))
    }

    /// Characters up to the closing quote or an escape.
    fn run(&mut self) -> Result<&'a str, JsonError> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) else {
            return Err(JsonError::new(self.bytes.len(), "'\"' at the end of the string", "the end of the body"));
        };
        let text = std::str::from_utf8(&rest[..length]).map_err(|error| {
            let bad = error.valid_up_to();
            JsonError::new(self.at + bad, "UTF-8", describe(&rest[bad..=bad]))
        })?;
        self.at += length;
        if rest[length] < 0x20 {
            return Err(self.unexpected("an escape for a control character"));
        }
        Ok(text)
    }

    /// The character of an escape.
    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 1;
        let plain = match self.byte() {
            Some(same @ (b'"' | b'\\' | b'/')) => same as char,
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode(start);
            }
            _ => return Err(self.unexpected("one of \" \\ / b f n r t u after '\\'")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// The character of `\u` and four hexadecimal digits, or of two of them that are a surrogate pair.
    fn unicode(&mut self, start: usize) -> Result<char, JsonError> {
        let first = self.hex()?;
        let lone = || JsonError::new(start, "a character", format!("the lone surrogate \\u{first:04x}"));
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or_else(lone);
        }
        if !self.token(b"\\u") {
            return Err(lone());
        }
        let second = self.hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone());
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(lone)
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let Some(digit) = self.byte().and_then(|byte| (byte as char).to_digit(16)) else {
                return Err(self.unexpected("a hexadecimal digit"));
            };
            value = value << 4 | digit;
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &[u8]) -> Result<Cow<'_, str>, String> {
        Cursor::new(json).string().map_err(|error| error.to_string())
    }

    #[test]
    fn escapes() {
        let json = r#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00 é😀""#;
        assert_eq!(read(json.as_bytes()).unwrap(), "\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600} \u{e9}\u{1f600}");
        assert!(matches!(read(b"\"plain\""), Ok(Cow::Borrowed("plain"))));
    }

    #[test]
    fn faults() {
        for (json, message) in [
            (&b"\"ab"[..], "byte 3: expected '\"' at the end of the string, found the end of the body"),
            (b"\"a\xff\"", "byte 2: expected UTF-8, found byte 0xff"),
            (b"\"a\nb\"", "byte 2: expected an escape for a control character, found byte 0x0a"),
            (br#""\x""#, "byte 2: expected one of \" \\ / b f n r t u after '\\', found 'x'"),
            (br#""\u12g4""#, "byte 5: expected a hexadecimal digit, found 'g'"),
            (br#""\ud800""#, "byte 1: expected a character, found the lone surrogate \\ud800"),
            (br#""\ud800\u0041""#, "byte 1: expected a character, found the lone surrogate \\ud800"),
            (br#""\udc00""#, "byte 1: expected a character, found the lone surrogate \\udc00"),
            (b"7", "byte 0: expected a string, found '7'"),
        ] {
            assert_eq!(read(json).unwrap_err(), message);
        }
    }
}
