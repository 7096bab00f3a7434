//! Tensor elements from JSON: flat or nested lists, straight into little-endian memory.

use std::marker::PhantomData;
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
        match self.datatype {
            DataType::Bool => walk(cursor, &mut Numbers::<Bool>::into(&mut self.bytes)),
            DataType::Uint8 => walk(cursor, &mut Numbers::<u8>::into(&mut self.bytes)),
            DataType::Uint16 => walk(cursor, &mut Numbers::<u16>::into(&mut self.bytes)),
            DataType::Uint32 => walk(cursor, &mut Numbers::<u32>::into(&mut self.bytes)),
            DataType::Uint64 => walk(cursor, &mut Numbers::<u64>::into(&mut self.bytes)),
            DataType::Int8 => walk(cursor, &mut Numbers::<i8>::into(&mut self.bytes)),
            DataType::Int16 => walk(cursor, &mut Numbers::<i16>::into(&mut self.bytes)),
            DataType::Int32 => walk(cursor, &mut Numbers::<i32>::into(&mut self.bytes)),
            DataType::Int64 => walk(cursor, &mut Numbers::<i64>::into(&mut self.bytes)),
            DataType::Fp16 => walk(cursor, &mut Numbers::<f16>::into(&mut self.bytes)),
            DataType::Bf16 => walk(cursor, &mut Numbers::<bf16>::into(&mut self.bytes)),
            DataType::Fp32 => walk(cursor, &mut Numbers::<f32>::into(&mut self.bytes)),
            DataType::Fp64 => walk(cursor, &mut Numbers::<f64>::into(&mut self.bytes)),
            DataType::Bytes => walk(cursor, self),
        }
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

/// What reads the scalars of a list.
trait Scalars {
    /// Reads one.
    fn one(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JsonError>;

    /// Reads zeros that others follow, if they stand here in a row; how many.
    #[inline]
    fn zeros(&mut self, _: &mut Cursor<'_>) -> usize {
        0
    }
}

/// Elements of a fixed size.
struct Numbers<'a, E>(&'a mut Vec<u8>, PhantomData<E>);

impl<'a, E> Numbers<'a, E> {
    const fn into(bytes: &'a mut Vec<u8>) -> Self {
        Self(bytes, PhantomData)
    }
}

impl<E: Element> Scalars for Numbers<'_, E> {
    #[inline]
    fn one(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JsonError> {
        E::read(cursor, self.0)
    }

    #[inline]
    fn zeros(&mut self, cursor: &mut Cursor<'_>) -> usize {
        let count = if E::IS_NUMBER { cursor.zeros(E::HAS_FRACTION) } else { 0 };
        self.0.resize(self.0.len() + count * size_of::<E>(), 0);
        count
    }
}

impl Scalars for Elements {
    fn one(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JsonError> {
        match cursor.peek() {
            Some(b'"') => self.bytes.extend_from_slice(cursor.string()?.as_bytes()),
            Some(b'{') if self.base64 => read_base64(cursor, &mut self.bytes)?,
            _ if self.base64 => return Err(cursor.unexpected("a string or {\"b64\": ...} for BYTES")),
            _ => return Err(cursor.unexpected("a string for BYTES")),
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }
}

/// Walks nested lists of scalars.
fn walk(cursor: &mut Cursor<'_>, scalars: &mut impl Scalars) -> Result<Nesting, JsonError> {
    let mut nesting = Nesting::default();
    if cursor.peek() != Some(b'[') {
        scalars.one(cursor)?;
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
            let (count, closed) = run(cursor, scalars)?;
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
fn run(cursor: &mut Cursor<'_>, scalars: &mut impl Scalars) -> Result<(usize, bool), JsonError> {
    let mut count = 0;
    loop {
        let zeros = scalars.zeros(cursor);
        count += zeros;
        if zeros > 0 && cursor.peek() == Some(b'[') {
            return Ok((count, false));
        }
        scalars.one(cursor)?;
        count += 1;
        if !cursor.more(b']')? {
            return Ok((count, true));
        }
        if cursor.peek() == Some(b'[') {
            return Ok((count, false));
        }
    }
}
