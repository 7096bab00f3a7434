//! Writing JSON: numbers with the fewest digits that read back as the same value, straight into the body.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use half::{bf16, f16};

use crate::{Data, DataType, Tensor};

/// How the elements of a `BYTES` tensor become JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// As strings; an element that is not UTF-8 is an error.
    Utf8,
    /// As `{"b64": "..."}`, as TensorFlow Serving does.
    Base64,
}

/// A tensor that JSON cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Strings of JSON are Unicode.
    #[error("element {0} is not UTF-8, which JSON cannot carry; ask for binary output")]
    NotUtf8(usize),
    /// Shape `[1000000000, 0]` has no elements, yet a thousand million empty lists.
    #[error("shape {0:?} has no elements and too many empty lists")]
    EmptyLists(Vec<usize>),
}

/// Empty lists that [`nested`] writes at most.
const MAX_EMPTY_LISTS: usize = 1 << 16;

/// Appends a number, or one of the tokens `NaN`, `Infinity`, `-Infinity`. Always with a `.` or an exponent, so that clients see a float.
#[inline]
pub fn f32(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        token(out, f64::from(value));
    }
}

/// Appends a number, as [`f32()`](fn@f32) does.
#[inline]
pub fn f64(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        token(out, value);
    }
}

#[cold]
fn token(out: &mut Vec<u8>, value: f64) {
    let word: &[u8] = match value {
        value if value.is_nan() => b"NaN",
        value if value < 0.0 => b"-Infinity",
        _ => b"Infinity",
    };
    out.extend_from_slice(word);
}

/// Appends an integer.
#[inline]
pub fn integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `true` or `false`.
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a string with its quotes.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            plain @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', plain]),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends `[d0,d1,...]`.
pub fn shape(out: &mut Vec<u8>, dims: impl IntoIterator<Item = impl itoa::Integer>) {
    out.push(b'[');
    for (index, dim) in dims.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        integer(out, dim);
    }
    out.push(b']');
}

/// Appends all elements as one flat list, as the Open Inference Protocol's servers do.
///
/// # Errors
/// See [`WriteError`].
pub fn flat(out: &mut Vec<u8>, tensor: &Tensor, text: Text) -> Result<(), WriteError> {
    out.push(b'[');
    values(out, tensor, 0..tensor.len(), text)?;
    out.push(b']');
    Ok(())
}

/// Appends lists nested as the shape says; a tensor without dimensions is one bare value.
///
/// # Errors
/// See [`WriteError`].
pub fn nested(out: &mut Vec<u8>, tensor: &Tensor, text: Text) -> Result<(), WriteError> {
    nest(out, tensor, (tensor.shape(), 0), text)
}

/// Appends one row of the first dimension, nested as the rest of the shape says.
///
/// # Errors
/// See [`WriteError`].
///
/// # Panics
/// When the tensor has no such row.
pub fn row(out: &mut Vec<u8>, tensor: &Tensor, index: usize, text: Text) -> Result<(), WriteError> {
    assert!(tensor.shape().first().is_some_and(|rows| index < *rows), "row {index} of shape {:?}", tensor.shape());
    let inner = &tensor.shape()[1..];
    nest(out, tensor, (inner, index * inner.iter().product::<usize>()), text)
}

/// The part of a tensor that has this shape and starts at this element.
fn nest(out: &mut Vec<u8>, tensor: &Tensor, (dims, start): (&[usize], usize), text: Text) -> Result<(), WriteError> {
    let Some((first, inner)) = dims.split_first() else { return values(out, tensor, start..start + 1, text) };
    let size: usize = inner.iter().product();
    if size == 0 && first.saturating_mul(inner.iter().take_while(|dim| **dim > 0).product()) > MAX_EMPTY_LISTS {
        return Err(WriteError::EmptyLists(tensor.shape().to_vec()));
    }
    out.push(b'[');
    if inner.is_empty() {
        values(out, tensor, start..start + first, text)?;
    } else {
        for index in 0..*first {
            if index > 0 {
                out.push(b',');
            }
            nest(out, tensor, (inner, start + index * size), text)?;
        }
    }
    out.push(b']');
    Ok(())
}

