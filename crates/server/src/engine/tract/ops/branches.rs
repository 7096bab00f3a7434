//! `If` whose branches may differ in shape.
//!
//! tract types both branches together, so they must agree in every dimension, and a branch that does not fit the shapes of this
//! request spoils the plan though it is never taken. Here a condition that the plan knows puts its branch in the place of the node, and
//! the other is not looked at. Otherwise a branch is planned when it is taken, for the shapes that it is taken with; where branches
//! differ in a dimension, that dimension is free for what follows. They must agree in datatypes and ranks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tract_onnx::model::{ParseResult, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{InferenceModel, InferenceModelExt, TypedSimplePlan};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::plan::eval;
use tract_onnx::tract_hir::internal::*;

use super::repair::{self, Care, Known};
use crate::engine::quiet::catch;
use crate::engine::tract::plan::{GROWING, bound, bound_growth};

/// The name in ONNX.
pub(super) const NAME: &str = "If";

/// Plans of one branch that are kept.
const MOST_PLANS: usize = 8;

/// Elements of an integer tensor whose values a plan may be made for: shapes, axes, counts.
const FEW: usize = 16;

/// tract's operator for a node.
pub(super) fn build(context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let mut reads: Vec<String> = Vec::new();
    let mut side = |name: &str| {
        let graph = node.attribute.iter().find(|one| one.name == name).and_then(|one| one.g.as_ref());
        let graph = graph.with_context(|| format!("attribute {name} holds no graph"))?;
        let ParseResult { model, unresolved_inputs, .. } = context.parse_graph(graph)?;
        let mut place = |name: String| {
            let known = reads.iter().position(|read| *read == name);
            known.unwrap_or_else(|| {
                reads.push(name);
                reads.len() - 1
            }) + 1
        };
        Ok(Side { reads: unresolved_inputs.into_iter().map(&mut place).collect(), body: model, seen: None })
    };
    let sides: [TractResult<Side>; 2] = [side("else_branch"), side("then_branch")];
    let [otherwise, then] = sides;
    let (sides, symbols) = ([otherwise?, then?], context.template.symbols.clone());
    let (ours, others) = (sides[1].body.outputs.len(), sides[0].body.outputs.len());
    ensure!(ours == others, "then_branch has {ours} outputs, else_branch {others}; expected as many");
    Ok((Box::new(If { sides, symbols, free: HashMap::default() }), reads))
}

/// The operator while types are inferred: the branches in the order of the condition's values.
#[derive(Clone, Debug)]
struct If {
    sides: [Side; 2],
    symbols: SymbolScope,
    /// Dimensions in which the branches differ, by output and axis.
    free: HashMap<(usize, usize), Symbol>,
}

/// One branch.
#[derive(Clone, Debug)]
struct Side {
    body: InferenceModel,
    /// Which input of the node each of the body's is.
    reads: Vec<usize>,
    /// What the outputs are for inputs that were seen.
    seen: Option<(TVec<InferenceFact>, TVec<InferenceFact>)>,
}

impl Side {
    /// The body for inputs like these: those whose values are known are constants, the others are read.
    fn bind(&self, inputs: &[InferenceFact]) -> TractResult<(InferenceModel, Vec<usize>)> {
        let mut body = self.body.clone();
        let (mut kept, mut reads) = (Vec::new(), Vec::new());
        for (outlet, read) in std::mem::take(&mut body.inputs).into_iter().zip(&self.reads) {
            let fact = inputs.get(*read).context("a branch reads what is not given")?;
            if let Some(value) = fact.value.concretize() {
                body.nodes[outlet.node].op = Const::new(value)?.into();
            } else {
                kept.push(outlet);
                reads.push(*read);
            }
            body.set_outlet_fact(outlet, fact.clone())?;
        }
        body.inputs = kept;
        Ok((body, reads))
    }

    /// What the outputs are for inputs like these.
    fn outputs(&mut self, inputs: &TVec<InferenceFact>) -> TractResult<TVec<InferenceFact>> {
        if let Some((seen, outputs)) = &self.seen
            && seen == inputs
        {
            return Ok(outputs.clone());
        }
        let (mut body, _) = self.bind(inputs)?;
        body.analyse(true)?;
        let outputs = (0..body.outputs.len()).map(|at| body.output_fact(at).cloned()).collect::<TractResult<TVec<_>>>()?;
        self.seen = Some((inputs.clone(), outputs.clone()));
        Ok(outputs)
    }
}

