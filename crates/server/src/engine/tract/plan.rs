//! One plan: the model made concrete for one set of input shapes, and its runs.

use std::cell::Cell;

use modelyard_wire::{DataType, Tensor};
use parking_lot::Mutex;
use tract_onnx::prelude::{
    InferenceFact, InferenceModel, InferenceModelExt, TValue, TVec, TractError, TractResult, TypedModel, TypedSimplePlan,
    TypedSimpleState,
};
use tract_onnx::tract_core::internal::DimLike;
use tract_onnx::tract_core::plan::eval;
use tract_onnx::tract_hir::infer::Factoid;

use super::ops::repair::{self, Care};
use super::rules::MAX_TENSOR_BYTES;
use super::tensors::{from_tract, to_tract, wire_datatype};
use crate::engine::quiet::catch;
use crate::engine::{RunError, Stop};
use crate::signature::Signature;

/// States kept for reuse; more than this many runs at once make theirs anew (half a microsecond).
const SPARE_STATES: usize = 16;

/// What tract says of faults that no request can help.
const OWN_FAULTS: [&str; 1] = ["SymbolScope"];

/// tract's operators whose output's size is a value among their inputs.
pub(super) const GROWING: [&str; 2] = ["Range", "DynTile"];

/// A runnable model for fixed input shapes.
pub(super) struct Plan {
    plan: std::sync::Arc<TypedSimplePlan>,
    /// States kept for reuse. A plan with operators that keep state of their own (tract's recurrent nets go on where the last
    /// run ended) keeps none, or one request would see another's past.
    spare: Option<Mutex<Vec<TypedSimpleState>>>,
    /// Nodes whose output is as large as the request's data says.
    growing: Vec<usize>,
    loses_nan: bool,
}

/// What tract's analysis says of an output: its datatype, and its dimensions where they do not depend on data.
pub(super) struct Typed {
    pub(super) datatype: Option<DataType>,
    pub(super) shape: Vec<Option<usize>>,
}

impl Plan {
    /// Builds the plan for inputs of these shapes. The error is tract's, in words.
    pub(super) fn build(source: &InferenceModel, shapes: &[Vec<usize>]) -> Result<Self, String> {
        caught(|| {
            let model = typed(source, shapes)?;
            let loses_nan = repair::loses(&model);
            let care = Care::finite(&model);
            Ok(Self { loses_nan, ..Self::optimised(model, &care)? })
        })
    }

    /// The same for inputs that hold NaN or an infinity: none is lost, for the price of some fusions.
    pub(super) fn careful(source: &InferenceModel, shapes: &[Vec<usize>]) -> Result<Self, String> {
        caught(|| Self::optimised(typed(source, shapes)?, &Care::Any))
    }

    /// The same with nothing optimised: the operators as the file has them, one by one. What [`Plan::build`] guards, it does too.
    pub(super) fn unoptimised(source: &InferenceModel, shapes: &[Vec<usize>]) -> Result<Self, String> {
        caught(|| {
            let mut model = typed(source, shapes)?;
            let care = Care::finite(&model);
            repair::first(&mut model, &care)?;
            Self::of(model)
        })
    }

    fn optimised(mut model: TypedModel, care: &Care) -> TractResult<Self> {
        repair::first(&mut model, care)?;
        Self::of(model.into_decluttered()?.into_optimized()?)
    }

    fn of(mut model: TypedModel) -> TractResult<Self> {
        repair::last(&mut model);
        let plan = TypedSimplePlan::new(model)?;
        let state = plan.spawn()?;
        let stateless = state.op_states.iter().all(Option::is_none);
        let growing = plan.model().nodes().iter().filter(|node| GROWING.contains(&&*node.op().name()));
        let growing = growing.map(|node| node.id).collect();
        Ok(Self { plan, spare: stateless.then(|| Mutex::new(vec![state])), growing, loses_nan: false })
    }

    /// Whether it makes numbers of NaN: then [`Plan::careful`] is for inputs that hold one.
    pub(super) fn loses_nan(&self) -> bool {
        self.loses_nan
    }

    /// What the outputs will be.
    pub(super) fn outputs(&self) -> Result<Vec<Typed>, String> {
        caught(|| outputs_of(self.plan.model()))
    }

