//! The self-check: before a model is taken in, it is computed in two ways on made-up inputs, and a model whose answers differ is
//! refused. An engine that optimises wrongly answers without a word; two that agree are hardly wrong in the same way.
//!
//! It must not refuse a sound model. So answers may differ by what rounding does to networks, several runs must differ, and what
//! refuses made-up data, or draws random numbers, has no verdict.

use std::time::{Duration, Instant};

use modelyard_wire::Tensor;
use serde::{Deserialize, Serialize};

use super::madeup::{self, Fill, example};
use super::{Engine, Facts, LoadError, RunError, Stop};
use crate::signature::Signature;

mod compare;

use compare::{Showed, Tolerance};

/// Runs that are compared, each on inputs of its own.
const RUNS: u64 = 3;

/// The part of the time that loading took so far which comparing may take as well, within [`LEAST`] and [`MOST`].
const SHARE: u32 = 2;

/// What comparing may take of the shortest load.
const LEAST: Duration = Duration::from_millis(10);

/// What it may take at most; the plan and the operator that cross it aside.
const MOST: Duration = Duration::from_secs(1);

/// Bytes of a model that is too large to be computed without optimisation.
const LARGE: u64 = 128 << 20;

/// Operators whose answers differ from run to run.
const RANDOM: [&str; 6] = ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];

/// What came of a self-check that did not refuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The answers are alike.
    Alike {
        /// What was compared with what.
        what: String,
        /// How often.
        runs: u64,
        /// What it took, in microseconds.
        micros: u64,
    },
    /// The answers differ in a run, and are alike in at least as many.
    Doubtful(String),
    /// Nothing can be told, for this reason.
    NoVerdict(String),
    /// It was not tried, for this reason.
    Skipped(String),
}

/// One way to compute a model.
pub(super) type Way<'a> = &'a dyn Fn(&[Tensor], &Stop) -> Result<Vec<Tensor>, RunError>;

/// Two ways to compute a model.
pub(super) struct Pair<'a> {
    /// What they are called.
    pub(super) names: (&'static str, &'static str),
    /// What is compared.
    pub(super) found: Way<'a>,
    /// With what: it runs first.
    pub(super) expected: Way<'a>,
    /// What the model takes and gives.
    pub(super) signature: &'a Signature,
    /// Shapes of inputs.
    pub(super) shapes: &'a [Vec<usize>],
    /// What the file holds.
    pub(super) facts: &'a Facts,
    /// What to do where they differ.
    pub(super) advice: &'static str,
}

/// Why a model is not compared, where it is not.
pub(super) fn exempt(facts: &Facts) -> Option<Outcome> {
    if facts.bytes > LARGE {
        let (size, most) = (facts.bytes >> 20, LARGE >> 20);
        return Some(Outcome::Skipped(format!("the model has {size} MiB; only models of up to {most} MiB are compared")));
    }
    let random = RANDOM.into_iter().find(|operator| facts.operators.contains_key(*operator))?;
    Some(Outcome::NoVerdict(format!("{random} answers something else each time")))
}

/// When comparing a model must end that has been loading since then.
pub(super) fn end(since: Instant) -> Instant {
    Instant::now() + (since.elapsed() / SHARE).clamp(LEAST, MOST)
}

/// Compares tract and ONNX Runtime on one row.
///
/// # Errors
/// [`LoadError::Unsupported`] where they differ.
pub(super) fn engines(own: &dyn Engine, other: &dyn Engine, since: Instant) -> Result<Outcome, LoadError> {
    if let Some(outcome) = exempt(own.facts()) {
        return Ok(outcome);
    }
    let Some(shapes) = madeup::shapes(own.signature(), 1) else {
        return Ok(Outcome::NoVerdict("its inputs are too large to be made up".to_owned()));
    };
    let pair = Pair {
        names: ("tract", "ONNX Runtime"),
        found: &|inputs, stop| own.run(inputs, stop),
        expected: &|inputs, stop| other.run(inputs, stop),
        signature: own.signature(),
        shapes: &shapes,
        facts: own.facts(),
        advice: "Name the engine whose answers are right (engine.name: Tract or OnnxRuntime)",
    };
    compare(&pair, end(since))
}

/// Compares a pair until `end`; the first difference buys the time to see it again.
///
/// # Errors
/// [`LoadError::Unsupported`] where more runs differ than are alike.
pub(super) fn compare(pair: &Pair<'_>, end: Instant) -> Result<Outcome, LoadError> {
    let began = Instant::now();
    let tolerance = Tolerance::of(pair.facts, pair.signature);
    let (mut alike, mut apart, mut difference) = (0, 0, String::new());
    let mut nothing = "there was no time for a run".to_owned();
    for seed in 0..RUNS {
        let until = if apart > 0 { end + MOST } else { end };
        if Instant::now() >= until {
            break;
        }
        match one(pair, seed, (tolerance, &Stop::at(until))) {
            Showed::Alike => alike += 1,
            Showed::Nothing(reason) => nothing = reason,
            Showed::Apart(what) => {
                difference = if apart == 0 { what } else { difference };
                apart += 1;
            }
        }
    }
    let (found, expected) = pair.names;
    let runs = alike + apart;
    if apart > alike {
        return Err(LoadError::Unsupported(format!(
            "the self-check failed: {found} and {expected} answer made-up inputs differently, in {apart} of {runs} runs: {difference}. \
             {}, or set engine.selfCheck: Disabled to serve it as it is",
            pair.advice
        )));
    }
    Ok(match (alike, apart) {
        (0, 0) => Outcome::NoVerdict(nothing),
        (_, 0) => {
            let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            Outcome::Alike { what: format!("{found} and {expected}"), runs, micros }
        }
        _ => Outcome::Doubtful(format!(
            "{found} and {expected} answer made-up inputs differently in {apart} of {runs} runs, which rounding may explain: {difference}"
        )),
    })
}

/// One run of both.
fn one(pair: &Pair<'_>, seed: u64, (tolerance, stop): (Tolerance, &Stop)) -> Showed {
    let inputs = example(&pair.signature.inputs, pair.shapes, Fill::Random(seed));
    let expected = match (pair.expected)(&inputs, stop) {
        Ok(expected) => expected,
        Err(error) => return Showed::Nothing(format!("{} does not run on made-up inputs: {error}", pair.names.1)),
    };
    match (pair.found)(&inputs, stop) {
        Ok(found) => compare::answers(&pair.signature.outputs, (&found, &expected), tolerance),
        Err(error) => Showed::Nothing(format!("{} does not run on made-up inputs: {error}", pair.names.0)),
    }
}

#[cfg(test)]
mod tests;