impl PartialEq for If {
    fn eq(&self, _other: &Self) -> bool {
        false
    }
}

impl Eq for If {}

impl Op for If {
    fn name(&self) -> StaticName {
        NAME.into()
    }

    not_a_typed_op!();
}

impl EvalOp for If {
    not_out_of_plan!();
}

impl If {
    /// What output `at` is, of the branches that may be taken.
    fn combine(&mut self, at: usize, facts: &[InferenceFact]) -> TractResult<InferenceFact> {
        let [first, others @ ..] = facts else { bail!("no branch can be taken") };
        let kind = |fact: &InferenceFact| fact.datum_type.concretize().with_context(|| format!("output {at} has no datatype"));
        let rank =
            |fact: &InferenceFact| fact.shape.rank().concretize().with_context(|| format!("output {at} has no known rank"));
        for other in others {
            ensure!(kind(first)? == kind(other)?, "the branches give {:?} and {:?}", kind(first)?, kind(other)?);
            let (one, two) = (rank(first)?, rank(other)?);
            ensure!(one == two, "the branches give tensors of {one} and {two} dimensions; expected as many");
        }
        let dims = (0..rank(first)? as usize).map(|axis| {
            let known = |fact: &InferenceFact| fact.shape.dim(axis).and_then(|dim| dim.concretize());
            let first = known(first);
            match first {
                Some(dim) if others.iter().all(|other| known(other).as_ref() == Some(&dim)) => dim,
                _ => self.free.entry((at, axis)).or_insert_with(|| self.symbols.new_with_prefix("if")).to_dim(),
            }
        });
        let shape: TVec<TDim> = dims.collect();
        let fact = InferenceFact::dt_shape(kind(first)?, shape);
        Ok(if others.is_empty() && first.value.is_concrete() { first.clone() } else { fact })
    }

    /// The branch in the place of the node.
    fn inline(side: &Side, prefix: &str, target: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let (body, reads) = side.bind(&facts_of(target, inputs)?)?;
        let body = body.into_typed()?;
        let mut wires: HashMap<OutletId, OutletId> = HashMap::default();
        wires.extend(body.input_outlets()?.iter().copied().zip(reads.iter().map(|read| inputs[*read])));
        for id in body.eval_order()? {
            let node = body.node(id);
            if wires.contains_key(&OutletId::new(id, 0)) && node.inputs.is_empty() {
                continue;
            }
            let read = node.inputs.iter().map(|outlet| wires[outlet]).collect::<TVec<_>>();
            let outputs = target.wire_node(format!("{prefix}.{}", node.name), node.op.clone(), &read)?;
            wires.extend(outputs.iter().enumerate().map(|(slot, outlet)| (OutletId::new(id, slot), *outlet)));
        }
        Ok(body.output_outlets()?.iter().map(|outlet| wires[outlet]).collect())
    }
}

/// What is known of these values, for a body that is yet to be typed.
fn facts_of(model: &TypedModel, outlets: &[OutletId]) -> TractResult<TVec<InferenceFact>> {
    let fact = |outlet: &OutletId| {
        let fact = model.outlet_fact(*outlet)?;
        let known = InferenceFact::dt_shape(fact.datum_type, fact.shape.to_tvec());
        Ok(match &fact.konst {
            Some(value) => InferenceFact { value: value.clone().into(), ..known },
            None => known,
        })
    };
    outlets.iter().map(fact).collect()
}

