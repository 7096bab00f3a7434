//! `Cast`: to and from strings as ONNX Runtime writes and reads numbers, and 64 bits kept.
//!
//! tract reads "to INT64" as "to a symbolic integer", by way of 32 bits: an identifier above two thousand million would come
//! back as another. Only what is symbolic already (a shape) stays so here.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel, Own};
use super::numbers::{slice, tensor};
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// The operator in tract's graph.
#[derive(Clone, Debug)]
struct Cast {
    text: Own,
    to: DatumType,
}

/// tract's operator for a node.
pub(super) fn build(_context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let text = CastText::read(&Attributes::of(node)).map_err(TractError::msg)?;
    let to = text.to;
    Ok((expand(Cast { text: Own::plain(text), to }), Vec::new()))
}

impl Cast {
    /// What comes of `from`.
    fn target(&self, from: DatumType) -> DatumType {
        let symbolic = from == TDim::datum_type() && self.to == i64::datum_type();
        if symbolic { from } else { self.to }
    }
}

impl Expansion for Cast {
    fn name(&self) -> StaticName {
        CastText::NAME.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&outputs[0].shape, &inputs[0].shape)?;
        solver.given(&inputs[0].datum_type, move |solver, from| solver.equals(&outputs[0].datum_type, self.target(from)))
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let from = model.outlet_fact(inputs[0])?.datum_type;
        if from == String::datum_type() || self.to == String::datum_type() {
            return self.text.wire(prefix, model, inputs);
        }
        model.wire_node(prefix, tract_core::ops::cast::cast(self.target(from)), inputs)
    }
}

/// The casts to and from strings.
#[derive(Debug)]
pub(super) struct CastText {
    to: DatumType,
}

impl Kernel for CastText {
    const NAME: &'static str = "Cast";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let code = attributes.int("to", 0)?;
        let kind = i32::try_from(code).ok().and_then(|code| DataType::try_from(code).ok());
        let to = kind.and_then(|kind| DatumType::try_from(kind).ok());
        Ok(Self { to: to.ok_or_else(|| format!("attribute to is {code}, which is no datatype that this engine has"))? })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        Ok(tvec!(Fact::new(self.to, input.shape.iter().cloned())))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let input = inputs[0];
        let cast = match (input.datum_type(), self.to) {
            (DatumType::String, DatumType::String) => input.clone(),
            (DatumType::String, to) => parsed(input, to)?,
            _ => written(input)?,
        };
        Ok(tvec!(cast))
    }
}

/// Numbers as text: integers in full, others with eight significant digits.
fn written(input: &Tensor) -> TractResult<Tensor> {
    let kind = input.datum_type();
    let texts = if kind.is_float() {
        slice::<f64>(&*input.cast_to::<f64>()?)?.iter().map(|value| general(*value)).collect()
    } else if kind == u64::datum_type() {
        slice::<u64>(input)?.iter().map(u64::to_string).collect()
    } else {
        slice::<i64>(&*input.cast_to::<i64>()?)?.iter().map(i64::to_string).collect()
    };
    tensor(input.shape(), texts)
}

/// A number as C's `%.8g` writes it.
fn general(value: f64) -> String {
    const DIGITS: i32 = 8;
    if !value.is_finite() {
        let name = if value.is_nan() { "NaN" } else { "INF" };
        return if value.is_sign_negative() && !value.is_nan() { format!("-{name}") } else { name.to_owned() };
    }
    let scientific = format!("{value:.*e}", (DIGITS - 1) as usize);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        return without_zeros(&format!("{value:.*}", (DIGITS - 1 - exponent) as usize)).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs())
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// Text as numbers; whole numbers lose a fraction that the text has.
fn parsed(input: &Tensor, to: DatumType) -> TractResult<Tensor> {
    let texts = slice::<String>(input)?;
    let wrong = |at: usize| TractError::msg(format!("element {at} is {:?}; expected a number", shown(&texts[at])));
    let each = texts.iter().map(|text| text.trim()).enumerate();
    if to.is_float() {
        let values = each.map(|(at, text)| text.parse::<f64>().map_err(|_| wrong(at))).collect::<TractResult<_>>()?;
        // The nearest FP32 of a text need not be that of its nearest FP64, but for one in 2^29.
        return Ok(tensor(input.shape(), values)?.cast_to_dt(to)?.into_owned());
    }
    let whole =
        |text: &str| text.parse::<i64>().ok().or_else(|| text.parse::<f64>().ok().filter(|x| x.is_finite()).map(|x| x as i64));
    let values: Vec<i64> = each.map(|(at, text)| whole(text).ok_or_else(|| wrong(at))).collect::<TractResult<_>>()?;
    Ok(tensor(input.shape(), values)?.cast_to_dt(to)?.into_owned())
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_onnx_runtime_does() {
        for (value, text) in [
            (1.0, "1"),
            (f64::from(0.1_f32), "0.1"),
            (1e10, "1e+10"),
            (-0.0, "-0"),
            (1e-7, "1e-07"),
            (123_456_792.0, "1.2345679e+08"),
            (1.0 / 3.0, "0.33333333"),
            (99_999_999.5, "1e+08"),
            (0.0001, "0.0001"),
            (2.5, "2.5"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-INF"),
        ] {
            assert_eq!(general(value), text);
        }
    }
}
