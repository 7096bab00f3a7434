//! Operators of one element each, and of two tensors whose dimensions are stretched to each other's (ONNX, "Broadcasting").

use super::layout::{places, strides};
use super::make::{Call, count};
use super::value::{BOOL, Numbers, Value};
use crate::proto::data_type;

pub(super) fn unary(operator: &str, value: &Value) -> Option<Value> {
    let dims = value.dims.clone();
    if operator == "Identity" {
        return Some(value.clone());
    }
    match &value.numbers {
        Numbers::Whole(numbers) => {
            let of: fn(i64) -> i64 = match operator {
                "Abs" => i64::wrapping_abs,
                "Neg" => i64::wrapping_neg,
                "Not" if value.datatype == BOOL => |one| i64::from(one == 0),
                _ => return None,
            };
            Some(Value::wholes(value.datatype, dims, numbers.iter().map(|one| of(*one)).collect()))
        }
        Numbers::Real(numbers) => {
            if value.datatype == data_type::FLOAT16 && !matches!(operator, "Abs" | "Neg") {
                return None;
            }
            let of: fn(f64) -> f64 = match operator {
                "Abs" => f64::abs,
                "Ceil" => f64::ceil,
                "Cos" => f64::cos,
                "Exp" => f64::exp,
                "Floor" => f64::floor,
                "Log" => f64::ln,
                "Neg" => |one| -one,
                "Reciprocal" => |one| 1.0 / one,
                "Round" => f64::round_ties_even,
                "Sin" => f64::sin,
                "Sqrt" => f64::sqrt,
                _ => return None,
            };
            Some(Value::reals(value.datatype, dims, numbers.iter().map(|one| of(*one)).collect()))
        }
    }
}

/// The dimensions of both, where they fit.
pub(super) fn stretched(one: &[usize], other: &[usize]) -> Option<Vec<usize>> {
    let rank = one.len().max(other.len());
    let at = |dims: &[usize], place: usize| (place + dims.len()).checked_sub(rank).map_or(1, |at| dims[at]);
    (0..rank)
        .map(|place| match (at(one, place), at(other, place)) {
            (a, b) if a == b => Some(a),
            (1, b) => Some(b),
            (a, 1) => Some(a),
            _ => None,
        })
        .collect()
}

/// For each element of stretched dimensions, the element that it is of.
pub(super) fn sources(own: &[usize], dims: &[usize], all: usize) -> impl Iterator<Item = usize> {
    let (strides, before) = (strides(own), dims.len() - own.len());
    places(dims, all, move |axis, at| match axis.checked_sub(before) {
        Some(own_axis) if own[own_axis] != 1 => at * strides[own_axis],
        _ => 0,
    })
}

/// The greater or the lesser of two; none of both where one is no number.
pub(super) fn extreme(one: f64, other: f64, greatest: bool) -> f64 {
    if one.is_nan() || other.is_nan() {
        return f64::NAN;
    }
    if greatest { one.max(other) } else { one.min(other) }
}

pub(super) fn pairs(call: &Call<'_>) -> Option<Value> {
    // Before version 7 they broadcast in another way.
    if call.opset < 7 || call.inputs.len() < 2 {
        return None;
    }
    let mut all = call.input(0)?.clone();
    for other in &call.inputs[1..] {
        all = pair(call, &all, other.as_ref()?)?;
    }
    Some(all)
}

