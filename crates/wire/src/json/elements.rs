//! Tensor elements from JSON: flat or nested lists, straight into little-endian memory.

use std::marker::PhantomData;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use half::{bf16, f16};
#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;

use super::element::{Bool, Element};
use super::simple::{self, BLOCK, Steps, Words};
use super::{Cursor, JsonError, Nesting};
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

/// What reads scalars.
trait Scalars {
    /// Reads one.
    fn one(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JsonError>;

    /// Reads those that stand side by side: how many, and whether their list ended (or another list follows).
    fn run(&mut self, cursor: &mut Cursor<'_>) -> Result<(usize, bool), JsonError> {
        let mut count = 0;
        loop {
            self.one(cursor)?;
            count += 1;
            if !cursor.more(b']')? {
                return Ok((count, true));
            }
            if cursor.peek() == Some(b'[') {
                return Ok((count, false));
            }
        }
    }
}

/// Elements of a fixed size.
struct Numbers<'a, E>(&'a mut Vec<u8>, PhantomData<E>);

impl<'a, E> Numbers<'a, E> {
    const fn into(bytes: &'a mut Vec<u8>) -> Self {
        Self(bytes, PhantomData)
    }
}

/// Elements that room is made for at once.
const ROOM: usize = 256;

impl<E: Element> Scalars for Numbers<'_, E> {
    fn one(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JsonError> {
        self.0.extend_from_slice(E::read(cursor)?.as_ref());
        Ok(())
    }

    fn run(&mut self, cursor: &mut Cursor<'_>) -> Result<(usize, bool), JsonError> {
        let size = size_of::<E::Raw>();
        let mut count = 0;
        loop {
            let start = self.0.len();
            // What was reserved is used up before more is asked for, which would copy all elements.
            let spare = (self.0.capacity() - start) / size;
            let room = if spare == 0 { cursor.left() / 2 + 1 } else { spare };
            self.0.resize(start + room.min(ROOM) * size, 0);
            let (filled, end) = fill::<E>(cursor, E::slots(&mut self.0[start..]))?;
            self.0.truncate(start + filled * size);
            count += filled;
            match end {
                End::List => return Ok((count, true)),
                End::Deeper => return Ok((count, false)),
                End::Room => {}
            }
        }
    }
}

/// Why no more elements were read.
enum End {
    /// The list ended.
    List,
    /// Another list follows.
    Deeper,
    /// No slot is left.
    Room,
}

/// Failures in a row to find simple forms: the more there were, the more elements pass before the next attempt.
const MOST_FAILURES: usize = 16;

/// Reads scalars side by side into `slots`, which hold zeros: how many, and why no more.
#[inline]
fn fill<E: Element>(cursor: &mut Cursor<'_>, slots: &mut [E::Raw]) -> Result<(usize, End), JsonError> {
    let (mut filled, mut wait, mut failures) = (0, 0, 0);
    loop {
        if wait > 0 {
            wait -= 1;
        } else if E::IS_NUMBER {
            let count = fill_simple::<E>(cursor, &mut slots[filled..]);
            filled += count;
            failures = if count > 0 { 0 } else { MOST_FAILURES.min(failures + 1) };
            wait = failures / 2;
        }
        if filled == slots.len() {
            return Ok((filled, End::Room));
        }
        if cursor.peek() == Some(b'[') {
            return Ok((filled, End::Deeper));
        }
        slots[filled] = E::read(cursor)?;
        filled += 1;
        if !cursor.more(b']')? {
            return Ok((filled, End::List));
        }
    }
}

/// Reads numbers of simple forms, as long as others follow them; how many.
#[inline(never)]
fn fill_simple<E: Element>(cursor: &mut Cursor<'_>, slots: &mut [E::Raw]) -> usize {
    let simple = Simple::<E> { bytes: cursor.bytes, at: cursor.at, slots };
    #[cfg(target_arch = "x86_64")]
    let (filled, at) = match V3::try_new() {
        Some(v3) => v3.vectorize(Vectors(v3, simple)),
        None => simple.fill(Words),
    };
    #[cfg(not(target_arch = "x86_64"))]
    let (filled, at) = simple.fill(Words);
    cursor.at = at;
    filled
}

/// Numbers in a row, and places for them.
struct Simple<'a, E: Element> {
    bytes: &'a [u8],
    at: usize,
    slots: &'a mut [E::Raw],
}

/// What is compiled for `x86-64-v3`, in a build for any `x86-64` too.
#[cfg(target_arch = "x86_64")]
struct Vectors<'a, E: Element>(V3, Simple<'a, E>);

#[cfg(target_arch = "x86_64")]
impl<E: Element> pulp::NullaryFnOnce for Vectors<'_, E> {
    type Output = (usize, usize);

    #[inline(always)]
    fn call(self) -> Self::Output {
        self.1.fill(self.0)
    }
}

impl<E: Element> Simple<'_, E> {
    /// How many were read, and where the next value stands.
    #[inline(always)]
    fn fill(self, steps: impl Steps) -> (usize, usize) {
        let Self { bytes, mut at, slots } = self;
        let mut filled = 0;
        // Commas that are known of, from `base` on.
        let (mut base, mut commas) = (at, 0);
        while filled < slots.len()
            && let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>())
        {
            if let b' ' | b'\n' = block[0] {
                at += 1;
            } else if let Some((count, length)) = simple::zeros(steps, block, E::HAS_FRACTION) {
                // The slots hold zeros already.
                let count = count.min(slots.len() - filled);
                filled += count;
                at += count * length;
                commas = 0;
            } else {
                if commas == 0 {
                    (base, commas) = (at, steps.commas(block));
                }
                let comma = base + commas.trailing_zeros() as usize;
                commas &= commas.wrapping_sub(1);
                let Some(raw) = E::read_simple(steps, block, comma - at) else { break };
                slots[filled] = raw;
                filled += 1;
                at = comma + 1;
            }
        }
        (filled, at)
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
            let (count, closed) = scalars.run(cursor)?;
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