impl InferenceOp for If {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        let owned = |facts: TVec<&InferenceFact>| facts.into_iter().cloned().collect::<TVec<_>>();
        let (inputs, mut outputs, observed) = (owned(inputs), owned(outputs), owned(observed));
        if inputs.iter().all(|fact| fact.datum_type.is_concrete() && fact.shape.is_concrete()) {
            let known = inputs[0].value.concretize().map(|value| value.cast_to_scalar::<bool>()).transpose()?;
            let branches = match known {
                Some(then) => vec![self.sides[usize::from(then)].outputs(&inputs)?],
                None => {
                    // One that does not fit is not taken, or else says so when it is.
                    let [otherwise, then] = self.sides.each_mut().map(|side| side.outputs(&inputs));
                    match (then, otherwise) {
                        (Err(error), Err(_)) => return Err(error),
                        (then, otherwise) => then.into_iter().chain(otherwise).collect(),
                    }
                }
            };
            for (at, output) in outputs.iter_mut().enumerate() {
                let facts: Vec<InferenceFact> = branches.iter().map(|branch| branch[at].clone()).collect();
                let fact = self.combine(at, &facts)?;
                output.unify_with(&fact)?;
            }
        }
        Ok((inputs, outputs, observed))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.sides[0].body.outputs.len())
    }

    fn to_typed(
        &self,
        _source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|outlet| mapping[outlet]).collect();
        if let Some(condition) = &target.outlet_fact(inputs[0])?.konst {
            let side = &self.sides[usize::from(condition.cast_to_scalar::<bool>()?)];
            return Self::inline(side, &node.name, target, &inputs);
        }
        let facts = facts_of(target, &inputs)?;
        let side = |side: &Side| side.bind(&facts).map(|(body, reads)| Arc::new(Branch::new(body, reads)));
        let [otherwise, then] = self.sides.each_ref().map(side);
        let outputs = node.outputs.iter().map(|output| {
            let (kind, shape) = (output.fact.datum_type.concretize(), output.fact.shape.concretize());
            let (kind, shape) = kind.zip(shape).with_context(|| format!("what {} gives is not known", node.name))?;
            Ok(kind.fact(shape))
        });
        let outputs = outputs.collect::<TractResult<_>>()?;
        target.wire_node(&node.name, Choice { branches: [otherwise?, then?], outputs }, &inputs)
    }

    as_op!();
}

/// The operator in a plan: the branches in the order of the condition's values.
#[derive(Clone, Debug)]
struct Choice {
    branches: [Arc<Branch>; 2],
    outputs: TVec<TypedFact>,
}

impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.branches[0], &other.branches[0])
    }
}

impl Eq for Choice {}

impl Op for Choice {
    fn name(&self) -> StaticName {
        NAME.into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        true
    }

    op_as_typed_op!();
}

impl EvalOp for Choice {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let then = inputs[0].cast_to_scalar::<bool>()?;
        let outputs = self.branches[usize::from(then)].run(&inputs)?;
        for (output, fact) in outputs.iter().zip(&self.outputs) {
            let fits = |(dim, size): (&TDim, &usize)| dim.to_usize().map_or(true, |dim| dim == *size);
            let same = output.rank() == fact.rank() && fact.shape.iter().zip(output.shape()).all(fits);
            let kind = output.datum_type();
            ensure!(same && kind == fact.datum_type, "a branch gives {kind:?} {:?}; expected {fact:?}", output.shape());
        }
        Ok(outputs)
    }
}

impl TypedOp for Choice {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.outputs.clone())
    }

    as_op!();
}

/// Whether the operator is a choice between branches.
pub(super) fn is_choice(op: &dyn TypedOp) -> bool {
    op.is::<Choice>()
}

/// The same choice between branches that guard what is said of the node's inputs, if the operator is one.
pub(super) fn guarded(op: &dyn TypedOp, care: &Care) -> Option<Box<dyn TypedOp>> {
    let choice = op.downcast_ref::<Choice>()?;
    let branches = choice.branches.each_ref().map(|branch| {
        let branch = Branch::new(branch.body.clone(), branch.reads.clone());
        Arc::new(Branch { care: care.clone(), ..branch })
    });
    Some(Box::new(Choice { branches, outputs: choice.outputs.clone() }))
}

/// What comes out of either branch, if the operator is a choice; anything where a branch is not understood before it is taken.
pub(super) fn known(op: &dyn TypedOp, inputs: &[Known]) -> Option<TVec<Known>> {
    let choice = op.downcast_ref::<Choice>()?;
    let [otherwise, then] = choice.branches.each_ref().map(|branch| branch.known(inputs));
    let both = otherwise.into_iter().zip(then).map(|(otherwise, then)| otherwise.or(then));
    let mut known: TVec<Known> = both.collect();
    known.resize(choice.outputs.len(), Known::ANYTHING);
    Some(known)
}

