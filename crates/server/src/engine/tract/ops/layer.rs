//! A table by a fixed matrix, in the kernel of dense layers: the weights are packed once, and the table is not.

use pulp::Arch;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::linear::Scores;
use super::numbers::{elements, slice};
use super::repair::Known;
use crate::engine::dense::{Matrix, Rows};
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::values::Values;

/// The matrix.
#[derive(Debug)]
pub(super) struct Layer {
    matrix: Matrix,
    width: usize,
    /// Whether all weights are.
    finite: bool,
}

impl Kernel for Layer {
    const NAME: &'static str = super::LAYER;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let tensor = attributes.tensor("matrix")?.ok_or("attribute matrix is missing")?;
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok().filter(|dim| *dim > 0)).collect();
        let (Values::Floats(weights), Some([depth, width])) = (Values::of(tensor)?, dims.as_deref()) else {
            return Err(format!("attribute matrix is no FP32 of two dimensions (its shape is {:?})", tensor.dims));
        };
        let finite = weights.iter().all(|weight| weight.is_finite());
        Ok(Self { matrix: Matrix::pack(Arch::new(), (&weights, &vec![0.0; *width]), *depth), width: *width, finite })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        ensure!(input.kind == f32::datum_type(), "the input is {:?}; expected FP32", input.kind);
        let [rows, columns] = &*input.shape else {
            bail!("the input has {} dimensions; expected [rows, columns]", input.shape.len());
        };
        if let Ok(found) = columns.to_usize() {
            ensure!(found == self.matrix.depth(), "the input has {found} columns; the matrix has {} rows", self.matrix.depth());
        }
        Ok(tvec!(Fact::new(f32::datum_type(), [rows.clone(), self.width.to_dim()])))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        if self.finite { Known::computed(inputs) } else { Known::ANYTHING }
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (depth, stride) = (self.matrix.depth(), self.matrix.padded());
        let &[rows, columns] = inputs[0].shape() else { bail!("the input has the shape {:?}", inputs[0].shape()) };
        ensure!(columns == depth, "the input has {columns} columns; the matrix has {depth} rows");
        let mut values = vec![0.0; elements(&[rows, stride], 4)?];
        self.matrix.run(Rows::of(slice::<f32>(inputs[0])?, rows, depth), &[], &mut values);
        Ok(tvec!(Scores { rows, values, stride }.into_table(self.width)?))
    }
}
