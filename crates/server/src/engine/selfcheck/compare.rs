//! How far two answers to the same request are apart.

use modelyard_wire::{Data, DataType, Tensor};

use crate::engine::Facts;
use crate::signature::{Signature, TensorSpec};

/// What one run showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Showed {
    /// The answers are alike.
    Alike,
    /// Nothing, for this reason.
    Nothing(String),
    /// They differ: where, and by how much.
    Apart(String),
}

/// What answers may differ by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tolerance {
    /// The part of the output's largest magnitude.
    share: f64,
    /// Whether whole numbers may differ by that too: quantised ones, which are rounded.
    rounded: bool,
}

/// What is nothing, whatever an output's largest magnitude.
const FLOOR: f64 = 1e-5;

/// The part of an output of labels or texts that may differ: two scores that are nearly equal change places.
const SWAPPED: f64 = 0.25;

impl Tolerance {
    /// What a model's arithmetic makes of rounding: FP32 is summed in another order, FP16 has three digits, and a quantised network
    /// goes in steps of which each may be taken or not.
    pub(super) fn of(facts: &Facts, signature: &Signature) -> Self {
        let quantised = |operator: &String| {
            ["QuantizeLinear", "QLinear", "MatMulInteger", "ConvInteger", "MatMulNBits"]
                .iter()
                .any(|sign| operator.contains(sign))
        };
        let halves = |spec: &TensorSpec| matches!(spec.datatype, DataType::Fp16 | DataType::Bf16);
        if facts.operators.keys().any(quantised) {
            return Self { share: 0.05, rounded: true };
        }
        let half = signature.inputs.iter().chain(&signature.outputs).any(halves);
        Self { share: if half { 0.02 } else { 0.001 }, rounded: false }
    }
}

/// Compares the outputs of one run.
pub(super) fn answers(specs: &[TensorSpec], (found, expected): (&[Tensor], &[Tensor]), tolerance: Tolerance) -> Showed {
    if found.len() != expected.len() {
        return Showed::Apart(format!("{} outputs, and {}", found.len(), expected.len()));
    }
    let mut nothing = None;
    let mut told = false;
    for (spec, (found, expected)) in specs.iter().zip(found.iter().zip(expected)) {
        match output(spec, (found, expected), tolerance) {
            Showed::Alike => told = true,
            Showed::Nothing(reason) => nothing = Some(reason),
            Showed::Apart(what) => return Showed::Apart(format!("output '{}' {what}", spec.name)),
        }
    }
    match nothing {
        Some(reason) if !told => Showed::Nothing(reason),
        _ => Showed::Alike,
    }
}

fn output(spec: &TensorSpec, (found, expected): (&Tensor, &Tensor), tolerance: Tolerance) -> Showed {
    let (one, two) = (found.shape(), expected.shape());
    // Engines may give the same numbers in FP32 and in FP64.
    let texts = [found, expected].map(|answer| answer.datatype() == DataType::Bytes);
    if texts[0] != texts[1] || one.len() != two.len() {
        return Showed::Apart(format!("is {} {one:?}, and {} {two:?}", found.datatype(), expected.datatype()));
    }
    if one != two {
        let fixed = |(at, (a, b)): (usize, (&usize, &usize))| a != b && spec.shape.get(at).is_some_and(|size| *size >= 0);
        return if one.iter().zip(two).enumerate().any(fixed) {
            Showed::Apart(format!("has shape {one:?}, and {two:?}"))
        } else {
            // How many boxes are found, for one, hangs on a score at the border.
            Showed::Nothing(format!("the size of output '{}' depends on the data", spec.name))
        };
    }
    let is_float =
        |answer: &Tensor| matches!(answer.datatype(), DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64);
    let floats = is_float(found) || is_float(expected);
    match (found.to_f64(), expected.to_f64()) {
        (Some(found), Some(expected)) if floats || tolerance.rounded => numbers(&found, &expected, (tolerance, floats)),
        (Some(found), Some(expected)) => swapped(found.iter().zip(&expected).map(|(a, b)| a == b)),
        _ => match (found.data(), expected.data()) {
            (Data::Strings(found), Data::Strings(expected)) => swapped(found.iter().zip(expected).map(|(a, b)| a == b)),
            _ => Showed::Nothing("an output's datatype has no numbers".to_owned()),
        },
    }
}

/// Numbers, in the measure of the largest.
fn numbers(found: &[f64], expected: &[f64], (tolerance, floats): (Tolerance, bool)) -> Showed {
    if !expected.iter().all(|number| number.is_finite()) {
        return Showed::Nothing("made-up inputs give infinities or NaN".to_owned());
    }
    let largest = expected.iter().fold(0.0_f64, |most, number| most.max(number.abs()));
    let most = tolerance.share * largest + if floats { FLOOR } else { 1.0 };
    let apart = |(found, expected): (&f64, &f64)| if found.is_nan() { f64::INFINITY } else { (found - expected).abs() };
    let differences: Vec<f64> = found.iter().zip(expected).map(apart).collect();
    let worst = differences.iter().copied().fold(0.0, f64::max);
    if worst <= most {
        return Showed::Alike;
    }
    let (past, all) = (differences.iter().filter(|difference| **difference > most).count(), expected.len());
    Showed::Apart(format!(
        "differs by {worst:.3e} at most, where {most:.3e} is tolerated ({} of its largest magnitude, {largest:.3e}), in {past} of \
         {all} elements",
        tolerance.share
    ))
}