    /// Runs once. The inputs must have this plan's shapes, in the signature's order.
    pub(super) fn run(&self, inputs: &[Tensor], signature: &Signature, stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        let mut values: TVec<TValue> = TVec::new();
        for (tensor, spec) in inputs.iter().zip(&signature.inputs) {
            values.push(to_tract(tensor, &spec.name)?);
        }
        let outputs = self.compute(values, stop)?;
        let specs = signature.outputs.iter();
        outputs.into_iter().zip(specs).map(|(value, spec)| conform(from_tract(value, &spec.name)?, spec)).collect()
    }

    /// The run itself. The state it used is kept only if all went well: after an error tract's states are spoilt.
    fn compute(&self, values: TVec<TValue>, stop: &Stop) -> Result<TVec<TValue>, RunError> {
        let spare = self.spare.as_ref().and_then(|spare| spare.lock().pop());
        let mut state = match spare {
            Some(state) => state,
            None => caught(|| self.plan.spawn()).map_err(RunError::Internal)?,
        };
        let (at, stopped) = (Cell::new(None), Cell::new(None));
        let result = catch(|| {
            state.run_plan_with_eval(values, |context, own, node, inputs| {
                at.set(Some(node.id));
                if let Some(reason) = stop.reason() {
                    stopped.set(Some(reason));
                    return Err(TractError::msg("stopped"));
                }
                if self.growing.contains(&node.id) {
                    bound_growth(&node.op().name(), &inputs)?;
                }
                eval(context, own, node, inputs)
            })
        });
        let said = match result {
            Ok(Ok(outputs)) => {
                self.keep(state);
                return Ok(outputs);
            }
            Ok(Err(error)) => cut(&error.root_cause().to_string()),
            Err(panic) => cut(&panic),
        };
        // A spoilt state may panic once more as it goes; the run's own error is the one to tell.
        let _ = catch(|| drop(state));
        let own = OWN_FAULTS.iter().any(|words| said.contains(words));
        let blamed = || {
            if own { RunError::Internal(self.fault(at.get(), &said)) } else { RunError::InvalidData(self.blame(at.get(), &said)) }
        };
        Err(stopped.take().unwrap_or_else(blamed))
    }

    fn keep(&self, state: TypedSimpleState) {
        let Some(spare) = &self.spare else { return };
        let mut spare = spare.lock();
        if spare.len() < SPARE_STATES {
            spare.push(state);
        }
    }

    /// An error in words, with the node that met it.
    fn blame(&self, node: Option<usize>, said: &str) -> String {
        format!("the model cannot compute with this data: {}", self.met(node, said))
    }

    /// The same, of a fault that is not the data's.
    fn fault(&self, node: Option<usize>, said: &str) -> String {
        format!("tract cannot run the model: {}", self.met(node, said))
    }

    fn met(&self, node: Option<usize>, said: &str) -> String {
        match node.map(|id| self.plan.model().node(id)) {
            Some(node) => format!("{said} (in {} '{}')", node.op().name(), node.name),
            None => said.to_owned(),
        }
    }
}

/// What the outputs will be for inputs of these shapes, without building a plan.
pub(super) fn analyse(source: &InferenceModel, shapes: &[Vec<usize>]) -> Result<Vec<Typed>, String> {
    caught(|| outputs_of(&typed(source, shapes)?))
}

fn typed(source: &InferenceModel, shapes: &[Vec<usize>]) -> TractResult<TypedModel> {
    let mut model = source.clone();
    for (at, shape) in shapes.iter().enumerate() {
        let datum = model.input_fact(at)?.datum_type.concretize();
        let datum = datum.ok_or_else(|| TractError::msg("an input has no datatype"))?;
        model.set_input_fact(at, InferenceFact::dt_shape(datum, shape))?;
    }
    let typed = model.into_typed()?;
    bound(&typed)?;
    Ok(typed)
}

/// Refuses a plan whose tensors could not be held, before any is made.
pub(super) fn bound(model: &TypedModel) -> TractResult<()> {
    for node in model.nodes() {
        for output in &node.outputs {
            let Some(shape) = output.fact.shape.as_concrete() else { continue };
            let size = output.fact.datum_type.size_of() as u64;
            let bytes = shape.iter().try_fold(size, |all, dim| all.checked_mul(*dim as u64));
            if bytes.is_none_or(|bytes| bytes > MAX_TENSOR_BYTES) {
                let name = &node.name;
                return Err(TractError::msg(format!("'{name}' of shape {shape:?} would exceed {MAX_TENSOR_BYTES} bytes")));
            }
        }
    }
    Ok(())
}

