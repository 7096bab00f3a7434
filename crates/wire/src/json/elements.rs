//! Tensor elements from JSON: flat or nested lists, straight into little-endian memory.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use half::{bf16, f16};

use super::element::{Bool, Element};
use super::{Cursor, JsonError};
use crate::{DataType, Tensor, TensorError};

/// Elements on their way into a tensor. Several values may be read into one, a row each.
#[derive(Debug)]
pub struct Elements {
    datatype: DataType,
    base64: bool,
    /// Little-endian elements, or the characters of all strings.
    bytes: Vec<u8>,
    /// Where each string ends in `bytes`.
    ends: Vec<usize>,
}

/// How the lists of one value nest.
#[derive(Debug, Default)]
pub struct Nesting {
    levels: Vec<Level>,
    /// Where the first list is that breaks the rule.
    irregular: Option<usize>,
    /// The level that holds scalars.
    leaf: Option<usize>,
}

#[derive(Debug, Default)]
struct Level {
    count: usize,
    size: Option<usize>,
}

impl Nesting {
    /// The shape, outermost first; a bare scalar has none.
    ///
    /// # Errors
    /// The offset of the first list or scalar that has another length or depth than those before it.
    pub fn shape(&self) -> Result<Vec<usize>, usize> {
        match self.irregular {
            Some(at) => Err(at),
            None => Ok(self.levels.iter().map(|level| level.size.unwrap_or(0)).collect()),
        }
    }

    /// A list opens at `depth`, counted from 0.
    fn open(&mut self, depth: usize, at: usize) {
        if self.levels.len() == depth {
            self.levels.push(Level::default());
        }
        self.levels[depth].count = 0;
        if self.leaf.is_some_and(|leaf| depth > leaf) {
            self.irregular.get_or_insert(at);
        }
    }

    /// `count` scalars stand in the list at `depth`, the first of them at `at`.
    fn scalars(&mut self, depth: usize, count: usize, at: usize) {
        self.levels[depth].count += count;
        if *self.leaf.get_or_insert(depth) != depth || self.levels.len() > depth + 1 {
            self.irregular.get_or_insert(at);
        }
    }

    /// The list at `depth` closes at `at`.
    fn close(&mut self, depth: usize, at: usize) {
        let level = &mut self.levels[depth];
        if *level.size.get_or_insert(level.count) != level.count {
            self.irregular.get_or_insert(at);
        }
        if depth > 0 {
            self.levels[depth - 1].count += 1;
        }
    }
}

