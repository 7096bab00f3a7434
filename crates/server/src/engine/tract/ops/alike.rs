//! Operators that are wired anew and answer in the datatype and the shape of their one input.

use tract_onnx::tract_hir::internal::*;

/// What stands for the operator in tract's graph: the nodes of this name are made over the inputs.
pub(super) type Wired = fn(&str, &mut TypedModel, &[OutletId]) -> TractResult<TVec<OutletId>>;

#[derive(Clone, Debug)]
struct Alike {
    name: &'static str,
    wired: Wired,
}

/// The operator.
pub(super) fn alike(name: &'static str, wired: Wired) -> (Box<dyn InferenceOp>, Vec<String>) {
    (expand(Alike { name, wired }), Vec::new())
}

impl Expansion for Alike {
    fn name(&self) -> StaticName {
        self.name.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        solver.equals(&outputs[0].shape, &inputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        (self.wired)(prefix, model, inputs)
    }
}