/// Elements of a range, with commas between.
fn values(out: &mut Vec<u8>, tensor: &Tensor, range: Range<usize>, text: Text) -> Result<(), WriteError> {
    let raw = match tensor.data() {
        Data::Strings(strings) => return write_strings(out, strings, range, text),
        Data::Raw(raw) => raw,
    };
    // A rough guess that saves most growing: digits of a single, and the comma.
    out.reserve(range.len() * if tensor.datatype() == DataType::Bool { 6 } else { 12 });
    macro_rules! write {
        ($number:ty, $size:literal, $one:expr) => {
            separated(out, &raw.as_chunks::<$size>().0[range], |out, bytes| $one(out, <$number>::from_le_bytes(*bytes)))
        };
    }
    match tensor.datatype() {
        DataType::Bool => separated(out, &raw[range], |out, byte| bool(out, *byte != 0)),
        DataType::Uint8 => write!(u8, 1, integer),
        DataType::Uint16 => write!(u16, 2, integer),
        DataType::Uint32 => write!(u32, 4, integer),
        DataType::Uint64 => write!(u64, 8, integer),
        DataType::Int8 => write!(i8, 1, integer),
        DataType::Int16 => write!(i16, 2, integer),
        DataType::Int32 => write!(i32, 4, integer),
        DataType::Int64 => write!(i64, 8, integer),
        DataType::Fp16 => write!(f16, 2, |out, value: f16| f32(out, value.to_f32())),
        DataType::Bf16 => write!(bf16, 2, |out, value: bf16| f32(out, value.to_f32())),
        DataType::Fp32 => write!(f32, 4, f32),
        DataType::Fp64 => write!(f64, 8, f64),
        DataType::Bytes => {}
    }
    Ok(())
}

#[inline]
fn separated<T>(out: &mut Vec<u8>, items: &[T], one: impl Fn(&mut Vec<u8>, &T)) {
    let Some((first, rest)) = items.split_first() else { return };
    one(out, first);
    for item in rest {
        out.push(b',');
        one(out, item);
    }
}

fn write_strings(out: &mut Vec<u8>, strings: &[Bytes], range: Range<usize>, text: Text) -> Result<(), WriteError> {
    for index in range.clone() {
        if index > range.start {
            out.push(b',');
        }
        match text {
            Text::Utf8 => string(out, std::str::from_utf8(&strings[index]).map_err(|_| WriteError::NotUtf8(index))?),
            Text::Base64 => {
                out.extend_from_slice(b"{\"b64\":\"");
                out.extend_from_slice(STANDARD.encode(&strings[index]).as_bytes());
                out.extend_from_slice(b"\"}");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_shortest_and_look_like_floats() {
        for (value, text) in [
            (0.1_f32, "0.1"),
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (16_777_216.0, "16777216.0"),
            (f32::NAN, "NaN"),
            (f32::INFINITY, "Infinity"),
            (f32::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(written(|out| f32(out, value)), text);
        }
        for value in [f32::MAX, 1e10, 1e16, 1e-7, f32::MIN_POSITIVE] {
            let text = written(|out| f32(out, value));
            assert_eq!(text.parse::<f32>().unwrap(), value);
            assert!(text.contains(['.', 'e']), "{text}");
        }
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(written(|out| string(out, "a\"b\\c\n\u{1}\u{e9}")), "\"a\\\"b\\\\c\\n\\u0001\u{e9}\"");
    }

    #[test]
    fn nests_as_the_shape_says() {
        let tensor = |shape: &[usize]| Tensor::from_i64(shape.to_vec(), &[1, 2, 3, 4, 5, 6][..shape.iter().product()]).unwrap();
        let text = |tensor: &Tensor| written(|out| nested(out, tensor, Text::Utf8).unwrap());
        assert_eq!(text(&tensor(&[])), "1");
        assert_eq!(text(&tensor(&[2, 3])), "[[1,2,3],[4,5,6]]");
        assert_eq!(text(&tensor(&[3, 1, 2])), "[[[1,2]],[[3,4]],[[5,6]]]");
        assert_eq!(text(&tensor(&[2, 0])), "[[],[]]");
        assert_eq!(text(&tensor(&[0, 2])), "[]");
        assert_eq!(written(|out| flat(out, &tensor(&[2, 3]), Text::Utf8).unwrap()), "[1,2,3,4,5,6]");
        assert_eq!(written(|out| row(out, &tensor(&[2, 3]), 1, Text::Utf8).unwrap()), "[4,5,6]");
        assert_eq!(written(|out| row(out, &tensor(&[3]), 1, Text::Utf8).unwrap()), "2");
        let hollow = Tensor::from_i64(vec![1 << 40, 0], &[]).unwrap();
        assert!(matches!(nested(&mut Vec::new(), &hollow, Text::Utf8), Err(WriteError::EmptyLists(_))));
    }

    #[test]
    fn bytes_as_text_or_base64() {
        let tensor = Tensor::strings(vec![2], vec![Bytes::from_static(b"ok"), Bytes::from_static(b"\xff")]).unwrap();
        assert_eq!(written(|out| flat(out, &tensor, Text::Base64).unwrap()), r#"[{"b64":"b2s="},{"b64":"/w=="}]"#);
        assert_eq!(flat(&mut Vec::new(), &tensor, Text::Utf8), Err(WriteError::NotUtf8(1)));
    }
}