fn pair(call: &Call<'_>, one: &Value, other: &Value) -> Option<Value> {
    let operator = call.node.op_type();
    let dims = stretched(&one.dims, &other.dims)?;
    let all = count(&dims, call.most)?;
    if one.datatype != other.datatype && operator != "Pow" {
        return None;
    }
    let places = || sources(&one.dims, &dims, all).zip(sources(&other.dims, &dims, all));
    match (&one.numbers, &other.numbers) {
        (Numbers::Whole(a), Numbers::Whole(b)) => {
            let fmod = call.int("fmod", 0) != 0;
            let of = |(x, y): (usize, usize)| whole(operator, one.datatype, (a[x], b[y]), fmod);
            let numbers = places().map(of).collect::<Option<Vec<i64>>>()?;
            let datatype = if compares(operator) { BOOL } else { one.datatype };
            Some(Value::wholes(datatype, dims, numbers))
        }
        (Numbers::Real(a), Numbers::Real(b)) if compares(operator) => {
            let numbers = places().map(|(x, y)| i64::from(holds(operator, a[x].partial_cmp(&b[y])))).collect();
            Some(Value::wholes(BOOL, dims, numbers))
        }
        // ONNX Runtime keeps sums of FP16 as FP32 on the way; others round each.
        _ if one.datatype == data_type::FLOAT16 && !matches!(operator, "Max" | "Min") => None,
        (Numbers::Real(a), Numbers::Real(b)) => {
            let of: fn(f64, f64) -> f64 = match operator {
                "Add" => |x, y| x + y,
                "Sub" => |x, y| x - y,
                "Mul" => |x, y| x * y,
                "Div" => |x, y| x / y,
                "Max" => |x, y| extreme(x, y, true),
                "Min" => |x, y| extreme(x, y, false),
                "Pow" => f64::powf,
                "Mod" if call.int("fmod", 0) != 0 => |x, y| x % y,
                _ => return None,
            };
            Some(Value::reals(one.datatype, dims.clone(), places().map(|(x, y)| of(a[x], b[y])).collect()))
        }
        // A power may have an exponent of another type.
        (Numbers::Real(a), Numbers::Whole(b)) if operator == "Pow" => {
            Some(Value::reals(one.datatype, dims.clone(), places().map(|(x, y)| a[x].powf(b[y] as f64)).collect()))
        }
        _ => None,
    }
}

fn compares(operator: &str) -> bool {
    matches!(operator, "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual")
}

fn holds(operator: &str, order: Option<std::cmp::Ordering>) -> bool {
    order.is_some_and(|order| match operator {
        "Equal" => order.is_eq(),
        "Greater" => order.is_gt(),
        "GreaterOrEqual" => order.is_ge(),
        "Less" => order.is_lt(),
        _ => order.is_le(),
    })
}

/// `None` for what is not defined.
fn whole(operator: &str, datatype: i32, (x, y): (i64, i64), fmod: bool) -> Option<i64> {
    let truths = datatype == BOOL;
    Some(match operator {
        _ if compares(operator) => i64::from(holds(operator, Some(x.cmp(&y)))),
        "And" if truths => x & y,
        "Or" if truths => x | y,
        "Xor" if truths => x ^ y,
        _ if truths => return None,
        "Add" => x.wrapping_add(y),
        "Sub" => x.wrapping_sub(y),
        "Mul" => x.wrapping_mul(y),
        // Towards zero, as processors do.
        "Div" if y != 0 => x.wrapping_div(y),
        "Mod" if y != 0 && fmod => x.wrapping_rem(y),
        // With the sign of the divisor.
        "Mod" if y != 0 => {
            let rest = x.wrapping_rem(y);
            if rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest }
        }
        "Max" => x.max(y),
        "Min" => x.min(y),
        "Pow" => x.checked_pow(u32::try_from(y).ok()?).filter(|power| power.unsigned_abs() < 1 << 53)?,
        _ => return None,
    })
}

/// Of two tensors, element by element, the one that a third says.
pub(super) fn choose(call: &Call<'_>) -> Option<Value> {
    let (which, yes, no) = (call.input(0)?, call.input(1)?, call.input(2)?);
    if which.datatype != BOOL || yes.datatype != no.datatype {
        return None;
    }
    let dims = stretched(&stretched(&which.dims, &yes.dims)?, &no.dims)?;
    let all = count(&dims, call.most)?;
    let which = which.as_whole()?;
    let (yes_at, no_at) = (sources(&yes.dims, &dims, all), sources(&no.dims, &dims, all));
    let places = sources(&call.input(0)?.dims, &dims, all).zip(yes_at.zip(no_at));
    let numbers = match (&yes.numbers, &no.numbers) {
        (Numbers::Whole(a), Numbers::Whole(b)) => {
            Numbers::Whole(places.map(|(at, (x, y))| if which[at] != 0 { a[x] } else { b[y] }).collect())
        }
        (Numbers::Real(a), Numbers::Real(b)) => {
            Numbers::Real(places.map(|(at, (x, y))| if which[at] != 0 { a[x] } else { b[y] }).collect())
        }
        _ => return None,
    };
    Some(Value { datatype: yes.datatype, dims, numbers })
}
