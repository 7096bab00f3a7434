//! What a model that ONNX Runtime has opened gives, and whether its rows may be batched: told by running it on made-up rows, since a
//! file's declarations are often absent or wrong.

use std::time::{Duration, Instant};

use modelyard_wire::Tensor;

use super::OnnxRuntime;
use crate::engine::halves::{half, nearly};
use crate::engine::madeup::{Fill, example};
use crate::engine::onnx::declared::Declared;
use crate::engine::{Engine, Stop};
use crate::signature::{Signature, TensorSpec};

/// Sizes tried for free dimensions other than the batch.
const SIZES: [usize; 4] = [1, 32, 64, 256];

/// All of it takes no longer than this, but for the operator that crosses it.
const BUDGET: Duration = Duration::from_secs(2);

/// The signature, corrected by what runs of one row and of two gave.
pub(super) fn settle(declared: &Declared, model: &OnnxRuntime) -> Signature {
    let mut signature = model.signature.clone();
    let stop = Stop::at(Instant::now() + BUDGET);
    let run = |inputs: &[Tensor]| model.run(inputs, &stop).ok();
    let rows = |count: usize, other: usize| example(&signature.inputs, &declared.shapes(count, other), Fill::Varied);
    let first = SIZES.iter().find_map(|other| Some((*other, run(&rows(1, *other))?)));
    let Some((other, one)) = first else {
        // Not told by running: the declarations are all there is.
        signature.batched = declared.signature().is_some_and(|declared| declared.batched);
        return signature;
    };
    if declared.batch().is_some() {
        let together = rows(2, other);
        let halves = [0, 1].map(|at| together.iter().map(|tensor| half(tensor, at)).collect::<Option<Vec<_>>>());
        let apart = halves.map(|half| half.and_then(|inputs| run(&inputs)));
        if let (Some(two), [Some(a), Some(b)]) = (run(&together), apart) {
            let same = |(at, whole): (usize, &Tensor)| {
                let halves = half(whole, 0).zip(half(whole, 1));
                halves.is_some_and(|(first, second)| nearly(&first, &a[at]) && nearly(&second, &b[at]))
            };
            signature.batched = two.iter().enumerate().all(same);
        }
    }
    for (spec, found) in signature.outputs.iter_mut().zip(&one) {
        correct(spec, found);
    }
    signature
}

/// A rank that is none: ONNX Runtime tells "unknown" as it tells "scalar".
fn correct(spec: &mut TensorSpec, found: &Tensor) {
    if spec.shape.len() != found.shape().len() {
        spec.shape = vec![-1; found.shape().len()];
    }
}
