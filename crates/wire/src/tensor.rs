//! A tensor as it travels: a datatype, a shape, and its elements in row-major order.

use bytes::{BufMut, Bytes, BytesMut};

use crate::DataType;

/// A dense tensor in row-major order.
///
/// The invariant that [`Tensor::new`] and [`Tensor::strings`] check: the data holds exactly as many elements as the shape says.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    datatype: DataType,
    shape: Vec<usize>,
    data: Data,
}

/// The elements of a [`Tensor`].
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Fixed-size elements, little-endian, without padding; not necessarily aligned.
    Raw(Bytes),
    /// The elements of a `BYTES` tensor.
    Strings(Vec<Bytes>),
}

/// A tensor whose shape and data do not agree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The dimensions multiply past what this machine can address.
    #[error("shape {0:?} has more elements than can be addressed")]
    TooLarge(Vec<usize>),
    /// The data has another length than the shape asks for.
    #[error("shape {shape:?} of {datatype} needs {expected} {unit}, found {found}")]
    Length {
        /// The declared shape.
        shape: Vec<usize>,
        /// The declared datatype.
        datatype: DataType,
        /// What `expected` and `found` count: `bytes` or `elements`.
        unit: &'static str,
        /// How many the shape asks for.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A `BYTES` tensor's encoding ends in the middle of an element.
    #[error("BYTES data is cut short at byte {at}: element {element} needs {needed} bytes, {left} are left")]
    Truncated {
        /// Offset of the element's length prefix, or of its first byte.
        at: usize,
        /// Index of the element.
        element: usize,
        /// Bytes that the element still needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
}

/// The number of elements of `shape`, or `None` where the product (or its size in bytes, at 8 bytes an element) overflows.
#[must_use]
pub fn element_count(shape: &[usize]) -> Option<usize> {
    let count = shape.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim))?;
    (count <= isize::MAX as usize / 8).then_some(count)
}

impl Tensor {
    /// A tensor of fixed-size elements from little-endian bytes.
    ///
    /// # Errors
    /// When `raw` has another length than `shape` and `datatype` ask for. For [`DataType::Bytes`], `raw` is the protocol's
    /// encoding: each element preceded by its length as a little-endian `u32`.
    pub fn new(datatype: DataType, shape: Vec<usize>, raw: Bytes) -> Result<Self, TensorError> {
        let Some(count) = element_count(&shape) else { return Err(TensorError::TooLarge(shape)) };
        let Some(size) = datatype.size() else {
            let strings = split_strings(&raw, count)?;
            return Self::strings(shape, strings);
        };
        if raw.len() != count * size {
            return Err(TensorError::Length { shape, datatype, unit: "bytes", expected: count * size, found: raw.len() });
        }
        Ok(Self { datatype, shape, data: Data::Raw(raw) })
    }

    /// A `BYTES` tensor from its elements.
    ///
    /// # Errors
    /// When there are more or fewer elements than `shape` asks for.
    pub fn strings(shape: Vec<usize>, strings: Vec<Bytes>) -> Result<Self, TensorError> {
        let Some(count) = element_count(&shape) else { return Err(TensorError::TooLarge(shape)) };
        if strings.len() != count {
            let (expected, found) = (count, strings.len());
            return Err(TensorError::Length { shape, datatype: DataType::Bytes, unit: "elements", expected, found });
        }
        Ok(Self { datatype: DataType::Bytes, shape, data: Data::Strings(strings) })
    }

    /// An `FP32` tensor from its values.
    ///
    /// # Errors
    /// When there are more or fewer values than `shape` asks for.
    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Result<Self, TensorError> {
        let mut raw = BytesMut::with_capacity(values.len() * 4);
        values.iter().for_each(|value| raw.put_f32_le(*value));
        Self::new(DataType::Fp32, shape, raw.freeze())
    }

    /// An `INT64` tensor from its values.
    ///
    /// # Errors
    /// When there are more or fewer values than `shape` asks for.
    pub fn from_i64(shape: Vec<usize>, values: &[i64]) -> Result<Self, TensorError> {
        let mut raw = BytesMut::with_capacity(values.len() * 8);
        values.iter().for_each(|value| raw.put_i64_le(*value));
        Self::new(DataType::Int64, shape, raw.freeze())
    }

    /// The element type.
    #[must_use]
    pub const fn datatype(&self) -> DataType {
        self.datatype
    }

