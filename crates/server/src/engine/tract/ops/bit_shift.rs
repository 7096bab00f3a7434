//! `BitShift` by any amount: as many bits as the number has, or more, leave nothing but the sign. tract shifts by what remains of the
//! amount.

use tract_onnx::tract_core::broadcast::multi_broadcast;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_ndarray::ArrayViewD;

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
        let shifted = match number.datum_type() {
            DatumType::U8 => self.shifted::<u8>(number, amount)?,
            DatumType::U16 => self.shifted::<u16>(number, amount)?,
            DatumType::U32 => self.shifted::<u32>(number, amount)?,
            DatumType::U64 => self.shifted::<u64>(number, amount)?,
            DatumType::I8 => self.shifted::<i8>(number, amount)?,
            DatumType::I16 => self.shifted::<i16>(number, amount)?,
            DatumType::I32 => self.shifted::<i32>(number, amount)?,
            DatumType::I64 => self.shifted::<i64>(number, amount)?,
            other => bail!("the input is {other:?}; expected integers"),
        };
        Ok(tvec!(shifted))
    }
}

impl BitShift {
    fn shifted<T: Datum + Copy + Shift>(&self, number: &Tensor, amount: &Tensor) -> TractResult<Tensor> {
        let shape = multi_broadcast(&[number.shape(), amount.shape()])?;
        let (number, amount) = (number.to_plain_array_view::<T>()?, amount.to_plain_array_view::<T>()?);
        let spread = |view: &ArrayViewD<'_, T>| view.broadcast(&*shape).map(|view| view.to_owned());
        let (Some(mut shifted), Some(amount)) = (spread(&number), spread(&amount)) else {
            bail!("{:?} and {:?} cannot be broadcast", number.shape(), amount.shape());
        };
        shifted.zip_mut_with(&amount, |one, amount| *one = one.shift(*amount, self.left));
        Ok(shifted.into_tensor())
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
shifts!(u8, u16, u32, u64, i8, i16, i32, i64);
