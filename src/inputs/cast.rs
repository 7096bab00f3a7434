//! One datatype's elements as another's, as far as no value changes its meaning: what a file holds is seldom what a model takes.

use bytes::{BufMut, Bytes, BytesMut};
use half::{bf16, f16};
use modelyard_wire::{Data, DataType, Tensor, element_count};

use super::InputError;

/// One element on its way from one datatype to another.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    /// Of an integer datatype, or `BOOL`.
    Int(i128),
    /// Of a floating-point datatype.
    Float(f64),
    /// Of `BYTES`.
    Text(Bytes),
}

impl Scalar {
    /// Reads a cell of a table: an integer, a number, or text.
    pub(super) fn parse(cell: &str, datatype: DataType) -> Option<Self> {
        let cell = cell.trim();
        match datatype {
            DataType::Bytes => Some(Self::Text(Bytes::copy_from_slice(cell.as_bytes()))),
            DataType::Bool => match cell.to_ascii_lowercase().as_str() {
                "true" | "1" | "1.0" => Some(Self::Int(1)),
                "false" | "0" | "0.0" => Some(Self::Int(0)),
                _ => None,
            },
            DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64 => float_of(cell).map(Self::Float),
            _ => cell.parse().ok().map(Self::Int).or_else(|| float_of(cell).map(Self::Float)),
        }
    }
}

/// A number; digits that are beyond every number are none, and no infinity.
fn float_of(cell: &str) -> Option<f64> {
    let infinity = |number: f64| number.is_infinite() && cell.bytes().any(|one| one.is_ascii_digit());
    cell.parse().ok().filter(|number| !infinity(*number))
}

/// Elements of a datatype, taken one by one.
pub(super) struct Elements {
    datatype: DataType,
    raw: BytesMut,
    strings: Vec<Bytes>,
}

impl Elements {
    pub(super) fn new(datatype: DataType, count: usize) -> Self {
        let strings = if datatype == DataType::Bytes { Vec::with_capacity(count) } else { Vec::new() };
        Self { datatype, raw: BytesMut::with_capacity(count * datatype.size().unwrap_or(0)), strings }
    }

    /// Appends an element; `false` where the datatype cannot hold it.
    pub(super) fn push(&mut self, scalar: &Scalar) -> bool {
        macro_rules! whole {
            ($put:ident, $number:ty) => {
                match whole(scalar).and_then(|one| <$number>::try_from(one).ok()) {
                    Some(number) => self.raw.$put(number),
                    None => return false,
                }
            };
        }
        // A finite number must not become an infinity.
        macro_rules! held {
            ($put:ident, $narrowed:expr, $bits:expr) => {{
                let (number, narrowed) = (float(scalar), $narrowed(float(scalar)));
                if number.is_finite() && !narrowed.is_finite() {
                    return false;
                }
                self.raw.$put($bits(narrowed));
            }};
        }
        match (self.datatype, scalar) {
            (DataType::Bytes, Scalar::Text(text)) => self.strings.push(text.clone()),
            (DataType::Bytes, Scalar::Int(number)) => self.strings.push(Bytes::from(number.to_string())),
            (DataType::Bytes, Scalar::Float(number)) => self.strings.push(Bytes::from(number.to_string())),
            (_, Scalar::Text(_)) => return false,
            (DataType::Bool, scalar) => match whole(scalar) {
                Some(bit @ 0..=1) => self.raw.put_u8(u8::from(bit == 1)),
                _ => return false,
            },
            (DataType::Uint8, _) => whole!(put_u8, u8),
            (DataType::Uint16, _) => whole!(put_u16_le, u16),
            (DataType::Uint32, _) => whole!(put_u32_le, u32),
            (DataType::Uint64, _) => whole!(put_u64_le, u64),
            (DataType::Int8, _) => whole!(put_i8, i8),
            (DataType::Int16, _) => whole!(put_i16_le, i16),
            (DataType::Int32, _) => whole!(put_i32_le, i32),
            (DataType::Int64, _) => whole!(put_i64_le, i64),
            (DataType::Fp16, _) => held!(put_u16_le, f16::from_f64, f16::to_bits),
            (DataType::Bf16, _) => held!(put_u16_le, bf16::from_f64, bf16::to_bits),
            (DataType::Fp32, _) => held!(put_f32_le, |number| number as f32, |number| number),
            (DataType::Fp64, _) => self.raw.put_f64_le(float(scalar)),
        }
        true
    }

    pub(super) fn finish(self, shape: Vec<usize>) -> Result<Tensor, InputError> {
        Ok(match self.datatype {
            DataType::Bytes => Tensor::strings(shape, self.strings)?,
            datatype => Tensor::new(datatype, shape, self.raw.freeze())?,
        })
    }
}

fn whole(scalar: &Scalar) -> Option<i128> {
    match scalar {
        Scalar::Int(number) => Some(*number),
        // Beyond 2^63 no file means a float as an integer.
        Scalar::Float(number) if number.fract() == 0.0 && number.abs() < 9.3e18 => Some(*number as i128),
        _ => None,
    }
}

fn float(scalar: &Scalar) -> f64 {
    match scalar {
        Scalar::Int(number) => *number as f64,
        Scalar::Float(number) => *number,
        Scalar::Text(_) => f64::NAN,
    }
}