    /// The dimensions, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    #[must_use]
    pub const fn data(&self) -> &Data {
        &self.data
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor taken apart: datatype, shape, elements.
    #[must_use]
    pub fn into_parts(self) -> (DataType, Vec<usize>, Data) {
        (self.datatype, self.shape, self.data)
    }

    /// The elements as the binary tensor extension sends them: little-endian, `BYTES` with a `u32` length before each.
    #[must_use]
    pub fn to_raw(&self) -> Bytes {
        match &self.data {
            Data::Raw(raw) => raw.clone(),
            Data::Strings(strings) => {
                let size = strings.iter().map(|one| one.len() + 4).sum();
                let mut raw = BytesMut::with_capacity(size);
                for one in strings {
                    raw.put_u32_le(u32::try_from(one.len()).unwrap_or(u32::MAX));
                    raw.extend_from_slice(one);
                }
                raw.freeze()
            }
        }
    }

    /// Bytes that the elements occupy on the wire.
    #[must_use]
    pub fn raw_len(&self) -> usize {
        match &self.data {
            Data::Raw(raw) => raw.len(),
            Data::Strings(strings) => strings.iter().map(|one| one.len() + 4).sum(),
        }
    }

    /// The elements as `f64`, whatever number they are stored as (integers beyond 2^53 are rounded); `None` for `BYTES`.
    #[must_use]
    pub fn to_f64(&self) -> Option<Vec<f64>> {
        let Data::Raw(raw) = &self.data else { return None };
        macro_rules! read {
            ($number:ty, $size:literal, $convert:expr) => {
                raw.as_chunks::<$size>().0.iter().map(|chunk| $convert(<$number>::from_le_bytes(*chunk))).collect()
            };
        }
        Some(match self.datatype {
            DataType::Bool | DataType::Uint8 => raw.iter().map(|one| f64::from(*one)).collect(),
            DataType::Uint16 => read!(u16, 2, f64::from),
            DataType::Uint32 => read!(u32, 4, f64::from),
            DataType::Uint64 => read!(u64, 8, |one| one as f64),
            DataType::Int8 => read!(i8, 1, f64::from),
            DataType::Int16 => read!(i16, 2, f64::from),
            DataType::Int32 => read!(i32, 4, f64::from),
            DataType::Int64 => read!(i64, 8, |one| one as f64),
            DataType::Fp16 => read!(half::f16, 2, f64::from),
            DataType::Bf16 => read!(half::bf16, 2, f64::from),
            DataType::Fp32 => read!(f32, 4, f64::from),
            DataType::Fp64 => read!(f64, 8, |one| one),
            DataType::Bytes => return None,
        })
    }
}

/// Splits the length-prefixed encoding of a `BYTES` tensor into `count` elements that share `raw`'s memory.
fn split_strings(raw: &Bytes, count: usize) -> Result<Vec<Bytes>, TensorError> {
    // Each element costs four bytes at least, so a declared count can never make this allocate more than the body did.
    let mut strings = Vec::with_capacity(count.min(raw.len() / 4));
    let mut at = 0;
    for element in 0..count {
        let left = raw.len() - at;
        let Some(prefix) = raw[at..].first_chunk::<4>() else {
            return Err(TensorError::Truncated { at, element, needed: 4, left });
        };
        let needed = u32::from_le_bytes(*prefix) as usize;
        at += 4;
        let left = raw.len() - at;
        if needed > left {
            return Err(TensorError::Truncated { at, element, needed, left });
        }
        strings.push(raw.slice(at..at + needed));
        at += needed;
    }
    if at != raw.len() {
        return Err(TensorError::Length {
            shape: vec![count],
            datatype: DataType::Bytes,
            unit: "bytes",
            expected: at,
            found: raw.len(),
        });
    }
    Ok(strings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_checked() {
        let short = Tensor::new(DataType::Fp32, vec![2, 3], Bytes::from_static(&[0; 20])).unwrap_err();
        assert_eq!(short.to_string(), "shape [2, 3] of FP32 needs 24 bytes, found 20");
        assert!(matches!(Tensor::new(DataType::Fp32, vec![usize::MAX, 2], Bytes::new()), Err(TensorError::TooLarge(_))));
    }

    #[test]
    fn strings_read_back() {
        let words = vec![Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(b"three")];
        let tensor = Tensor::strings(vec![3], words).unwrap();
        assert_eq!(Tensor::new(DataType::Bytes, vec![3], tensor.to_raw()).unwrap(), tensor);
        let cut = tensor.to_raw().slice(..5);
        assert!(
            Tensor::new(DataType::Bytes, vec![3], cut).unwrap_err().to_string().contains("element 0 needs 3 bytes, 1 are left")
        );
    }

    #[test]
    fn numbers_become_f64() {
        let tensor = Tensor::from_f32(vec![3], &[1.0, -2.5, f32::INFINITY]).unwrap();
        assert_eq!(tensor.to_f64().unwrap(), [1.0, -2.5, f64::INFINITY]);
        assert_eq!(Tensor::from_i64(vec![2], &[-7, 1 << 40]).unwrap().to_f64().unwrap(), [-7.0, 1_099_511_627_776.0]);
    }
}
