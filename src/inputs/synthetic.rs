//! Made-up inputs of a model's own shapes: enough to see that it answers, and how fast.

use bytes::Bytes;
use modelyard_core::random::SplitMix64;
use modelyard_wire::{DataType, element_count};

use super::cast::{Elements, Scalar};
use super::{Bound, InputError};
use crate::client::TensorSpec;

/// What fills the tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Zeros, and empty strings.
    Zeros,
    /// Floats from 0 to 1, integers 0 and 1 (so that an index stays in range), short words; the same for the same seed.
    Random(u64),
}

/// Elements of one made-up input at most: no server takes as many in one request.
const MAX_ELEMENTS: usize = 1 << 28;

/// One batch of `rows` rows. `shapes` overrides the model's shapes by input name; any other free dimension than the first is 1.
///
/// # Errors
/// When an override names no input or does not fit the model's shape.
pub fn synthetic(specs: &[TensorSpec], rows: usize, shapes: &[(String, Vec<usize>)], fill: Fill) -> Result<Bound, InputError> {
    let (mut inputs, mut notes) = (Vec::new(), Vec::new());
    if let Some((name, _)) = shapes.iter().find(|(name, _)| !specs.iter().any(|spec| spec.name == *name)) {
        let known = super::bind::names(specs.iter().map(|spec| spec.name.as_str()));
        return Err(InputError::Content(format!("--shape: unknown input '{name}'; the model has {known}")));
    }
    let mut random = SplitMix64::new(if let Fill::Random(seed) = fill { seed } else { 0 });
    for spec in specs {
        let shape = match shapes.iter().find(|(name, _)| *name == spec.name) {
            Some((_, shape)) if super::fits(shape, &spec.shape) => shape.clone(),
            Some((name, shape)) => {
                return Err(InputError::Shape { name: name.clone(), found: shape.clone(), expected: spec.shape.clone() });
            }
            None => chosen(spec, rows, &mut notes),
        };
        let count = element_count(&shape).filter(|count| *count <= MAX_ELEMENTS).ok_or_else(|| {
            InputError::Content(format!("input '{}': {shape:?} has more than {MAX_ELEMENTS} elements", spec.name))
        })?;
        let mut elements = Elements::new(spec.datatype, count);
        for _ in 0..count {
            elements.push(&element(spec.datatype, fill, &mut random));
        }
        inputs.push((spec.name.clone(), elements.finish(shape)?));
    }
    Ok(Bound { inputs, notes, ..Bound::default() })
}

fn chosen(spec: &TensorSpec, rows: usize, notes: &mut Vec<String>) -> Vec<usize> {
    let size = |(at, dim): (usize, &i64)| usize::try_from(*dim).unwrap_or(if at == 0 { rows } else { 1 });
    let shape: Vec<usize> = spec.shape.iter().enumerate().map(size).collect();
    if spec.shape.iter().skip(1).any(|dim| *dim < 0) {
        let wanted: Vec<String> = shape.iter().map(usize::to_string).collect();
        notes.push(format!(
            "input '{}': free dimensions of {:?} taken as 1; choose with --shape {}={}",
            spec.name,
            spec.shape,
            spec.name,
            wanted.join(",")
        ));
    }
    shape
}

fn element(datatype: DataType, fill: Fill, random: &mut SplitMix64) -> Scalar {
    match (fill, datatype) {
        (Fill::Zeros, DataType::Bytes) => Scalar::Text(Bytes::new()),
        (Fill::Zeros, _) => Scalar::Int(0),
        (Fill::Random(_), DataType::Bytes) => {
            let letter = |_| b'a' + u8::try_from(random.draw() % 26).unwrap_or(0);
            Scalar::Text(Bytes::from_iter((0..6).map(letter)))
        }
        (Fill::Random(_), DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64) => {
            // 53 random bits over 2^53.
            Scalar::Float((random.draw() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0))
        }
        (Fill::Random(_), _) => Scalar::Int(i128::from(random.draw() >> 63)),
    }
}

#[cfg(test)]
mod tests {
    use modelyard_wire::Tensor;

    use super::*;

    #[test]
    fn shapes_and_seeds_are_kept() {
        let spec = TensorSpec { name: "x".into(), datatype: DataType::Fp32, shape: vec![-1, 3, -1] };
        let make = |shapes: &[(String, Vec<usize>)], fill| synthetic(std::slice::from_ref(&spec), 2, shapes, fill);
        let zeros = make(&[], Fill::Zeros).unwrap();
        assert_eq!(zeros.inputs[0].1, Tensor::from_f32(vec![2, 3, 1], &[0.0; 6]).unwrap());
        assert!(zeros.notes[0].ends_with("choose with --shape x=2,3,1"));
        let wanted = [("x".to_owned(), vec![1, 3, 8])];
        let random = make(&wanted, Fill::Random(7)).unwrap();
        assert_eq!(random, make(&wanted, Fill::Random(7)).unwrap());
        assert_ne!(random, make(&wanted, Fill::Random(8)).unwrap());
        assert!(random.inputs[0].1.to_f64().unwrap().iter().all(|value| (0.0..=1.0).contains(value)));
        assert!(make(&[("x".into(), vec![1, 4, 8])], Fill::Zeros).unwrap_err().to_string().contains("does not fit [-1, 3, -1]"));
        assert!(make(&[("y".into(), vec![1])], Fill::Zeros).unwrap_err().to_string().contains("unknown input 'y'"));
    }
}
