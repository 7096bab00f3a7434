//! Universal Binary JSON (draft 12), as XGBoost writes it, read by serde. Source: ubjson.org.
//!
//! Lengths are the file's to choose, so nothing is allocated by them: whatever is read is there.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Deeper than any model's file.
const DEEPEST: usize = 32;

/// What is wrong with the bytes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(String);

impl serde::de::Error for Fault {
    fn custom<T: std::fmt::Display>(said: T) -> Self {
        Self(said.to_string())
    }
}

/// Reads one value, which must be all there is.
pub(super) fn read<T: serde::de::DeserializeOwned>(raw: &[u8]) -> Result<T, Fault> {
    let mut reader = Reader { raw, at: 0, depth: 0 };
    let value = T::deserialize(Value { reader: &mut reader, marker: None })?;
    if reader.at < raw.len() {
        return Err(Fault::custom(format!("{} bytes follow the value", raw.len() - reader.at)));
    }
    Ok(value)
}

struct Reader<'a> {
    raw: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.raw.len());
        let end = end.ok_or_else(|| Fault::custom(format!("cut short at byte {}", self.at)))?;
        let taken = &self.raw[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    /// A marker; no-ops say nothing.
    fn marker(&mut self) -> Result<u8, Fault> {
        loop {
            match self.array::<1>()? {
                [b'N'] => {}
                [marker] => return Ok(marker),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.raw.get(self.at).copied()
    }

    fn integer(&mut self, marker: u8) -> Result<i64, Fault> {
        Ok(match marker {
            b'i' => i8::from_be_bytes(self.array()?).into(),
            b'U' => u8::from_be_bytes(self.array()?).into(),
            b'I' => i16::from_be_bytes(self.array()?).into(),
            b'l' => i32::from_be_bytes(self.array()?).into(),
            b'L' => i64::from_be_bytes(self.array()?),
            other => return Err(Fault::custom(format!("byte {}: '{}' is no integer", self.at, other.escape_ascii()))),
        })
    }

    fn length(&mut self) -> Result<usize, Fault> {
        let marker = self.marker()?;
        let length = self.integer(marker)?;
        usize::try_from(length).map_err(|_| Fault::custom(format!("byte {}: a length of {length}", self.at)))
    }

    fn text(&mut self) -> Result<&'a str, Fault> {
        let length = self.length()?;
        let at = self.at;
        std::str::from_utf8(self.take(length)?).map_err(|_| Fault::custom(format!("byte {at}: a string that is not UTF-8")))
    }

    /// What a container declares at its beginning.
    fn header(&mut self) -> Result<Header, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::custom(format!("byte {}: nested deeper than {DEEPEST}", self.at)));
        }
        let mut header = Header { kind: None, left: None };
        if self.peek() == Some(b'$') {
            self.at += 1;
            header.kind = Some(self.array::<1>()?[0]);
        }
        if self.peek() == Some(b'#') {
            self.at += 1;
            header.left = Some(self.length()?);
        } else if header.kind.is_some() {
            return Err(Fault::custom(format!("byte {}: a kind without a count", self.at)));
        }
        // Elements of no bytes could be as many as the file likes.
        if header.left.is_some_and(|left| left > self.raw.len() - self.at) {
            return Err(Fault::custom(format!("byte {}: more elements than bytes", self.at)));
        }
        Ok(header)
    }
}

struct Header {
    /// Of all elements, where it is declared.
    kind: Option<u8>,
    /// How many elements are yet to come, where that is declared.
    left: Option<usize>,
}

/// A value yet to be read; `marker` where it is already known.
struct Value<'r, 'a> {
    reader: &'r mut Reader<'a>,
    marker: Option<u8>,
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let reader = self.reader;
        let marker = if let Some(marker) = self.marker { marker } else { reader.marker()? };
        match marker {
            b'Z' => visitor.visit_unit(),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'd' => visitor.visit_f32(f32::from_be_bytes(reader.array()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(reader.array()?)),
            b'C' => visitor.visit_char(reader.array::<1>()?[0].into()),
            b'S' | b'H' => visitor.visit_borrowed_str(reader.text()?),
            b'[' => {
                let header = reader.header()?;
                let value = visitor.visit_seq(Elements { reader: &mut *reader, header, end: b']' })?;
                reader.depth -= 1;
                Ok(value)
            }
            b'{' => {
                let header = reader.header()?;
                let value = visitor.visit_map(Elements { reader: &mut *reader, header, end: b'}' })?;
                reader.depth -= 1;
                Ok(value)
            }
            other => visitor.visit_i64(reader.integer(other)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The elements of a container.
struct Elements<'r, 'a> {
    reader: &'r mut Reader<'a>,
    header: Header,
    end: u8,
}

impl Elements<'_, '_> {
    /// Whether there is another.
    fn more(&mut self) -> Result<bool, Fault> {
        if let Some(left) = &mut self.header.left {
            let more = *left > 0;
            *left = left.saturating_sub(1);
            return Ok(more);
        }
        while self.reader.peek() == Some(b'N') {
            self.reader.at += 1;
        }
        let ended = self.reader.peek() == Some(self.end);
        self.reader.at += usize::from(ended);
        Ok(!ended)
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if !self.more()? {
            return Ok(None);
        }
        seed.deserialize(Value { reader: self.reader, marker: self.header.kind }).map(Some)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        if !self.more()? {
            return Ok(None);
        }
        let key = self.reader.text()?;
        seed.deserialize(serde::de::value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(Value { reader: self.reader, marker: self.header.kind })
    }
}
