//! `Compress`: what a mask keeps, of all elements or of the slices along an axis. Only the data tells how many that are.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{characters, elements, slice, tensor};
use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// The axis, from the front or counted back from the end; without one the elements lie in a row.
#[derive(Debug)]
pub(super) struct Compress {
    axis: Option<i64>,
}

impl Compress {
    /// The axis within a rank.
    fn axis(&self, rank: usize) -> TractResult<Option<usize>> {
        let Some(axis) = self.axis else { return Ok(None) };
        let from_front = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        let found = usize::try_from(from_front).ok().filter(|at| *at < rank);
        found.map(Some).with_context(|| format!("attribute axis is {axis}, and the input has {rank} dimensions"))
    }

    /// The slices at `kept`, each `size` elements, of every block of `count`.
    fn keep<T: Datum>(input: &Tensor, (kept, count, size): (&[usize], usize, usize), shape: &[usize]) -> TractResult<Tensor> {
        let blocks = slice::<T>(input)?.chunks_exact((count * size).max(1));
        let slices = blocks.flat_map(|block| kept.iter().flat_map(move |at| &block[at * size..(at + 1) * size]));
        tensor(shape, slices.cloned().collect())
    }
}

impl Kernel for Compress {
    const NAME: &'static str = "Compress";
    const FREE: usize = 1;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        match attributes.inputs() {
            2 => Ok(Self { axis: attributes.has("axis").then(|| attributes.int("axis", 0)).transpose()? }),
            found => Err(format!("it has {found} inputs; expected two, the values and the mask")),
        }
    }

    fn facts(&self, inputs: &[Fact], free: &[TDim]) -> TractResult<TVec<Fact>> {
        let ([values, mask], [count]) = (inputs, free) else { bail!("expected two inputs, found {}", inputs.len()) };
        ensure!(mask.kind == bool::datum_type(), "the mask is {:?}; expected BOOL", mask.kind);
        ensure!(mask.shape.len() == 1, "the mask has {} dimensions; expected one", mask.shape.len());
        let mut shape = values.shape.clone();
        match self.axis(shape.len())? {
            Some(axis) => shape[axis] = count.clone(),
            None => shape = tvec!(count.clone()),
        }
        Ok(tvec!(Fact::new(values.kind, shape)))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        Known::computed(inputs)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (values, mask) = (inputs[0], slice::<bool>(inputs[1])?);
        let axis = self.axis(values.rank())?;
        let count = axis.map_or(values.len(), |axis| values.shape()[axis]);
        let size = axis.map_or(1, |axis| values.shape()[axis + 1..].iter().product());
        // A mask may be shorter, and then keeps nothing of the rest, or longer.
        let kept: Vec<usize> = (0..count).zip(mask).filter(|(_, kept)| **kept).map(|(at, _)| at).collect();
        let mut shape: Vec<usize> = axis.map_or_else(|| vec![0], |_| values.shape().to_vec());
        shape[axis.unwrap_or(0)] = kept.len();
        elements(&shape, values.datum_type().size_of())?;
        if values.datum_type() == String::datum_type() {
            characters(slice::<String>(values)?.iter().map(String::len))?;
        }
        let compressed = dispatch_datum!(Self::keep(values.datum_type())(values, (&kept, count, size), &shape))?;
        Ok(tvec!(compressed))
    }
}
