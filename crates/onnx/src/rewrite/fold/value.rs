//! Numbers of a tensor, in the type that it has.

use std::io;

use ::half::f16;

use crate::proto::{TensorProto, data_type};

pub(super) const BOOL: i32 = 9;
const UINT32: i32 = 12;
const INT16: i32 = 5;
const UINT16: i32 = 4;

/// Of which kind numbers of a data type are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// INT8 to INT64, UINT8 to UINT32, BOOL.
    Whole,
    /// FP16, FP32, FP64.
    Real,
}

/// `None` for types that nothing is computed of here.
pub(super) const fn kind_of(datatype: i32) -> Option<Kind> {
    match datatype {
        data_type::FLOAT | data_type::FLOAT16 | data_type::DOUBLE => Some(Kind::Real),
        data_type::INT64 | data_type::INT32 | data_type::INT8 | data_type::UINT8 | BOOL | INT16 | UINT16 | UINT32 => {
            Some(Kind::Whole)
        }
        _ => None,
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Numbers {
    Whole(Vec<i64>),
    Real(Vec<f64>),
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) datatype: i32,
    pub(super) dims: Vec<usize>,
    pub(super) numbers: Numbers,
}

/// A number as its data type holds it: wrapped around, as casts and sums are.
pub(super) const fn whole(datatype: i32, value: i64) -> i64 {
    match datatype {
        data_type::INT32 => value as i32 as i64,
        data_type::INT8 => value as i8 as i64,
        data_type::UINT8 => value as u8 as i64,
        INT16 => value as i16 as i64,
        UINT16 => value as u16 as i64,
        UINT32 => value as u32 as i64,
        BOOL => (value != 0) as i64,
        _ => value,
    }
}

/// A number as its data type holds it: rounded.
pub(super) fn real(datatype: i32, value: f64) -> f64 {
    match datatype {
        data_type::FLOAT => f64::from(value as f32),
        data_type::FLOAT16 => f16::from_f64(value).to_f64(),
        _ => value,
    }
}

impl Value {
    pub(super) fn wholes(datatype: i32, dims: Vec<usize>, numbers: Vec<i64>) -> Self {
        Self { datatype, dims, numbers: Numbers::Whole(numbers.into_iter().map(|one| whole(datatype, one)).collect()) }
    }

    pub(super) fn reals(datatype: i32, dims: Vec<usize>, numbers: Vec<f64>) -> Self {
        Self { datatype, dims, numbers: Numbers::Real(numbers.into_iter().map(|one| real(datatype, one)).collect()) }
    }

    pub(super) fn integers(dims: Vec<usize>, numbers: Vec<i64>) -> Self {
        Self::wholes(data_type::INT64, dims, numbers)
    }

    pub(super) fn count(&self) -> usize {
        match &self.numbers {
            Numbers::Whole(numbers) => numbers.len(),
            Numbers::Real(numbers) => numbers.len(),
        }
    }

    /// Its numbers, where they are whole.
    pub(super) fn as_whole(&self) -> Option<&[i64]> {
        if let Numbers::Whole(numbers) = &self.numbers { Some(numbers) } else { None }
    }

    pub(super) fn as_real(&self) -> Option<&[f64]> {
        if let Numbers::Real(numbers) = &self.numbers { Some(numbers) } else { None }
    }

    /// The one whole number that it is.
    pub(super) fn number(&self) -> Option<i64> {
        match self.as_whole()? {
            [number] => Some(*number),
            _ => None,
        }
    }

    /// The elements at these places, in other dimensions. Places are its own.
    pub(super) fn picked(&self, dims: Vec<usize>, places: impl Iterator<Item = usize>) -> Self {
        let numbers = match &self.numbers {
            Numbers::Whole(numbers) => Numbers::Whole(places.map(|at| numbers[at]).collect()),
            Numbers::Real(numbers) => Numbers::Real(places.map(|at| numbers[at]).collect()),
        };
        Self { datatype: self.datatype, dims, numbers }
    }

    /// The content of a tensor; `None` for one of another type, or whose content does not fill its dimensions.
    pub(super) fn of(tensor: &TensorProto) -> io::Result<Option<Self>> {
        let (dims, datatype) = (tensor.shape(), tensor.data_type());
        let real = |numbers: Option<Vec<f64>>| numbers.map(|numbers| Self::reals(datatype, dims.clone(), numbers));
        let raw = tensor.raw_data.as_deref();
        let listed = || tensor.int32_data.iter().map(|one| i64::from(*one)).collect::<Vec<_>>();
        let Some(count) = tensor.count() else { return Ok(None) };
        let numbers = match (datatype, raw) {
            (data_type::FLOAT, _) => {
                return Ok(real(tensor.fetched()?.map(|values| values.into_iter().map(f64::from).collect())));
            }
            // The others' large contents stay where they are.
            (_, None) if tensor.data_location.is_some_and(|place| place != 0) => return Ok(None),
            (data_type::DOUBLE, _) => return Ok(real(tensor.doubles())),
            (data_type::FLOAT16, Some(raw)) => {
                let values: Vec<f64> = raw.as_chunks().0.iter().map(|two| f16::from_le_bytes(*two).to_f64()).collect();
                return Ok(real(Some(values).filter(|values| values.len() == count)));
            }
            (data_type::FLOAT16, None) => {
                let values = tensor.int32_data.iter().map(|one| f16::from_bits(*one as u16).to_f64()).collect::<Vec<_>>();
                return Ok(real(Some(values).filter(|values| values.len() == count)));
            }
            (data_type::INT64, _) => tensor.integers().unwrap_or_default(),
            (data_type::INT32, Some(raw)) => raw.as_chunks().0.iter().map(|four| i64::from(i32::from_le_bytes(*four))).collect(),
            (UINT32, Some(raw)) => raw.as_chunks().0.iter().map(|four| i64::from(u32::from_le_bytes(*four))).collect(),
            (INT16, Some(raw)) => raw.as_chunks().0.iter().map(|two| i64::from(i16::from_le_bytes(*two))).collect(),
            (UINT16, Some(raw)) => raw.as_chunks().0.iter().map(|two| i64::from(u16::from_le_bytes(*two))).collect(),
            (data_type::INT8, Some(raw)) => raw.iter().map(|one| i64::from(one.cast_signed())).collect(),
            (data_type::UINT8 | BOOL, Some(raw)) => raw.iter().map(|one| i64::from(*one)).collect(),
            (UINT32, None) => tensor.uint64_data.iter().map(|one| *one as i64).collect(),
            (data_type::INT32 | INT16 | UINT16 | data_type::INT8 | data_type::UINT8 | BOOL, None) => listed(),
            _ => return Ok(None),
        };
        Ok((numbers.len() == count).then(|| Self::wholes(datatype, dims, numbers)))
    }

    /// As a tensor.
    pub(super) fn tensor(&self, name: String) -> TensorProto {
        let dims = self.dims.iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect();
        let raw = match &self.numbers {
            Numbers::Whole(numbers) => {
                let size = crate::tensor::element_bytes(self.datatype).unwrap_or(8);
                numbers.iter().flat_map(|one| one.to_le_bytes().into_iter().take(size)).collect()
            }
            Numbers::Real(numbers) => match self.datatype {
                data_type::DOUBLE => numbers.iter().flat_map(|one| one.to_le_bytes()).collect(),
                data_type::FLOAT16 => numbers.iter().flat_map(|one| f16::from_f64(*one).to_le_bytes()).collect(),
                _ => numbers.iter().flat_map(|one| (*one as f32).to_le_bytes()).collect(),
            },
        };
        TensorProto::of_bytes(name, self.datatype, dims, raw)
    }
}