/// A branch that is planned when it is taken.
#[derive(Debug)]
struct Branch {
    body: InferenceModel,
    /// What its plans guard, by the node's inputs.
    care: Care,
    reads: Vec<usize>,
    plans: Mutex<Vec<(Key, Arc<Planned>)>>,
    /// Shapes alone did not do: plans are made for the values of small integer tensors too.
    by_value: AtomicBool,
}

/// What a plan was made for.
#[derive(Debug, PartialEq)]
struct Key {
    shapes: Vec<(DatumType, TVec<usize>)>,
    values: Vec<Option<Arc<Tensor>>>,
}

#[derive(Debug)]
struct Planned {
    plan: Arc<TypedSimplePlan>,
    /// Which inputs of the node it takes.
    reads: Vec<usize>,
}

impl Branch {
    fn new(body: InferenceModel, reads: Vec<usize>) -> Self {
        Self { body, care: Care::Any, reads, plans: Mutex::default(), by_value: AtomicBool::new(false) }
    }

    /// What comes out of it.
    fn known(&self, inputs: &[Known]) -> TVec<Known> {
        let read = |at: &usize| inputs.get(*at).copied().unwrap_or(Known::ANYTHING);
        let read: TVec<Known> = self.reads.iter().map(read).collect();
        // One that does not fit may never be taken.
        catch(|| repair::outputs(&self.body.clone().into_typed()?, &read)).ok().and_then(Result::ok).unwrap_or_default()
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        let planned = self.planned(inputs)?;
        let values = planned.reads.iter().map(|read| inputs[*read].clone()).collect();
        let mut state = planned.plan.spawn()?;
        state.run_plan_with_eval(values, |context, own, node, inputs| {
            if GROWING.contains(&&*node.op().name()) {
                bound_growth(&node.op().name(), &inputs)?;
            }
            eval(context, own, node, inputs)
        })
    }

    /// The plan for inputs like these.
    fn planned(&self, inputs: &[TValue]) -> TractResult<Arc<Planned>> {
        if !self.by_value.load(Ordering::Relaxed) {
            match self.plan(inputs, false) {
                Ok(planned) => return Ok(planned),
                Err(_) => self.by_value.store(true, Ordering::Relaxed),
            }
        }
        self.plan(inputs, true)
    }

    fn plan(&self, inputs: &[TValue], by_value: bool) -> TractResult<Arc<Planned>> {
        let read: Vec<&TValue> = self.reads.iter().map(|read| &inputs[*read]).collect();
        let small = |value: &TValue| value.len() <= FEW && (value.datum_type().is_integer() || value.datum_type().is_tdim());
        let key = Key {
            shapes: read.iter().map(|value| (value.datum_type(), value.shape().into())).collect(),
            values: read.iter().map(|value| (by_value && small(value)).then(|| (*value).clone().into_arc_tensor())).collect(),
        };
        if let Some((_, planned)) = self.plans.lock().iter().find(|(other, _)| *other == key) {
            return Ok(Arc::clone(planned));
        }
        let planned = Arc::new(self.build(inputs.len(), &key)?);
        let mut plans = self.plans.lock();
        if plans.len() >= MOST_PLANS {
            plans.remove(0);
        }
        plans.push((key, Arc::clone(&planned)));
        Ok(planned)
    }

    fn build(&self, inputs: usize, key: &Key) -> TractResult<Planned> {
        let mut facts = vec![InferenceFact::default(); inputs];
        for (read, ((kind, shape), value)) in self.reads.iter().zip(key.shapes.iter().zip(&key.values)) {
            let known = InferenceFact::dt_shape(*kind, shape.clone());
            facts[*read] = match value {
                Some(value) => InferenceFact { value: Arc::clone(value).into(), ..known },
                None => known,
            };
        }
        let side = Side { body: self.body.clone(), reads: self.reads.clone(), seen: None };
        let (body, reads) = side.bind(&facts)?;
        let mut typed = body.into_typed()?;
        bound(&typed)?;
        let care = match &self.care {
            Care::Any => Care::Any,
            Care::Arising(inputs) => Care::Arising(reads.iter().map(|read| inputs[*read]).collect()),
        };
        repair::first(&mut typed, &care)?;
        let mut model = typed.into_decluttered()?.into_optimized()?;
        repair::last(&mut model);
        Ok(Planned { plan: TypedSimplePlan::new(model)?, reads })
    }
}
