//! `Erf` of 64 bit numbers too, which tract has of 16 and 32 bits only.

use std::f64::consts::FRAC_2_SQRT_PI;

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_hir::internal::*;

use super::alike::alike;
use super::kernel::{Fact, Kernel, Own};
use super::numbers::{slice, tensor};
use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// The name in ONNX.
pub(super) const NAME: &str = "Erf";

/// tract's operator for a node.
pub(super) fn build(_context: &ParsingContext<'_>, _node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok(alike(NAME, wired))
}

fn wired(prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
    if model.outlet_fact(inputs[0])?.datum_type == f64::datum_type() {
        return Own::plain(Wide).wire(prefix, model, inputs);
    }
    model.wire_node(prefix, math::erf(), inputs)
}

/// That of 64 bits.
#[derive(Debug)]
struct Wide;

impl Kernel for Wide {
    const NAME: &'static str = NAME;

    fn read(_attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        Ok(Self)
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        ensure!(input.kind == f64::datum_type(), "the input is {:?}; expected FP64", input.kind);
        Ok(tvec!(input.clone()))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        Known::computed(inputs)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        Ok(tvec!(tensor(inputs[0].shape(), slice::<f64>(inputs[0])?.iter().map(|x| erf(*x)).collect())?))
    }
}

/// Near 0 the series `2 e^(-x^2) / sqrt(pi) * (x + 2 x^3 / 3 + 4 x^5 / (3 * 5) + ...)`, all of whose terms have one sign; further away the
/// continued fraction of what is left to 1. Source: NIST's Digital Library of Mathematical Functions, 7.6.2 and 7.9.1.
fn erf(x: f64) -> f64 {
    const NEAR: f64 = 2.5;
    /// From here on the nearest number is 1.
    const FAR: f64 = 6.0;
    const TERMS: u32 = 80;
    let (size, square) = (x.abs(), x * x);
    if x.is_nan() {
        return x;
    }
    if size > FAR {
        return x.signum();
    }
    if size < NEAR {
        let (mut term, mut sum) = (x, x);
        for n in 1..TERMS {
            term *= 2.0 * square / f64::from(2 * n + 1);
            sum += term;
        }
        return FRAC_2_SQRT_PI * (-square).exp() * sum;
    }
    let rest = (1..TERMS).rev().fold(size, |rest, n| size + f64::from(n) / 2.0 / rest);
    (1.0 - (-square).exp() * FRAC_2_SQRT_PI / 2.0 / rest).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: scipy.special.erf.
    #[test]
    fn each_as_it_is_in_tables() {
        for (x, expected) in [
            (0.0, 0.0),
            (1e-9, 1.1283791670955127e-09),
            (0.5, 0.5204998778130465),
            (1.0, 0.8427007929497149),
            (2.4999, 0.9995928300996666),
            (2.5, 0.999593047982555),
            (3.7, 0.9999998328489421),
            (5.9, 0.9999999999999999),
            (f64::INFINITY, 1.0),
        ] {
            for sign in [1.0, -1.0] {
                let found = erf(sign * x);
                assert!(
                    (found - sign * expected).abs() <= 4e-16 * expected.abs().max(1e-300) + 2e-16 * x.min(1.0),
                    "{x}: {found}"
                );
            }
        }
        assert!(erf(f64::NAN).is_nan());
    }
}
