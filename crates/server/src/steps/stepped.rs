//! An engine with steps around it.

use std::collections::HashSet;

use modelyard_core::steps::Step;
use modelyard_wire::{DataType, Tensor};

use super::column::Table;
use super::compile::compile;
use super::scope::{Port, Scope};
use super::{Action, Around, StepError, datatype};
use crate::engine::{Engine, Facts, RunError, Stop};
use crate::signature::{Signature, TensorSpec};

const BEFORE: &str = "preprocess";
const AFTER: &str = "postprocess";

/// A model between its steps.
struct Stepped {
    engine: Box<dyn Engine>,
    outer: Signature,
    facts: Facts,
    before: Side,
    after: Side,
    /// Which of the model's inputs the steps after it look at.
    kept: Vec<usize>,
}

/// The steps of one side.
struct Side {
    actions: Vec<Box<dyn Action>>,
    slots: usize,
    /// What leaves it.
    leaving: Vec<Leaving>,
}

/// A column that leaves.
struct Leaving {
    slot: usize,
    datatype: DataType,
    /// A value a row may stand as a row of one value, and the other way round.
    reshaped: bool,
    /// Dimensions that are wanted.
    rank: usize,
}

/// Puts steps around an engine.
///
/// # Errors
/// [`StepError`]: steps that do not fit each other, or the model.
pub fn wrap(engine: Box<dyn Engine>, around: &Around<'_>) -> Result<Box<dyn Engine>, StepError> {
    let inner = engine.signature();
    if !inner.batched {
        return Err(StepError::NoRows);
    }
    let mut scope = Scope::default();
    declare(around.before, inner, &mut scope)?;
    let inputs: Vec<TensorSpec> = scope.ports.iter().map(Port::spec).collect();
    let actions = compile(BEFORE, around.before, &mut scope, around)?;
    let mut leaving = fit(&scope, &inner.inputs)?;
    let beside: Vec<TensorSpec> = scope.ports.iter().filter(|port| port.beside).map(Port::spec).collect();
    leaving.extend(scope.ports.iter().filter(|port| port.beside).map(Leaving::as_it_is));
    let before = Side { actions, slots: scope.slots(), leaving };

    let mut scope = Scope::default();
    let lost = |message| StepError::Result { list: AFTER, message };
    for spec in inner.outputs.iter().chain(&beside) {
        scope.add(&spec.name, spec.datatype, spec.shape.clone()).map_err(lost)?;
    }
    for (at, step) in around.after.iter().enumerate() {
        let message = match step {
            Step::Input { .. } => "columns are declared in preprocess alone",
            Step::Expect { .. } => "what the model answers is not the client's fault: rules are for preprocess alone",
            _ => continue,
        };
        return Err(StepError::Step { list: AFTER, at, op: step.op(), message: message.to_owned() });
    }
    let kept: Vec<usize> = (0..inner.inputs.len()).filter(|at| looked_at(around.after, &inner.inputs[*at].name)).collect();
    kept.iter().for_each(|at| scope.lay_aside(&inner.inputs[*at]));
    let actions = compile(AFTER, around.after, &mut scope, around)?;
    if scope.ports.is_empty() {
        return Err(lost("no column is left to answer with".to_owned()));
    }
    let leaving = scope.ports.iter().map(Leaving::as_it_is).collect();
    let outputs = scope.ports.iter().map(Port::spec).collect();
    let after = Side { actions, slots: scope.slots(), leaving };
    let outer = Signature { inputs, outputs, batched: true };
    // Tokens are padded to the longest row that runs with them.
    let padded = around.before.iter().any(|step| matches!(step, Step::Tokenize { .. }));
    let uneven = padded && outer.outputs.iter().any(|spec| spec.shape.iter().skip(1).any(|dim| *dim < 0));
    let facts = Facts { uneven, ..engine.facts().clone() };
    Ok(Box::new(Stepped { engine, outer, facts, before, after, kept }))
}

/// Whether a step masks with that input of the model.
fn looked_at(steps: &[Step], name: &str) -> bool {
    steps.iter().any(|step| matches!(step, Step::Pool { mask: Some(mask), .. } if mask == name))
}

