//! `BitShift` by any amount: as many bits as the number has, or more, leave nothing but the sign. tract shifts by what remains of the
//! amount.

use tract_onnx::tract_core::broadcast::multi_broadcast;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// Which way.
#[derive(Debug)]
pub(super) struct BitShift {
    left: bool,
}

impl Kernel for BitShift {
    const NAME: &'static str = "BitShift";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        match attributes.text("direction", "")? {
            "LEFT" => Ok(Self { left: true }),
            "RIGHT" => Ok(Self { left: false }),
            found => Err(format!("attribute direction is '{found}'; expected LEFT or RIGHT")),
        }
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [number, amount] = inputs else { bail!("expected two inputs, found {}", inputs.len()) };
        ensure!(number.kind == amount.kind, "a {:?} is shifted by a {:?}; expected one type", number.kind, amount.kind);
        ensure!(number.kind.is_integer(), "the input is {:?}; expected integers", number.kind);
        let shape = multi_broadcast(&[&number.shape, &amount.shape])?;
        Ok(tvec!(Fact::new(number.kind, shape)))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let [number, amount] = inputs else { bail!("expected two inputs, found {}", inputs.len()) };
        let kind = number.datum_type();
        // In 64 bits, cut to its own afterwards: what a narrow number loses at either end is the same.
        let shifted = match kind {
            DatumType::U8 | DatumType::U16 | DatumType::U32 | DatumType::U64 => self.shifted::<u64>(number, amount)?,
            DatumType::I8 | DatumType::I16 | DatumType::I32 | DatumType::I64 => self.shifted::<i64>(number, amount)?,
            other => bail!("the input is {other:?}; expected integers"),
        };
        Ok(tvec!(shifted.cast_to_dt(kind)?.into_owned()))
    }
}

impl BitShift {
    fn shifted<T: Datum + Copy + Shift>(&self, number: &Tensor, amount: &Tensor) -> TractResult<Tensor> {
        let shape = multi_broadcast(&[number.shape(), amount.shape()])?;
        let spread = |tensor: &Tensor| tensor.cast_to::<T>()?.broadcast_to_shape(&shape);
        let (mut number, amount) = (spread(number)?, spread(amount)?);
        let mut numbers = number.try_as_plain_ram_mut()?;
        for (number, amount) in numbers.as_slice_mut::<T>()?.iter_mut().zip(amount.try_as_plain_ram()?.as_slice::<T>()?) {
            *number = number.shift(*amount, self.left);
        }
        Ok(number)
    }
}

/// An integer that can be shifted by another.
trait Shift {
    fn shift(self, amount: Self, left: bool) -> Self;
}

macro_rules! shifts {
    ($($kind:ty),*) => {$(
        impl Shift for $kind {
            fn shift(self, amount: Self, left: bool) -> Self {
                let shifted = u32::try_from(amount).ok().and_then(|bits| if left { self.checked_shl(bits) } else { self.checked_shr(bits) });
                // All bits gone: what is left is the sign, of which a number without one has none.
                let sign = if left { 0 } else { self >> (<$kind>::BITS - 1) >> 1 };
                shifted.unwrap_or(sign)
            }
        }
    )*};
}
shifts!(u64, i64);
