//! Made-up inputs, for what is tried at load: measuring, probing, comparing. The same on every machine.

use bytes::{Bytes, BytesMut};
use half::{bf16, f16};
use modelyard_core::random::SplitMix64;
use modelyard_wire::{DataType, Tensor, element_count};

use crate::signature::{Signature, TensorSpec};

/// The largest input that is made up.
const MOST_ELEMENTS: usize = 1 << 24;

/// The inputs' shapes for so many rows, every other free dimension being 1; `None` where one would be too large.
pub(crate) fn shapes(signature: &Signature, rows: usize) -> Option<Vec<Vec<usize>>> {
    let shapes: Vec<Vec<usize>> = signature.inputs.iter().map(|spec| shape_of(spec, rows, signature.batched)).collect();
    are_small(&shapes).then_some(shapes)
}

/// Whether inputs of these shapes are made up.
pub(crate) fn are_small(shapes: &[Vec<usize>]) -> bool {
    shapes.iter().all(|shape| element_count(shape).is_some_and(|count| count <= MOST_ELEMENTS))
}

fn shape_of(spec: &TensorSpec, rows: usize, batched: bool) -> Vec<usize> {
    let size = |(at, dim): (usize, &i64)| match usize::try_from(*dim) {
        Ok(size) => size,
        Err(_) if at == 0 && batched => rows,
        Err(_) => 1,
    };
    spec.shape.iter().enumerate().map(size).collect()
}

/// What made-up inputs hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Zeros.
    Zero,
    /// Ones.
    One,
    /// Numbers in 0..1 that differ from element to element; ones where a datatype has no such numbers.
    Varied,
    /// Random ones of this seed. Floats are in 0..1 for even seeds, in -2..2 for odd ones; UINT8, which is mostly pixels, is anything
    /// for odd seeds; other whole numbers, which are mostly indices, are 0 or 1, and 0 for every third seed.
    Random(u64),
}

/// Made-up inputs of the given shapes.
pub(crate) fn example(specs: &[TensorSpec], shapes: &[Vec<usize>], fill: Fill) -> Vec<Tensor> {
    specs.iter().zip(shapes).filter_map(|(spec, shape)| filled(spec.datatype, shape, fill)).collect()
}

fn filled(datatype: DataType, shape: &[usize], fill: Fill) -> Option<Tensor> {
    let count = element_count(shape)?;
    let Some(size) = datatype.size() else {
        return Tensor::strings(shape.to_vec(), vec![Bytes::new(); count]).ok();
    };
    let mut dice = SplitMix64::new(if let Fill::Random(seed) = fill { seed } else { 0 });
    let mut raw = BytesMut::with_capacity(count * size);
    for at in 0..count {
        // Multiples of an odd number modulo a prime: different, and the same on every machine.
        let value = match fill {
            Fill::Zero => 0.0,
            Fill::One => 1.0,
            Fill::Varied => (at * 7919 % 1009) as f32 / 1009.0,
            Fill::Random(seed) if seed % 2 == 0 => share(&mut dice),
            Fill::Random(_) => share(&mut dice) * 4.0 - 2.0,
        };
        match datatype {
            DataType::Fp16 => raw.extend_from_slice(&f16::from_f32(value).to_le_bytes()),
            DataType::Bf16 => raw.extend_from_slice(&bf16::from_f32(value).to_le_bytes()),
            DataType::Fp32 => raw.extend_from_slice(&value.to_le_bytes()),
            DataType::Fp64 => raw.extend_from_slice(&f64::from(value).to_le_bytes()),
            _ => raw.extend_from_slice(&whole(datatype, fill, &mut dice).to_le_bytes()[..size]),
        }
    }
    Tensor::new(datatype, shape.to_vec(), raw.freeze()).ok()
}

fn whole(datatype: DataType, fill: Fill, dice: &mut SplitMix64) -> u64 {
    match fill {
        Fill::Zero => 0,
        Fill::One | Fill::Varied => 1,
        Fill::Random(seed) if datatype == DataType::Uint8 && seed % 2 == 1 => dice.draw() >> 56,
        Fill::Random(seed) if seed % 3 == 2 => 0,
        Fill::Random(_) => dice.draw() >> 63,
    }
}

/// In 0..1.
fn share(dice: &mut SplitMix64) -> f32 {
    (dice.draw() >> 40) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(datatype: DataType, seed: u64) -> Vec<f64> {
        filled(datatype, &[500], Fill::Random(seed)).unwrap().to_f64().unwrap()
    }

    #[test]
    fn random_inputs_suit_their_datatype_and_come_again() {
        for (datatype, seed, low, high) in [
            (DataType::Fp32, 0, 0.0, 1.0),
            (DataType::Fp64, 1, -2.0, 2.0),
            (DataType::Uint8, 1, 0.0, 255.0),
            (DataType::Uint8, 0, 0.0, 1.0),
            (DataType::Int64, 1, 0.0, 1.0),
            (DataType::Int64, 2, 0.0, 0.0),
            (DataType::Bool, 0, 0.0, 1.0),
        ] {
            let found = numbers(datatype, seed);
            assert!(found.iter().all(|number| (low..=high).contains(number)), "{datatype} {seed}: {found:?}");
            let spread = found.iter().copied().fold(low, f64::max) - found.iter().copied().fold(high, f64::min);
            assert!(spread > 0.9 * (high - low) || low == high, "{datatype} {seed}: {spread}");
            assert_eq!(found, numbers(datatype, seed));
        }
    }
}