/// Refuses an output that could not be held, before it is made. What cannot be told here, the operator refuses itself.
pub(super) fn bound_growth(operator: &str, inputs: &[TValue]) -> TractResult<()> {
    let scalar = |at: usize| inputs.get(at)?.cast_to_scalar::<f64>().ok();
    let elements = match (operator, inputs) {
        ("Range", _) => scalar(0).zip(scalar(1)).zip(scalar(2)).map(|((start, end), step)| (end - start) / step),
        (_, [tiled, repeats, ..]) => {
            let repeats = repeats.cast_to::<f64>()?;
            Some(tiled.len() as f64 * repeats.try_as_plain_ram()?.as_slice::<f64>()?.iter().product::<f64>())
        }
        _ => None,
    };
    let most = (MAX_TENSOR_BYTES / 8) as f64;
    match elements {
        Some(elements) if elements > most => {
            Err(TractError::msg(format!("it asks for {elements} elements; at most {most} are computed")))
        }
        _ => Ok(()),
    }
}

fn outputs_of(model: &TypedModel) -> TractResult<Vec<Typed>> {
    let outlets = model.output_outlets()?.iter();
    outlets
        .map(|outlet| {
            let fact = model.outlet_fact(*outlet)?;
            let shape = fact.shape.iter().map(|dim| dim.to_usize().ok()).collect();
            Ok(Typed { datatype: wire_datatype(fact.datum_type), shape })
        })
        .collect()
}

/// The output as the signature declares it; where the file's declaration and tract disagree, the signature is tract's.
fn conform(tensor: Tensor, spec: &crate::signature::TensorSpec) -> Result<Tensor, RunError> {
    if tensor.datatype() == spec.datatype {
        return Ok(tensor);
    }
    let (name, found, expected) = (&spec.name, tensor.datatype(), spec.datatype);
    Err(RunError::Internal(format!("output '{name}' is {found}, expected {expected}")))
}

/// Runs tract code; an error or a panic becomes text.
fn caught<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch(work) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(shorten(&error)),
        Err(panic) => Err(cut(&panic)),
    }
}

/// tract's error as one line: where, and the cause; what is between repeats both.
pub(super) fn shorten(error: &TractError) -> String {
    let (whole, cause) = (error.to_string(), error.root_cause().to_string());
    if whole == cause { cut(&whole) } else { format!("{}: {}", cut(&whole), cut(&cause)) }
}

/// At most a few hundred characters, on one line: tract prints whole nodes in its errors.
pub(super) fn cut(text: &str) -> String {
    const MOST: usize = 240;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::engine::onnx::declared::Declared;
    use crate::engine::onnx::file::File;
    use crate::engine::tract::{fuse, parse};

    /// The models of the examples that are there: some are fetched.
    fn examples() -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().join("model"));
        let files = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "onnx")).collect()
    }

    /// In networks that make no NaN of finite inputs all is joined that may be.
    #[test]
    fn no_example_is_slowed_down_by_what_cannot_arise() {
        let (mut seen, mut may_lose, mut slowed) = (0, 0, Vec::new());
        for path in examples() {
            let mut file = File::read(&path).unwrap();
            let declared = Declared::of(file.graph());
            file.rewrite(fuse::fuse);
            let Ok(source) = parse(&file) else { continue };
            let sizes = [1, 32, 64, 256, 1024, 16_000];
            let Some(mut model) = sizes.iter().find_map(|size| typed(&source, &declared.shapes(1, *size)).ok()) else { continue };
            seen += 1;
            may_lose += usize::from(repair::loses(&model));
            let care = Care::finite(&model);
            repair::first(&mut model, &care).unwrap();
            slowed.extend(repair::guarded(&model).into_iter().map(|node| format!("{}: {node}", path.display())));
        }
        assert!(slowed.is_empty(), "{}", slowed.join("\n"));
        assert!(seen >= 4 && may_lose >= 3, "{may_lose} of {seen}");
    }
}