/// The element at `index`.
fn scalar(tensor: &Tensor, index: usize) -> Scalar {
    let raw = match tensor.data() {
        Data::Strings(strings) => return Scalar::Text(strings[index].clone()),
        Data::Raw(raw) => raw,
    };
    macro_rules! read {
        ($number:ty, $size:literal) => {
            <$number>::from_le_bytes(std::array::from_fn::<u8, $size, _>(|at| raw[index * $size + at]))
        };
    }
    match tensor.datatype() {
        DataType::Bool | DataType::Uint8 | DataType::Bytes => Scalar::Int(raw[index].into()),
        DataType::Uint16 => Scalar::Int(read!(u16, 2).into()),
        DataType::Uint32 => Scalar::Int(read!(u32, 4).into()),
        DataType::Uint64 => Scalar::Int(read!(u64, 8).into()),
        DataType::Int8 => Scalar::Int(read!(i8, 1).into()),
        DataType::Int16 => Scalar::Int(read!(i16, 2).into()),
        DataType::Int32 => Scalar::Int(read!(i32, 4).into()),
        DataType::Int64 => Scalar::Int(read!(i64, 8).into()),
        DataType::Fp16 => Scalar::Float(read!(f16, 2).into()),
        DataType::Bf16 => Scalar::Float(read!(bf16, 2).into()),
        DataType::Fp32 => Scalar::Float(read!(f32, 4).into()),
        DataType::Fp64 => Scalar::Float(read!(f64, 8)),
    }
}

/// `tensor` as `datatype`. Floats may lose precision, but stay finite; an integer datatype takes whole numbers within its range only.
///
/// # Errors
/// The first element that `datatype` cannot hold, by its row and its index there.
pub fn cast(name: &str, tensor: Tensor, datatype: DataType) -> Result<Tensor, InputError> {
    if tensor.datatype() == datatype {
        return Ok(tensor);
    }
    let mut elements = Elements::new(datatype, tensor.len());
    for index in 0..tensor.len() {
        let scalar = scalar(&tensor, index);
        if !elements.push(&scalar) {
            let value = match scalar {
                Scalar::Int(number) => number.to_string(),
                Scalar::Float(number) => number.to_string(),
                Scalar::Text(text) => format!("'{}'", String::from_utf8_lossy(&text).chars().take(40).collect::<String>()),
            };
            let wide = element_count(tensor.shape().get(1..).unwrap_or_default()).unwrap_or(1).max(1);
            let (name, row, index) = (name.to_owned(), index / wide, index % wide);
            return Err(InputError::Cast { name, row, index, value, from: tensor.datatype(), to: datatype });
        }
    }
    elements.finish(tensor.shape().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_change_their_datatype_only() {
        let doubles: Vec<u8> = [1.0_f64, -2.0, 300.0].iter().flat_map(|one| one.to_le_bytes()).collect();
        let doubles = Tensor::new(DataType::Fp64, vec![3], Bytes::from(doubles)).unwrap();
        assert_eq!(cast("x", doubles.clone(), DataType::Fp32).unwrap(), Tensor::from_f32(vec![3], &[1.0, -2.0, 300.0]).unwrap());
        assert_eq!(cast("x", doubles.clone(), DataType::Int64).unwrap(), Tensor::from_i64(vec![3], &[1, -2, 300]).unwrap());
        for datatype in DataType::ALL {
            let ones = cast("x", Tensor::from_i64(vec![2], &[0, 1]).unwrap(), datatype).unwrap();
            if datatype != DataType::Bytes {
                assert_eq!(cast("x", ones, DataType::Int64).unwrap(), Tensor::from_i64(vec![2], &[0, 1]).unwrap());
            }
        }
        assert_eq!(
            cast("x", doubles, DataType::Uint8).unwrap_err().to_string(),
            "input 'x': row 1, element 0 is -2, which UINT8 cannot hold (the file has FP64)"
        );
    }

    #[test]
    fn a_finite_number_stays_finite() {
        let of = |values: [f64; 4]| {
            let raw: Vec<u8> = values.iter().flat_map(|one| one.to_le_bytes()).collect();
            Tensor::new(DataType::Fp64, vec![2, 2], Bytes::from(raw)).unwrap()
        };
        for (datatype, beyond) in [(DataType::Fp32, 1e300), (DataType::Fp16, -70000.0), (DataType::Bf16, 1e39)] {
            let error = cast("x", of([0.0, 0.0, 0.0, beyond]), datatype).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("input 'x': row 1, element 1 is {beyond}, which {datatype} cannot hold (the file has FP64)")
            );
            let kept = cast("x", of([f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0]), datatype).unwrap().to_f64().unwrap();
            assert!(kept[0] == f64::INFINITY && kept[1] == f64::NEG_INFINITY && kept[2].is_nan(), "{kept:?}");
        }
        for (cell, number) in [("1e400", None), ("-1e400", None), ("inf", Some(f64::INFINITY)), ("1e4", Some(1e4))] {
            assert_eq!(Scalar::parse(cell, DataType::Fp64), number.map(Scalar::Float), "{cell}");
        }
    }
}