/// The columns that clients send: those that `Input` declares, then the model's own inputs that no step makes.
fn declare(steps: &[Step], inner: &Signature, scope: &mut Scope) -> Result<(), StepError> {
    let mut first = None;
    for (at, step) in steps.iter().enumerate() {
        let fault = |message| StepError::Step { list: BEFORE, at, op: step.op(), message };
        let Step::Input { columns, datatype: wanted, width } = step else {
            first = first.or(Some(at));
            continue;
        };
        if let Some(first) = first {
            return Err(fault(format!("it follows {BEFORE}[{first}]; the columns that clients send are declared first")));
        }
        let datatype = wanted.map_or(Ok(DataType::Fp32), datatype).map_err(fault)?;
        for name in columns {
            let shape = std::iter::once(-1).chain(width.map(i64::from)).collect();
            scope.add(name, datatype, shape).map_err(fault)?;
        }
    }
    let made: HashSet<String> = steps.iter().flat_map(Step::made).collect();
    for spec in &inner.inputs {
        let declared = scope.ports.iter().any(|port| port.name == spec.name);
        if !declared && !made.contains(&spec.name) {
            let lost = |message| StepError::Result { list: BEFORE, message };
            scope.add(&spec.name, spec.datatype, spec.shape.clone()).map_err(lost)?;
        }
    }
    Ok(())
}

/// The columns that are left as the model's inputs.
fn fit(scope: &Scope, inputs: &[TensorSpec]) -> Result<Vec<Leaving>, StepError> {
    let lost = |message: String| StepError::Result { list: BEFORE, message };
    let takes = || inputs.iter().map(|spec| format!("'{}'", spec.name)).collect::<Vec<_>>().join(", ");
    if let Some(port) = scope.ports.iter().find(|port| !port.beside && inputs.iter().all(|spec| spec.name != port.name)) {
        return Err(lost(port.fault(format!("it is left over: the model takes {}; Drop it, Rename it or Concat it", takes()))));
    }
    let one = |spec: &TensorSpec| {
        let port = scope.port(&spec.name).map_err(|here| lost(format!("the model takes '{}': {here}", spec.name)))?;
        if port.datatype != spec.datatype {
            let (found, wanted) = (port.datatype, spec.datatype);
            return Err(lost(port.fault(format!("it is {found}, the model takes {wanted}: add a Cast"))));
        }
        let mut leaving = Leaving::as_it_is(port);
        let same = |(found, wanted): (&i64, &i64)| *wanted < 0 || found == wanted;
        let fits = port.shape.len() == spec.shape.len() && port.shape.iter().zip(&spec.shape).skip(1).all(same);
        if !fits {
            let single = |shape: &[i64]| shape.iter().skip(1).all(|dim| *dim == 1);
            let rows_of_one = single(&port.shape) && spec.shape.iter().skip(1).all(|dim| *dim == 1 || *dim < 0);
            if !rows_of_one || spec.shape.is_empty() {
                let (found, wanted) = (&port.shape, &spec.shape);
                return Err(lost(port.fault(format!("its shape is {found:?}, the model takes {wanted:?} (-1 is any size)"))));
            }
            (leaving.reshaped, leaving.rank) = (true, spec.shape.len());
        }
        Ok(leaving)
    };
    inputs.iter().map(one).collect()
}

impl Leaving {
    fn as_it_is(port: &Port) -> Self {
        Self { slot: port.slot, datatype: port.datatype, reshaped: false, rank: port.shape.len() }
    }

    fn tensor(&self, table: &mut Table) -> Result<Tensor, RunError> {
        let tensor = table.take(self.slot).tensor(self.datatype)?;
        if !self.reshaped {
            return Ok(tensor);
        }
        let mut shape = vec![1; self.rank];
        shape[0] = tensor.shape().first().copied().unwrap_or(0);
        let (datatype, _, data) = tensor.into_parts();
        let reshaped = match data {
            modelyard_wire::Data::Raw(raw) => Tensor::new(datatype, shape, raw),
            modelyard_wire::Data::Strings(texts) => Tensor::strings(shape, texts),
        };
        reshaped.map_err(|error| RunError::Internal(error.to_string()))
    }
}

impl Side {
    fn run(&self, tensors: impl IntoIterator<Item = Tensor>) -> Result<Vec<Tensor>, RunError> {
        let mut table = Table::of(tensors, self.slots);
        for action in &self.actions {
            action.run(&mut table)?;
        }
        self.leaving.iter().map(|one| one.tensor(&mut table)).collect()
    }
}

impl Engine for Stepped {
    fn signature(&self) -> &Signature {
        &self.outer
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn within(&self) -> Option<&Signature> {
        Some(self.engine.signature())
    }

    fn run(&self, inputs: &[Tensor], stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        let mut taken = self.before.run(inputs.iter().cloned())?;
        let beside = taken.split_off(self.engine.signature().inputs.len());
        let mut answered = self.engine.run(&taken, stop)?;
        answered.extend(beside);
        let kept = self.kept.iter().map(|at| taken[*at].clone());
        if self.after.actions.is_empty() && self.after.leaving.len() == answered.len() && self.in_order() {
            return Ok(answered);
        }
        self.after.run(answered.into_iter().chain(kept))
    }
}

impl Stepped {
    /// Whether the model's outputs leave as they are.
    fn in_order(&self) -> bool {
        self.after.leaving.iter().enumerate().all(|(at, leaving)| leaving.slot == at)
    }
}
