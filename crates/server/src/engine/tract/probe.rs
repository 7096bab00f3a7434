//! The signature, settled by planning: which outputs follow the batch, and whether rows are computed apart from one another.
//!
//! A file's declarations are often absent or wrong. So the model is planned for one row and typed for two, with every other
//! free dimension as small as the model takes. Where runs are cheap two rows are also computed together and apart: a model
//! that is named like a batched one but mixes rows (a recurrent net whose first dimension is time) must never be batched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use modelyard_wire::Tensor;
use tract_onnx::prelude::InferenceModel;

use super::plan::{Plan, Typed, analyse};
use super::plans::Plans;
use crate::engine::halves::{half, nearly};
use crate::engine::madeup::{Fill, example};
use crate::engine::onnx::declared::{Declared, Dim, Port};
use crate::engine::{LoadError, Stop};
use crate::signature::{Signature, TensorSpec};

/// Sizes tried for free dimensions other than the batch: one token, a small image, a patch, a spectrum, a second of sound.
const SIZES: [usize; 6] = [1, 32, 64, 256, 1024, 16_000];

/// A run longer than this is not repeated at load to see whether rows mix.
const CHEAP: Duration = Duration::from_millis(50);

/// Settles the signature, and leaves the plan for one row (other free dimensions 1) ready where there is one. `hints` are sizes
/// that free dimensions may have.
///
/// # Errors
/// [`LoadError::Unsupported`] with tract's reason where no shape can be planned.
pub(super) fn settle(declared: &Declared, plans: &Plans, hints: &[usize]) -> Result<Probed, LoadError> {
    let Some(source) = plans.source() else { return Err(LoadError::Invalid("the model is gone".to_owned())) };
    let (plan, other) = first_plan(declared, (plans, &source), hints)?;
    let one = plan.outputs().map_err(LoadError::Unsupported)?;
    let two = declared.batch().and_then(|_| analyse(&source, &declared.shapes(2, other)).ok());
    let inputs = declared.inputs.iter().map(Port::spec).collect::<Option<Vec<_>>>();
    let Some(inputs) = inputs else { return Err(LoadError::Unsupported("an input declares no shape".to_owned())) };
    let free = !declared.is_fixed();
    let outputs = declared.outputs.iter().zip(&one).enumerate();
    let outputs = outputs.map(|(at, (port, one))| output_spec(port, one, two.as_ref().map(|two| &two[at]), free));
    let mut signature = Signature { inputs, outputs: outputs.collect::<Result<_, _>>()?, batched: false };
    let follows =
        two.is_some_and(|two| one.iter().chain(&two).zip(rows_of(one.len())).all(|(typed, rows)| typed.leads_with(rows)));
    signature.batched = follows && !mixes_rows(&Trial { declared, signature: &signature, source: &source, plan: &plan, other });
    Ok(Probed { signature, shapes: declared.shapes(1, other), plan })
}

/// What was settled.
pub(super) struct Probed {
    pub(super) signature: Signature,
    /// The inputs' shapes for one row, with the least size of other free dimensions that the model takes.
    pub(super) shapes: Vec<Vec<usize>>,
    /// The plan for these.
    pub(super) plan: Arc<Plan>,
}

/// One row for each of the first `count`, then two.
fn rows_of(count: usize) -> impl Iterator<Item = usize> {
    std::iter::repeat_n(1, count).chain(std::iter::repeat(2))
}

impl Typed {
    fn leads_with(&self, rows: usize) -> bool {
        self.shape.first() == Some(&Some(rows))
    }
}

/// The plan for one row, with the least size of other free dimensions that the model takes.
fn first_plan(
    declared: &Declared,
    (plans, source): (&Plans, &InferenceModel),
    hints: &[usize],
) -> Result<(Arc<Plan>, usize), LoadError> {
    let first = match plans.for_shapes(&declared.shapes(1, SIZES[0])) {
        Ok(plan) => return Ok((plan, SIZES[0])),
        Err(reason) => reason,
    };
    if declared.has_other_free() {
        for size in SIZES[1..].iter().chain(hints) {
            if let Ok(plan) = Plan::build(source, &declared.shapes(1, *size)) {
                return Ok((Arc::new(plan), *size));
            }
        }
        return Err(LoadError::Unsupported(format!(
            "no size of the free dimensions (tried {SIZES:?} and {hints:?}) can be planned; with 1: {first}"
        )));
    }
    Err(LoadError::Unsupported(first))
}

/// An output as declared, corrected by what tract found for one row and for two.
fn output_spec(port: &Port, one: &Typed, two: Option<&Typed>, free: bool) -> Result<TensorSpec, LoadError> {
    let Some(datatype) = one.datatype.or(port.datatype) else {
        return Err(LoadError::Unsupported(format!("output '{}' has a datatype that no protocol carries", port.name)));
    };
    let declared = port.shape.as_ref().filter(|shape| shape.len() == one.shape.len());
    let dim = |at: usize| {
        let typed = one.shape[at].filter(|size| two.is_none_or(|two| two.shape.get(at) == Some(&Some(*size))));
        let known = match (declared.map(|shape| &shape[at]), typed) {
            (Some(Dim::Fixed(_)), typed) => typed,
            // Free in name only: no input's dimension is free.
            (_, typed) if !free => typed,
            _ => None,
        };
        known.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1)
    };
    Ok(TensorSpec { name: port.name.clone(), datatype, shape: (0..one.shape.len()).map(dim).collect() })
}

/// What [`mixes_rows`] needs.
struct Trial<'a> {
    declared: &'a Declared,
    signature: &'a Signature,
    source: &'a InferenceModel,
    plan: &'a Plan,
    other: usize,
}

/// Whether two rows computed together differ from the same rows computed apart. Not told where runs are dear, or refuse
/// made-up data.
fn mixes_rows(trial: &Trial<'_>) -> bool {
    if trial.other > 64 {
        return false;
    }
    let run = |plan: &Plan, inputs: &[Tensor]| plan.run(inputs, trial.signature, &Stop::at(Instant::now() + 20 * CHEAP)).ok();
    let together = example(&trial.signature.inputs, &trial.declared.shapes(2, trial.other), Fill::Varied);
    let row = |at: usize| together.iter().map(|tensor| half(tensor, at)).collect::<Option<Vec<_>>>();
    let (Some(first), Some(second)) = (row(0), row(1)) else { return false };
    let begun = Instant::now();
    let Some(first) = run(trial.plan, &first) else { return false };
    if begun.elapsed() > CHEAP {
        return false;
    }
    let Some(second) = run(trial.plan, &second) else { return false };
    let Ok(plan) = Plan::build(trial.source, &trial.declared.shapes(2, trial.other)) else { return true };
    let Some(together) = run(&plan, &together) else { return true };
    !together.iter().enumerate().all(|(at, whole)| {
        let halves = half(whole, 0).zip(half(whole, 1));
        halves.is_some_and(|(a, b)| nearly(&a, &first[at]) && nearly(&b, &second[at]))
    })
}
