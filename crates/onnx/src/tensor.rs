//! Tensors as they lie in files: their sizes, and FP32 in and out.

use bytes::Bytes;

use crate::proto::{TensorProto, data_type};

/// Bytes of one element of a data type that lies in `raw_data`; `None` for strings, for types of less than a byte and for what is no type.
#[must_use]
pub fn element_bytes(data_type: i32) -> Option<usize> {
    match data_type {
        2 | 3 | 9 | 17..=20 | 24 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 | 14 => Some(8),
        15 => Some(16),
        _ => None,
    }
}

impl TensorProto {
    /// How many elements the dimensions make; `None` where one is negative or they are more than can be counted.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        self.dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(usize::try_from(*dim).ok()?))
    }

    /// The dimensions; empty where one is negative, which a checked file has not.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.dims.iter().map(|dim| usize::try_from(*dim)).collect::<Result<_, _>>().unwrap_or_default()
    }

    /// The values of an FP32 tensor; `None` for any other, and where they do not fill the dimensions.
    #[must_use]
    pub fn floats(&self) -> Option<Vec<f32>> {
        if self.data_type() != data_type::FLOAT {
            return None;
        }
        let values: Vec<f32> = match &self.raw_data {
            Some(raw) => raw.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
            None => self.float_data.clone(),
        };
        (Some(values.len()) == self.count()).then_some(values)
    }

    /// The values of an FP64 tensor; `None` as for [`TensorProto::floats`].
    #[must_use]
    pub fn doubles(&self) -> Option<Vec<f64>> {
        if self.data_type() != data_type::DOUBLE {
            return None;
        }
        let values: Vec<f64> = match &self.raw_data {
            Some(raw) => raw.as_chunks().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect(),
            None => self.double_data.clone(),
        };
        (Some(values.len()) == self.count()).then_some(values)
    }

    /// The values of an INT64 tensor; `None` as for [`TensorProto::floats`].
    #[must_use]
    pub fn integers(&self) -> Option<Vec<i64>> {
        if self.data_type() != data_type::INT64 {
            return None;
        }
        let values: Vec<i64> = match &self.raw_data {
            Some(raw) => raw.as_chunks().0.iter().map(|eight| i64::from_le_bytes(*eight)).collect(),
            None => self.int64_data.clone(),
        };
        (Some(values.len()) == self.count()).then_some(values)
    }

    /// A tensor of that name, type and shape with `raw` as its little-endian content.
    #[must_use]
    pub fn of_bytes(name: String, data_type: i32, dims: Vec<i64>, raw: Vec<u8>) -> Self {
        Self { name: Some(name), data_type: Some(data_type), dims, raw_data: Some(Bytes::from(raw)), ..Self::default() }
    }

    /// An FP32 tensor.
    #[must_use]
    pub fn of_floats(name: String, dims: Vec<i64>, values: &[f32]) -> Self {
        Self::of_bytes(name, data_type::FLOAT, dims, values.iter().flat_map(|one| one.to_le_bytes()).collect())
    }
}
