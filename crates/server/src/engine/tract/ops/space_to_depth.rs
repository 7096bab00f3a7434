//! `SpaceToDepth` in both orders of the new channels. tract has one, whatever the node says.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// The largest block: no image is larger.
const MOST: usize = 1 << 20;

/// The block's side, and whether channels come before the place within a block.
#[derive(Debug)]
pub(super) struct SpaceToDepth {
    block: usize,
    channels_first: bool,
}

impl Kernel for SpaceToDepth {
    const NAME: &'static str = "SpaceToDepth";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let channels_first = match attributes.text("mode", "DCR")? {
            "DCR" => false,
            "CRD" => true,
            found => return Err(format!("attribute mode is '{found}'; expected DCR or CRD")),
        };
        Ok(Self { block: attributes.size("blocksize", 0, (1, MOST))?, channels_first })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let [batch, channels, height, width] = &*input.shape else {
            bail!("the input has {} dimensions; expected [batch, channels, height, width]", input.shape.len());
        };
        let block = self.block;
        for (name, size) in [("height", height), ("width", width)] {
            let size = size.to_usize().unwrap_or(0);
            ensure!(size % block == 0, "the input's {name} is {size}; expected a multiple of {block}");
        }
        let shape = [batch.clone(), channels.clone() * block * block, height.clone() / block, width.clone() / block];
        Ok(tvec!(Fact::new(input.kind, shape)))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        Known::computed(inputs)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let [batch, channels, height, width] = *inputs[0].shape() else {
            bail!("the input has {} dimensions; expected [batch, channels, height, width]", inputs[0].rank());
        };
        let block = self.block;
        ensure!(height % block == 0 && width % block == 0, "{height} by {width} is no multiple of {block}");
        let split = [batch, channels, height / block, block, width / block, block];
        let order = if self.channels_first { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
        let mut moved = inputs[0].clone().into_shape(&split)?.permute_axes(&order)?;
        moved.set_shape(&[batch, channels * block * block, height / block, width / block])?;
        Ok(tvec!(moved))
    }
}
