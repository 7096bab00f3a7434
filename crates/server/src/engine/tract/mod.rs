//! tract: ONNX in pure Rust.
//!
//! The way of a file: [`lint`] refuses what tract would answer wrongly or die of, [`fuse`] makes one node of several, tract parses it,
//! [`probe`] settles the signature by planning the smallest shapes, [`twice`] compares the plan's answers with those of one that nothing
//! was optimised in. The way of a request: [`plans`] gives the plan for its shapes (tract is several times faster, and sometimes only
//! right, when shapes are concrete), [`plan`] runs it.

use std::path::Path;
use std::time::Instant;

use modelyard_wire::Tensor;
use tract_onnx::prelude::InferenceModel;

use super::onnx::declared::Declared;
use super::onnx::facts;
use super::onnx::file::File;
use super::onnx::hints;
use super::quiet::catch;
use super::selfcheck::Outcome;
use super::{Engine, Facts, LoadError, Problem, RunError, Stop};
use crate::signature::Signature;

mod finite;
mod fuse;
mod lint;
mod ops;
mod plan;
mod plans;
mod probe;
mod rules;
mod tensors;
mod twice;

use finite::is_finite;
use plans::{For, Plans};

/// A model that tract runs.
pub struct Tract {
    signature: Signature,
    facts: Facts,
    plans: Plans,
}

/// What a file says of itself, whether or not it runs.
pub struct Examined {
    /// What the file holds.
    pub facts: Facts,
    /// What the file declares; free where tract's analysis would know more.
    pub signature: Option<Signature>,
    /// What keeps it from running; empty for a model that may be given to tract.
    pub problems: Vec<Problem>,
}

/// Reads and checks a file without giving it to tract.
///
/// # Errors
/// [`LoadError::Read`] and [`LoadError::Invalid`]; what is merely unsupported is in [`Examined::problems`].
pub fn examine(path: &Path) -> Result<Examined, LoadError> {
    let file = File::read(path)?;
    let problems = lint::lint(&file)?;
    Ok(Examined { facts: facts::collect(&file, "Tract"), signature: Declared::of(file.graph()).signature(), problems })
}

impl Tract {
    /// Loads an `.onnx` file.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Ok(Self::of(File::read(path)?, None)?.0)
    }

    /// The model of a file, and what came of comparing its plan with the unoptimised one. `since` when it has been loading; `None`
    /// where nothing is to be compared.
    pub(super) fn of(mut file: File, since: Option<Instant>) -> Result<(Self, Option<Outcome>), LoadError> {
        let problems = lint::lint(&file)?;
        if !problems.is_empty() {
            return Err(LoadError::unsupported(&problems));
        }
        let (facts, declared) = (facts::collect(&file, "Tract"), Declared::of(file.graph()));
        file.rewrite(fuse::fuse);
        let (parsed, hints) = (parse(&file)?, hints::sizes(file.graph()));
        // The file's copy of the weights; tract has its own.
        drop(file);
        let plans = Plans::new(parsed, facts.bytes);
        let probed = probe::settle(&declared, &plans, &hints)?;
        let source = plans.source().filter(|_| since.is_some());
        // A plan for NaN may still be asked for, where an input can hold one.
        let another = probed.plan.loses_nan() && probed.signature.inputs.iter().any(|input| finite::may_lack(input.datatype));
        if declared.is_fixed() && !another {
            plans.seal();
        }
        let checked = match source.zip(since) {
            Some((source, since)) => Some(twice::check(&source, &probed, (&facts, since))?),
            None => None,
        };
        Ok((Self { signature: probed.signature, facts, plans }, checked))
    }

    /// How many plans are held, for tests of the bound.
    pub fn plan_count(&self) -> usize {
        self.plans.len()
    }
}

/// tract's reading of the file. Symbols stay free; value info is ignored, since exporters write facts there that a concrete
/// shape contradicts.
fn parse(file: &File) -> Result<InferenceModel, LoadError> {
    let mut onnx = tract_onnx::Onnx {
        // Read, not mapped: a file that shrinks under a map kills the process.
        provider: std::sync::Arc::new(tract_onnx::data_resolver::FopenDataResolver),
        ..tract_onnx::onnx().with_ignore_value_info(true)
    };
    ops::register(&mut onnx.op_register);
    let result = catch(|| onnx.parse(file.proto(), Some(file.folder())));
    match result {
        Ok(Ok(parsed)) if parsed.unresolved_inputs.is_empty() => Ok(parsed.model),
        Ok(Ok(parsed)) => Err(LoadError::Invalid(format!("nothing defines {}", parsed.unresolved_inputs.join(", ")))),
        Ok(Err(error)) => Err(LoadError::Unsupported(plan::shorten(&error))),
        Err(panic) => Err(LoadError::Unsupported(format!("tract gave up on the file: {}", plan::cut(&panic)))),
    }
}

impl Engine for Tract {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        RunError::check_empty(&self.signature, inputs)?;
        let mut plan = self.plans.get(inputs, For::Numbers)?;
        if plan.loses_nan() && !inputs.iter().all(is_finite) {
            plan = self.plans.get(inputs, For::Any)?;
        }
        plan.run(inputs, &self.signature, stop)
    }
}
