//! What is made of engines that agree, that do not, and that refuse.

use modelyard_wire::DataType;

use super::*;
use crate::signature::TensorSpec;

/// A model that answers `offset` more than its input, in the runs that are listed.
struct Double {
    signature: Signature,
    facts: Facts,
    wrong: &'static [u64],
    offset: f32,
}

impl Double {
    fn new(wrong: &'static [u64], offset: f32) -> Self {
        let port = |name: &str| TensorSpec { name: name.to_owned(), datatype: DataType::Fp32, shape: vec![-1, 8] };
        let signature = Signature { inputs: vec![port("x")], outputs: vec![port("y")], batched: true };
        Self { signature, facts: Facts::default(), wrong, offset }
    }
}

impl Engine for Double {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], _stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        if self.offset.is_infinite() {
            return Err(RunError::InvalidData("no zeros".to_owned()));
        }
        let is_of = |seed: &u64| example(&self.signature.inputs, &[vec![1, 8]], Fill::Random(*seed))[0] == inputs[0];
        let offset = if self.wrong.iter().any(is_of) { self.offset } else { 0.0 };
        let numbers: Vec<f32> = inputs[0].to_f64().unwrap().iter().map(|number| *number as f32 + offset).collect();
        Ok(vec![Tensor::from_f32(vec![1, 8], &numbers).unwrap()])
    }
}

fn checked(wrong: &'static [u64], offset: f32) -> Result<Outcome, String> {
    engines(&Double::new(wrong, offset), &Double::new(&[], 0.0), Instant::now()).map_err(|error| error.to_string())
}

#[test]
fn engines_that_agree_are_told_apart_from_those_that_do_not() {
    assert!(matches!(checked(&[], 0.0), Ok(Outcome::Alike { runs: 3, .. })));
    assert!(matches!(checked(&[0, 1, 2], 1e-6), Ok(Outcome::Alike { runs: 3, .. })));
    let refused = checked(&[0, 1, 2], 0.5).unwrap_err();
    for part in [
        "unsupported model: the self-check failed",
        "3 of 3 runs",
        "output 'y' differs by 5.000e-1",
        "engine.name",
        "engine.selfCheck",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(checked(&[1, 2], 0.5).unwrap_err().contains("2 of 3 runs"));
    assert!(matches!(checked(&[1], 0.5), Ok(Outcome::Doubtful(what)) if what.contains("1 of 3 runs")));
}

#[test]
fn no_verdict_is_not_a_refusal() {
    assert!(matches!(checked(&[], f32::INFINITY), Ok(Outcome::NoVerdict(reason)) if reason.contains("no zeros")));
    let with = |change: fn(&mut Facts)| {
        let mut own = Double::new(&[0, 1, 2], 0.5);
        change(&mut own.facts);
        engines(&own, &Double::new(&[], 0.0), Instant::now()).unwrap()
    };
    let random = with(|facts| facts.operators.extend([("RandomUniform".to_owned(), 1)]));
    assert!(matches!(random, Outcome::NoVerdict(reason) if reason.starts_with("RandomUniform")));
    assert!(matches!(with(|facts| facts.bytes = LARGE + 1), Outcome::Skipped(reason) if reason.contains("128 MiB")));
}

#[test]
fn time_is_bounded_and_a_difference_is_looked_at_again() {
    let (own, other) = (Double::new(&[0, 1, 2], 0.5), Double::new(&[], 0.0));
    let shapes = [vec![1, 8]];
    let pair = Pair {
        names: ("one", "two"),
        found: &|inputs, stop| own.run(inputs, stop),
        expected: &|inputs, stop| other.run(inputs, stop),
        signature: &own.signature,
        shapes: &shapes,
        facts: &own.facts,
        advice: "Ask",
    };
    assert_eq!(compare(&pair, Instant::now()).unwrap(), Outcome::NoVerdict("there was no time for a run".to_owned()));
    let began = Instant::now();
    assert!(end(began) <= Instant::now() + LEAST);
}