/// Labels or texts, of which a few may have changed places.
fn swapped(same: impl Iterator<Item = bool>) -> Showed {
    let (mut differ, mut all) = (0_usize, 0_usize);
    for same in same {
        all += 1;
        differ += usize::from(!same);
    }
    if differ as f64 <= SWAPPED * all as f64 {
        return Showed::Alike;
    }
    Showed::Apart(format!("differs in {differ} of {all} elements, where a share of {SWAPPED} is tolerated"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Tolerance = Tolerance { share: 0.001, rounded: false };

    fn spec(datatype: DataType, shape: &[i64]) -> TensorSpec {
        TensorSpec { name: "y".to_owned(), datatype, shape: shape.to_vec() }
    }

    fn showed(found: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Showed {
        let shape: Vec<i64> = expected.shape().iter().map(|size| i64::try_from(*size).unwrap()).collect();
        answers(&[spec(expected.datatype(), &shape)], (std::slice::from_ref(found), std::slice::from_ref(expected)), tolerance)
    }

    fn floats(numbers: &[f32]) -> Tensor {
        Tensor::from_f32(vec![numbers.len()], numbers).unwrap()
    }

    fn labels(numbers: &[i64]) -> Tensor {
        Tensor::from_i64(vec![numbers.len()], numbers).unwrap()
    }

    #[test]
    fn rounding_is_no_difference_and_garbage_is() {
        let expected = floats(&[1000.0, 0.0, 3.0]);
        assert_eq!(showed(&floats(&[1000.5, 0.9, 3.0]), &expected, PLAIN), Showed::Alike);
        let Showed::Apart(what) = showed(&floats(&[1000.0, 7.0, 3.0]), &expected, PLAIN) else { panic!("alike") };
        assert_eq!(
            what,
            "output 'y' differs by 7.000e0 at most, where 1.000e0 is tolerated (0.001 of its largest magnitude, 1.000e3), in 1 of 3 elements"
        );
        assert!(matches!(showed(&floats(&[f32::NAN, 0.0, 3.0]), &expected, PLAIN), Showed::Apart(_)));
        assert!(matches!(showed(&expected, &floats(&[f32::NAN, 0.0, 3.0]), PLAIN), Showed::Nothing(_)));
    }

    #[test]
    fn labels_may_change_places_now_and_then() {
        assert_eq!(showed(&labels(&[1, 2, 3, 4]), &labels(&[1, 2, 3, 5]), PLAIN), Showed::Alike);
        assert!(matches!(showed(&labels(&[1, 2, 4, 4]), &labels(&[1, 2, 3, 5]), PLAIN), Showed::Apart(_)));
        let quantised = Tolerance { share: 0.05, rounded: true };
        assert_eq!(showed(&labels(&[100, 2, 3, 4]), &labels(&[104, 3, 2, 5]), quantised), Showed::Alike);
        let words = |all: [&'static str; 2]| Tensor::strings(vec![2], all.map(Into::into).to_vec()).unwrap();
        assert!(matches!(showed(&words(["a", "b"]), &words(["a", "c"]), PLAIN), Showed::Apart(_)));
        assert_eq!(showed(&words(["a", "b"]), &words(["a", "b"]), PLAIN), Showed::Alike);
    }

    #[test]
    fn sizes_that_depend_on_data_prove_nothing() {
        let (two, three) = (floats(&[1.0, 2.0]), floats(&[1.0, 2.0, 3.0]));
        let of =
            |size| answers(&[spec(DataType::Fp32, &[size])], (std::slice::from_ref(&two), std::slice::from_ref(&three)), PLAIN);
        assert!(matches!(of(3), Showed::Apart(what) if what == "output 'y' has shape [2], and [3]"));
        assert!(matches!(of(-1), Showed::Nothing(_)));
    }

    #[test]
    fn datatypes_are_the_engines_own_unless_one_is_text() {
        let (whole, words) = (labels(&[1, 2]), Tensor::strings(vec![2], vec!["1".into(), "2".into()]).unwrap());
        assert_eq!(showed(&whole, &floats(&[1.0, 2.0]), PLAIN), Showed::Alike);
        assert!(matches!(showed(&whole, &floats(&[1.0, 2.5]), PLAIN), Showed::Apart(_)));
        assert!(matches!(showed(&words, &whole, PLAIN), Showed::Apart(what) if what.contains("is BYTES [2], and INT64 [2]")));
    }
}
