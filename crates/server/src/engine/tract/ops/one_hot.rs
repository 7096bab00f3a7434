//! `OneHotEncoder`: a further dimension with a 1 where the category is.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::lookup::{Keys, Repeated};
use super::numbers::{elements, tensor};
use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::values::Values;

/// The categories.
#[derive(Debug)]
pub(super) struct OneHotEncoder {
    keys: Keys,
    count: usize,
    /// Whether an unknown category is all zeros; else it is refused.
    zeros: bool,
}

impl OneHotEncoder {
    pub(super) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// How many categories there are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// What becomes of an element that is no category.
    ///
    /// # Errors
    /// Where it is refused.
    pub(super) fn unknown(&self, at: usize) -> TractResult<()> {
        ensure!(self.zeros, "element {at} is none of the {} categories", self.count);
        Ok(())
    }
}

impl Kernel for OneHotEncoder {
    const NAME: &'static str = "OneHotEncoder";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let categories = match attributes.one_of(&["cats_int64s", "cats_strings"])? {
            Some("cats_int64s") => Values::Ints(attributes.ints("cats_int64s")?.to_vec()),
            _ => Values::Texts(attributes.texts("cats_strings")?),
        };
        let count = categories.len();
        if count == 0 {
            return Err("neither cats_int64s nor cats_strings has a category; expected one of them".to_owned());
        }
        Ok(Self { keys: Keys::of(categories, Repeated::Last), count, zeros: attributes.int("zeros", 1)? != 0 })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        self.keys.check(input.kind)?;
        let shape = input.shape.iter().cloned().chain([self.count.to_dim()]);
        Ok(tvec!(Fact::new(f32::datum_type(), shape)))
    }

    fn known(&self, _inputs: &[Known]) -> Known {
        Known::FINITE
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let shape: Vec<usize> = inputs[0].shape().iter().copied().chain([self.count]).collect();
        let mut hot = vec![0.0_f32; elements(&shape, 4)?];
        for (at, place) in self.keys.find(inputs[0])?.into_iter().enumerate() {
            match place {
                Some(place) => hot[at * self.count + place] = 1.0,
                None => self.unknown(at)?,
            }
        }
        Ok(tvec!(tensor(&shape, hot)?))
    }
}
