//! Whether a request's numbers are all finite, told by the bits of their exponents: a look at each, several at once.

use modelyard_wire::{Data, DataType, Tensor};

/// Values that are looked at before it is asked what was found.
const PART: usize = 1024;

/// Whether inputs of this datatype can hold NaN or an infinity.
pub(super) const fn may_lack(datatype: DataType) -> bool {
    matches!(datatype, DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64)
}

macro_rules! finite {
    ($raw:expr, $bits:ty, $exponent:expr) => {{
        let values = $raw.as_chunks::<{ size_of::<$bits>() }>().0;
        let lacks = |value: &[u8; size_of::<$bits>()]| <$bits>::from_le_bytes(*value) & $exponent == $exponent;
        values.chunks(PART).all(|part| !part.iter().fold(false, |found, value| found | lacks(value)))
    }};
}

/// Whether all values are finite numbers.
pub(super) fn is_finite(tensor: &Tensor) -> bool {
    let Data::Raw(raw) = tensor.data() else { return true };
    match tensor.datatype() {
        DataType::Fp16 => finite!(raw, u16, 0x7c00),
        DataType::Bf16 => finite!(raw, u16, 0x7f80),
        DataType::Fp32 => finite!(raw, u32, 0x7f80_0000),
        DataType::Fp64 => finite!(raw, u64, 0x7ff0_0000_0000_0000),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_found_wherever_it_stands() {
        for at in [0, 1, PART - 1, PART, 2 * PART + 2] {
            for value in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut values = vec![f64::from(f32::MAX); 2 * PART + 3];
                let floats = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<f32>>();
                let doubles = |values: &[f64]| {
                    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                    Tensor::new(DataType::Fp64, vec![values.len()], raw.into()).unwrap()
                };
                let halves = |values: &[f64]| {
                    let raw: Vec<u8> = values.iter().flat_map(|value| half::f16::from_f64(*value / 1e36).to_le_bytes()).collect();
                    Tensor::new(DataType::Fp16, vec![values.len()], raw.into()).unwrap()
                };
                let tensors = |values: &[f64]| {
                    [Tensor::from_f32(vec![values.len()], &floats(values)).unwrap(), doubles(values), halves(values)]
                };
                assert!(tensors(&values).iter().all(is_finite));
                values[at] = value;
                assert!(!tensors(&values).iter().any(is_finite), "{value} at {at}");
            }
        }
    }

    #[test]
    fn whole_numbers_and_texts_are_finite() {
        assert!(is_finite(&Tensor::from_i64(vec![1], &[-1]).unwrap()));
        assert!(is_finite(&Tensor::strings(vec![1], vec!["nan".into()]).unwrap()));
    }
}
