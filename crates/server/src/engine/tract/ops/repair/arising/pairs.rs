//! What operators of two values make of them.

use tract_onnx::tract_hir::internal::*;

use super::known::Known;

/// What is known of the answer, of a datatype; `same` where both are one value.
pub(super) fn known(name: &str, (x, y): (Known, Known), same: bool, kind: DatumType) -> Known {
    let real = kind.is_float();
    match name {
        "Add" => x.plus(y),
        "Sub" => x.plus(y.negated()),
        "SubF" => y.plus(x.negated()),
        "Mul" if same => x.squared(),
        "Mul" => x.times(y),
        "Div" if real => x.over(y),
        "Rem" if real => x.modulo(y),
        "Pow" if real => x.power(y),
        "Min" => x.smaller(y),
        "Max" => x.greater(y),
        // Comparisons, and whole numbers.
        _ if !real => Known::of(kind),
        _ => Known::ANYTHING,
    }
}
