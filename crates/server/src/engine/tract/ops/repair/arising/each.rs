//! What operators of one value make of it.

use tract_onnx::tract_core::ops::element_wise::ElementWiseMiniOp;
use tract_onnx::tract_core::ops::math::PowConst;

use super::known::Known;

/// What is known of the operator's answer.
pub(super) fn known(op: &dyn ElementWiseMiniOp, x: Known) -> Known {
    let Known { least, most, zero, infinite, nan } = x;
    // Numbers that may be anything, 0 too, between two bounds.
    let bounded = |least: f64, most: f64, also: bool| Known { nan: nan || also, ..Known::within(least, most) };
    let any_of_infinite = Known { nan: nan || infinite, ..Known::FINITE };
    match &*op.name() {
        "Abs" => Known {
            least: if least < 0.0 && most > 0.0 { 0.0 } else { least.abs().min(most.abs()) },
            most: least.abs().max(most.abs()),
            ..x
        },
        "Neg" => x.negated(),
        "Square" => x.squared(),
        "Recip" => x.inverse(),
        "Sqrt" => root(x),
        "Rsqrt" => root(x).inverse(),
        "PowConst" => op.downcast_ref::<PowConst>().map_or(Known::ANYTHING, |op| x.power(Known::only(f64::from(op.exponent)))),
        // Of finite numbers it is above 0, however far below it they are.
        "Exp" => Known { least: 0.0, most: f64::INFINITY, zero: x.low(), infinite: x.high(), nan },
        "Ln" => {
            let least = if least >= 1.0 { 0.0 } else { f64::NEG_INFINITY };
            Known { least, most: f64::INFINITY, zero: true, infinite: zero || infinite, nan: nan || x.least < 0.0 }
        }
        "Ceil" | "Floor" | "Round" | "RoundHalfToEven" => {
            Known { least: least.floor(), most: most.ceil(), zero: true, ..x }.settled()
        }
        "Cos" | "Sin" => bounded(-1.0, 1.0, infinite),
        "Tan" => any_of_infinite,
        "Acos" => bounded(0.0, 4.0, least < -1.0 || most > 1.0),
        "Asin" => bounded(-2.0, 2.0, least < -1.0 || most > 1.0),
        "Atan" => signed(x, 2.0),
        "Sinh" | "Asinh" => x.signed(),
        "Cosh" => Known { least: 1.0, most: f64::INFINITY, zero: false, ..x },
        "Acosh" => Known { least: 0.0, most: f64::INFINITY, zero: true, infinite, nan: nan || least < 1.0 },
        "Atanh" => {
            let (outside, ends) = (least < -1.0 || most > 1.0, least <= -1.0 || most >= 1.0);
            Known { infinite: ends, nan: nan || outside, ..Known::FINITE }
        }
        "Tanh" | "Erf" => signed(x, 1.0),
        "Sign" => signed(x, 1.0),
        "Sigmoid" => bounded(0.0, 1.0, false),
        "LeakyRelu" => Known { zero: true, ..if least >= 0.0 { x } else { Known { nan, infinite, ..Known::FINITE } } }.settled(),
        // At minus infinity a product of it and 0.
        "HardSwish" | "Silu" | "GeluExact" | "GeluApproximate" => Known { infinite, ..any_of_infinite },
        _ => Known::ANYTHING,
    }
}

fn root(x: Known) -> Known {
    let bound = |bound: f64| bound.max(0.0).sqrt();
    Known { least: bound(x.least), most: bound(x.most), nan: x.nan || x.least < 0.0, ..x }.settled()
}

/// Numbers of the same sign that are no further from 0 than `end`.
fn signed(x: Known, end: f64) -> Known {
    let Known { least, most, .. } = x.signed();
    Known { least: least.max(-end), most: most.min(end), infinite: false, ..x }.settled()
}