impl Elements {
    /// No elements yet, of `datatype`.
    #[must_use]
    pub const fn new(datatype: DataType) -> Self {
        Self { datatype, base64: false, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Accepts `{"b64": "..."}` where a string may stand, as TensorFlow Serving does.
    #[must_use]
    pub const fn with_base64(mut self) -> Self {
        self.base64 = true;
        self
    }

    /// Makes room for `count` more elements of the value at `cursor`; no more than its bytes can hold, whatever was declared.
    pub fn reserve(&mut self, count: usize, cursor: &Cursor<'_>) {
        let count = count.min(cursor.left() / 2 + 1);
        match self.datatype.size() {
            Some(size) => self.bytes.reserve_exact(count * size),
            None => self.ends.reserve_exact(count),
        }
    }

    /// The number of elements read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.datatype.size().map_or(self.ends.len(), |size| self.bytes.len() / size)
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a scalar, or lists of them nested in any way, in row-major order.
    ///
    /// # Errors
    /// When the JSON is not well-formed, or a value does not fit the datatype.
    pub fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<Nesting, JsonError> {
        let bytes = &mut self.bytes;
        match self.datatype {
            DataType::Bool => walk(cursor, |cursor| Bool::read(cursor, bytes)),
            DataType::Uint8 => walk(cursor, |cursor| u8::read(cursor, bytes)),
            DataType::Uint16 => walk(cursor, |cursor| u16::read(cursor, bytes)),
            DataType::Uint32 => walk(cursor, |cursor| u32::read(cursor, bytes)),
            DataType::Uint64 => walk(cursor, |cursor| u64::read(cursor, bytes)),
            DataType::Int8 => walk(cursor, |cursor| i8::read(cursor, bytes)),
            DataType::Int16 => walk(cursor, |cursor| i16::read(cursor, bytes)),
            DataType::Int32 => walk(cursor, |cursor| i32::read(cursor, bytes)),
            DataType::Int64 => walk(cursor, |cursor| i64::read(cursor, bytes)),
            DataType::Fp16 => walk(cursor, |cursor| f16::read(cursor, bytes)),
            DataType::Bf16 => walk(cursor, |cursor| bf16::read(cursor, bytes)),
            DataType::Fp32 => walk(cursor, |cursor| f32::read(cursor, bytes)),
            DataType::Fp64 => walk(cursor, |cursor| f64::read(cursor, bytes)),
            DataType::Bytes => walk(cursor, |cursor| self.read_string(cursor)),
        }
    }

    fn read_string(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JsonError> {
        match cursor.peek() {
            Some(b'"') => self.bytes.extend_from_slice(cursor.string()?.as_bytes()),
            Some(b'{') if self.base64 => read_base64(cursor, &mut self.bytes)?,
            _ if self.base64 => return Err(cursor.unexpected("a string or {\"b64\": ...} for BYTES")),
            _ => return Err(cursor.unexpected("a string for BYTES")),
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// The tensor.
    ///
    /// # Errors
    /// When `shape` asks for more or fewer elements than were read.
    pub fn finish(self, shape: Vec<usize>) -> Result<Tensor, TensorError> {
        if let Some(size) = self.datatype.size() {
            let found = self.bytes.len() / size;
            return Tensor::new(self.datatype, shape, self.bytes.into()).map_err(|error| match error {
                TensorError::Length { shape, datatype, expected, .. } => {
                    TensorError::Length { shape, datatype, unit: "elements", expected: expected / size, found }
                }
                other => other,
            });
        }
        let text = Bytes::from(self.bytes);
        let mut start = 0;
        let spans = self.ends.into_iter().map(|end| {
            let span: Range<usize> = start..end;
            start = end;
            text.slice(span)
        });
        Tensor::strings(shape, spans.collect())
    }
}

/// `{"b64": "..."}`, decoded.
fn read_base64(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), JsonError> {
    const EXPECTED: &str = "{\"b64\": \"base64 text\"}";
    let start = cursor.position();
    let mut seen = false;
    cursor.object(|key, cursor| {
        if key != "b64" || std::mem::replace(&mut seen, true) {
            let shown: String = key.chars().take(40).collect();
            return Err(JsonError::new(start, EXPECTED, format!("the key '{shown}'")));
        }
        cursor.peek();
        let at = cursor.position();
        let text = cursor.string()?;
        STANDARD.decode_vec(text.as_bytes(), out).map_err(|error| JsonError::new(at, "base64 text", error.to_string()))
    })?;
    if seen { Ok(()) } else { Err(JsonError::new(start, EXPECTED, "{}")) }
}

/// Walks nested lists; `one` reads a scalar.
fn walk(cursor: &mut Cursor<'_>, mut one: impl FnMut(&mut Cursor<'_>) -> Result<(), JsonError>) -> Result<Nesting, JsonError> {
    let mut nesting = Nesting::default();
    if cursor.peek() != Some(b'[') {
        one(cursor)?;
        return Ok(nesting);
    }
    // The level that the next value opens, or stands in as a scalar of the level before it.
    let mut depth = 0;
    loop {
        let open = cursor.peek() == Some(b'[');
        if open {
            nesting.open(depth, cursor.position());
            cursor.open(b'[', "an array")?;
            depth += 1;
        }
        if !(open && cursor.close(b']')) {
            if cursor.peek() == Some(b'[') {
                continue;
            }
            let at = cursor.position();
            let (count, closed) = run(cursor, &mut one)?;
            nesting.scalars(depth - 1, count, at);
            if !closed {
                continue;
            }
        }
        loop {
            depth -= 1;
            nesting.close(depth, cursor.position() - 1);
            if depth == 0 {
                return Ok(nesting);
            }
            if cursor.more(b']')? {
                break;
            }
        }
    }
}

/// Scalars side by side: how many, and whether their list ended (or another list follows).
#[inline]
fn run(
    cursor: &mut Cursor<'_>,
    one: &mut impl FnMut(&mut Cursor<'_>) -> Result<(), JsonError>,
) -> Result<(usize, bool), JsonError> {
    let mut count = 0;
    loop {
        one(cursor)?;
        count += 1;
        if !cursor.more(b']')? {
            return Ok((count, true));
        }
        if cursor.peek() == Some(b'[') {
            return Ok((count, false));
        }
    }
}
