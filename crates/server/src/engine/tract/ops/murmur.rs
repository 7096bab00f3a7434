//! ONNX Runtime's `MurmurHash3`: the hash of each element's bytes, as scikit-learn's FeatureHasher has it of strings.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{slice, tensor};
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::murmur::hash;

/// The operator of `com.microsoft`: UINT32, or INT32 where `positive` is 0.
#[derive(Debug)]
pub(super) struct MurmurHash3 {
    seed: u32,
    positive: bool,
}

impl MurmurHash3 {
    fn kind(&self) -> DatumType {
        if self.positive { u32::datum_type() } else { i32::datum_type() }
    }
}

impl Kernel for MurmurHash3 {
    const NAME: &'static str = "MurmurHash3";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let seed = attributes.int("seed", 0)?;
        let seed = u32::try_from(seed).map_err(|_| format!("attribute seed is {seed}; expected 0 to {}", u32::MAX))?;
        Ok(Self { seed, positive: attributes.flag("positive", true)? })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let kinds =
            [i32::datum_type(), u32::datum_type(), i64::datum_type(), u64::datum_type(), f32::datum_type(), f64::datum_type()];
        let known = kinds.contains(&input.kind) || input.kind == String::datum_type();
        ensure!(known, "the input is {:?}; expected strings, or numbers of 32 or 64 bits", input.kind);
        Ok(tvec!(Fact::new(self.kind(), input.shape.iter().cloned())))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let input = inputs[0];
        let kind = input.datum_type();
        let hashes: Vec<u32> = if kind == String::datum_type() {
            slice::<String>(input)?.iter().map(|text| hash(text.as_bytes(), self.seed)).collect()
        } else {
            let input = if kind == TDim::datum_type() { input.cast_to::<i64>()? } else { std::borrow::Cow::Borrowed(input) };
            let bytes = input.try_as_plain_ram()?.as_bytes();
            bytes.chunks_exact(input.datum_type().size_of()).map(|element| hash(element, self.seed)).collect()
        };
        let shape = input.shape();
        Ok(tvec!(if self.positive {
            tensor(shape, hashes)?
        } else {
            tensor(shape, hashes.into_iter().map(u32::cast_signed).collect())?
        }))
    }
}
