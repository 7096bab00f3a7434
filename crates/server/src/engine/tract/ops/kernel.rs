//! Between an operator of ours and tract: an operator is a function of whole tensors, and the rest is done here.

use std::fmt::Debug;
use std::sync::Arc;

use tract_onnx::tract_hir::internal::*;

use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// An operator of ours, its attributes read and checked.
pub(super) trait Kernel: Debug + Send + Sync + Sized + 'static {
    /// Its name in ONNX.
    const NAME: &'static str;
    /// Outputs.
    const OUTPUTS: usize = 1;
    /// Dimensions of the outputs that only the data tells; [`Kernel::facts`] is given a symbol for each.
    const FREE: usize = 0;

    /// Reads the attributes of a node.
    ///
    /// # Errors
    /// Words that name the attribute, what was found and what was expected.
    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong>;

    /// Outputs of a node like this one, where that is not the same for all.
    fn outputs(&self) -> usize {
        Self::OUTPUTS
    }

    /// What it gives for inputs like these. tract's symbolic integers come as INT64.
    ///
    /// # Errors
    /// Datatypes, ranks or dimensions that it does not take.
    fn facts(&self, inputs: &[Fact], free: &[TDim]) -> TractResult<TVec<Fact>>;

    /// What is known of its outputs before it computes: where it makes finite numbers of finite ones, that is to be said.
    fn known(&self, _inputs: &[Known]) -> Known {
        Known::ANYTHING
    }

    /// Computes.
    ///
    /// # Errors
    /// Data that it cannot compute with.
    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>>;
}

/// A [`Kernel`] whose attributes have been read. What tract asks of an operator is compiled once for all of them.
trait Computes: Debug + Send + Sync {
    fn facts(&self, inputs: &[Fact], free: &[TDim]) -> TractResult<TVec<Fact>>;
    fn known(&self, inputs: &[Known]) -> Known;
    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>>;
}

impl<K: Kernel> Computes for K {
    fn facts(&self, inputs: &[Fact], free: &[TDim]) -> TractResult<TVec<Fact>> {
        Kernel::facts(self, inputs, free)
    }

    fn known(&self, inputs: &[Known]) -> Known {
        Kernel::known(self, inputs)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        Kernel::run(self, inputs)
    }
}

/// The datatype and the dimensions of a tensor.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) kind: DatumType,
    pub(super) shape: TVec<TDim>,
}

impl Fact {
    /// A fact.
    pub(super) fn new(kind: DatumType, shape: impl IntoIterator<Item = TDim>) -> Self {
        Self { kind, shape: shape.into_iter().collect() }
    }

    /// The rows and columns of a table: [N, C], or one row [C].
    ///
    /// # Errors
    /// Another rank.
    pub(super) fn table(&self) -> TractResult<(TDim, TDim)> {
        match &*self.shape {
            [columns] => Ok((1.to_dim(), columns.clone())),
            [rows, columns] => Ok((rows.clone(), columns.clone())),
            shape => {
                Err(TractError::msg(format!("the input has {} dimensions; expected [rows, columns] or [columns]", shape.len())))
            }
        }
    }

    /// The number of columns, where it is not free.
    pub(super) fn columns(&self) -> TractResult<Option<usize>> {
        Ok(self.table()?.1.to_usize().ok())
    }
}

/// The kernel in tract's graph, before and after its analysis.
#[derive(Clone, Debug)]
pub(super) struct Own {
    name: &'static str,
    outputs: usize,
    kernel: Arc<dyn Computes>,
    free: TVec<Symbol>,
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.kernel, &other.kernel)
    }
}

impl Eq for Own {}

impl Own {
    /// The kernel, with a symbol for each dimension that only the data tells.
    pub(super) fn new<K: Kernel>(kernel: K, symbols: &SymbolScope) -> Self {
        Self { free: (0..K::FREE).map(|_| symbols.new_with_prefix("own")).collect(), ..Self::plain(kernel) }
    }

    /// A kernel without such dimensions.
    pub(super) fn plain<K: Kernel>(kernel: K) -> Self {
        Self { name: K::NAME, outputs: kernel.outputs(), kernel: Arc::new(kernel), free: TVec::new() }
    }

    /// What is known of its outputs.
    pub(super) fn known(&self, inputs: &[Known]) -> Known {
        self.kernel.known(inputs)
    }

    fn facts(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let free: TVec<TDim> = self.free.iter().map(|symbol| symbol.to_dim()).collect();
        self.kernel.facts(inputs, &free)
    }
}

/// INT64 for tract's symbolic integers.
fn plain(kind: DatumType) -> DatumType {
    if kind == TDim::datum_type() { i64::datum_type() } else { kind }
}

impl Expansion for Own {
    fn name(&self) -> StaticName {
        self.name.into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.outputs)
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, self.outputs)?;
        solver.given_all(inputs.iter().map(|input| &input.datum_type), move |solver, kinds: Vec<DatumType>| {
            solver.given_all(inputs.iter().map(|input| &input.shape), move |solver, shapes: Vec<TVec<TDim>>| {
                let facts: Vec<Fact> = kinds.iter().zip(shapes).map(|(kind, shape)| Fact::new(plain(*kind), shape)).collect();
                for (output, fact) in outputs.iter().zip(self.facts(&facts)?) {
                    solver.equals(&output.datum_type, fact.kind)?;
                    solver.equals(&output.shape, fact.shape)?;
                }
                Ok(())
            })
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut wires: TVec<OutletId> = inputs.iter().copied().collect();
        for (at, wire) in wires.iter_mut().enumerate() {
            if model.outlet_fact(*wire)?.datum_type == TDim::datum_type() {
                let cast = tract_core::ops::cast::cast(i64::datum_type());
                *wire = model.wire_node(format!("{prefix}.int64.{at}"), cast, &[*wire])?[0];
            }
        }
        model.wire_node(prefix, self.clone(), &wires)
    }
}

impl Op for Own {
    fn name(&self) -> StaticName {
        self.name.into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        !self.free.is_empty()
    }

    op_as_typed_op!();
}

impl EvalOp for Own {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let tensors: TVec<&Tensor> = inputs.iter().map(|value| &**value).collect();
        Ok(self.kernel.run(&tensors)?.into_iter().map(Tensor::into_tvalue).collect())
    }
}

impl TypedOp for Own {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let facts: Vec<Fact> = inputs.iter().map(|fact| Fact::new(fact.datum_type, fact.shape.iter().cloned())).collect();
        Ok(self.facts(&facts)?.into_iter().map(|fact| fact.kind.fact(fact.shape)).collect())
    }

    as_op!();
}
