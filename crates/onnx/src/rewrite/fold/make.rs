//! One operator of constants. What is not here, or has inputs that it is not defined for, is left to the run.

use super::elementwise;
use super::layout::{self, strides};
use super::places;
use super::value::{Kind, Numbers, Value, kind_of, whole};
use crate::proto::{AttributeProto, NodeProto, data_type};

const UNARY: [&str; 13] =
    ["Abs", "Ceil", "Cos", "Exp", "Floor", "Identity", "Log", "Neg", "Not", "Reciprocal", "Round", "Sin", "Sqrt"];
const BINARY: [&str; 16] = [
    "Add",
    "And",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "Sub",
    "Xor",
];
const OTHERS: [&str; 22] = [
    "Cast",
    "Concat",
    "ConstantOfShape",
    "CumSum",
    "Expand",
    "Flatten",
    "Gather",
    "NonZero",
    "Range",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "Reshape",
    "Shape",
    "Size",
    "Slice",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// Whether such an operator can be computed at all.
pub(super) fn knows(operator: &str) -> bool {
    UNARY.contains(&operator) || BINARY.contains(&operator) || OTHERS.contains(&operator)
}

/// A node with the values of its inputs.
pub(super) struct Call<'a> {
    pub(super) node: &'a NodeProto,
    pub(super) inputs: &'a [Option<Value>],
    pub(super) opset: i64,
    /// Elements that it may make.
    pub(super) most: usize,
}

impl Call<'_> {
    pub(super) fn input(&self, at: usize) -> Option<&Value> {
        self.inputs.get(at)?.as_ref()
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute_named(name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |one| one.i())
    }

    /// Whole numbers of an input, or in old operator sets of an attribute; `None` where there are neither.
    pub(super) fn list(&self, at: usize, name: &str) -> Option<Vec<i64>> {
        match self.input(at) {
            Some(value) => value.as_whole().map(<[i64]>::to_vec),
            None => self.attribute(name).map(|one| one.ints.clone()),
        }
    }
}

/// The number of elements, if that is few enough.
pub(super) fn count(dims: &[usize], most: usize) -> Option<usize> {
    let all = dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim))?;
    // Dimensions of one element can be any number.
    (all <= most && dims.len() <= 64).then_some(all)
}

/// What the node's one output is.
pub(super) fn output(call: &Call<'_>) -> Option<Value> {
    let first = || call.input(0);
    match call.node.op_type() {
        operator if UNARY.contains(&operator) => elementwise::unary(operator, first()?),
        operator if BINARY.contains(&operator) => elementwise::pairs(call),
        "Where" => elementwise::choose(call),
        "Cast" => cast(first()?, i32::try_from(call.int("to", 0)).ok()?),
        "Shape" => shape(call),
        "Size" => Some(Value::integers(Vec::new(), vec![i64::try_from(first()?.count()).ok()?])),
        "ConstantOfShape" => filled(call),
        "Range" => range(call),
        "NonZero" => non_zero(first()?),
        "CumSum" => running(call),
        "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceSum" => reduce(call),
        _ => places::output(call),
    }
}

/// Numbers in another type, where that is defined: real ones that the whole type holds.
pub(super) fn cast(value: &Value, to: i32) -> Option<Value> {
    let dims = value.dims.clone();
    match (&value.numbers, kind_of(to)?) {
        (Numbers::Whole(numbers), Kind::Whole) => Some(Value::wholes(to, dims, numbers.clone())),
        (Numbers::Real(numbers), Kind::Real) => Some(Value::reals(to, dims, numbers.clone())),
        // FP32 takes it from the whole number itself: on the way through FP64 it would be rounded twice.
        (Numbers::Whole(numbers), Kind::Real) if to == data_type::FLOAT => {
            Some(Value::reals(to, dims, numbers.iter().map(|one| f64::from(*one as f32)).collect()))
        }
        (Numbers::Whole(numbers), Kind::Real) => {
            let exact = numbers.iter().all(|one| one.unsigned_abs() < 1 << 53);
            exact.then(|| Value::reals(to, dims, numbers.iter().map(|one| *one as f64).collect()))
        }
        (Numbers::Real(numbers), Kind::Whole) if to == super::value::BOOL => {
            Some(Value::wholes(to, dims, numbers.iter().map(|one| i64::from(*one != 0.0)).collect()))
        }
        (Numbers::Real(numbers), Kind::Whole) => {
            let fits = |one: &f64| {
                let cut = one.trunc();
                cut.abs() < 9e18 && whole(to, cut as i64) == cut as i64
            };
            let cut = || numbers.iter().map(|one| one.trunc() as i64).collect();
            numbers.iter().all(fits).then(|| Value::wholes(to, dims, cut()))
        }
    }
}

fn shape(call: &Call<'_>) -> Option<Value> {
    let dims = call.input(0)?.dims.iter().map(|dim| i64::try_from(*dim).ok()).collect::<Option<Vec<i64>>>()?;
    let part = dims.get(call.node.stretch(dims.len())).unwrap_or(&[]).to_vec();
    Some(Value::integers(vec![part.len()], part))
}

fn filled(call: &Call<'_>) -> Option<Value> {
    let dims = call.input(0)?.as_whole()?.iter().map(|dim| usize::try_from(*dim).ok()).collect::<Option<Vec<_>>>()?;
    let all = count(&dims, call.most)?;
    let one = match call.attribute("value") {
        Some(attribute) => Value::of(attribute.t.as_ref()?).ok()??,
        None => Value::reals(data_type::FLOAT, vec![1], vec![0.0]),
    };
    (one.count() == 1).then(|| one.picked(dims, std::iter::repeat_n(0, all)))
}

fn range(call: &Call<'_>) -> Option<Value> {
    let (from, to, step) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let alike = [from, to, step].iter().all(|one| one.datatype == from.datatype && one.count() == 1);
    if !alike {
        return None;
    }
    if let (Some(from), Some(to), Some(step)) = (from.number(), to.number(), step.number()) {
        let (gap, step) = (i128::from(to) - i128::from(from), i128::from(step));
        let steps = match step {
            0 => return None,
            // Towards the end, and not beyond.
            step if gap.signum() == step.signum() => usize::try_from((gap.abs() + step.abs() - 1) / step.abs()).ok()?,
            _ => 0,
        };
        let all = count(&[steps], call.most)?;
        let numbers = (0..all).map(|at| i64::try_from(i128::from(from) + step * at as i128).ok()).collect::<Option<Vec<_>>>()?;
        return Some(Value::wholes(call.input(0)?.datatype, vec![all], numbers));
    }
    // Runtimes add up real steps in different ways.
    None
}

/// The places of what is not zero, dimension by dimension.
fn non_zero(value: &Value) -> Option<Value> {
    let yes: Vec<usize> = match &value.numbers {
        Numbers::Whole(numbers) => (0..numbers.len()).filter(|at| numbers[*at] != 0).collect(),
        Numbers::Real(numbers) => (0..numbers.len()).filter(|at| numbers[*at] != 0.0).collect(),
    };
    if value.dims.is_empty() {
        return None;
    }
    let mut numbers = Vec::with_capacity(yes.len() * value.dims.len());
    for axis in 0..value.dims.len() {
        let inner: usize = value.dims[axis + 1..].iter().product();
        for at in &yes {
            numbers.push(i64::try_from(at / inner % value.dims[axis]).ok()?);
        }
    }
    Some(Value::integers(vec![value.dims.len(), yes.len()], numbers))
}

/// Sums along an axis up to each place, of whole numbers.
fn running(call: &Call<'_>) -> Option<Value> {
    let (value, axis) = (call.input(0)?, call.input(1)?.number()?);
    if call.int("exclusive", 0) != 0 || call.int("reverse", 0) != 0 {
        return None;
    }
    let axis = places::axis(axis, value.dims.len())?;
    let inner: usize = value.dims[axis + 1..].iter().product();
    let mut numbers = value.as_whole()?.to_vec();
    for at in 0..numbers.len() {
        if !(at / inner).is_multiple_of(value.dims[axis]) {
            numbers[at] = whole(value.datatype, numbers[at].wrapping_add(numbers[at - inner]));
        }
    }
    Some(Value::wholes(value.datatype, value.dims.clone(), numbers))
}

/// Over axes: sums and products of whole numbers (real ones depend on the order), the greatest and the least of all.
fn reduce(call: &Call<'_>) -> Option<Value> {
    let value = call.input(0)?;
    let rank = value.dims.len();
    let axes = match call.list(1, "axes").filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|at| places::axis(*at, rank)).collect::<Option<Vec<_>>>()?,
        None if call.int("noop_with_empty_axes", 0) != 0 => return Some(value.clone()),
        None => (0..rank).collect(),
    };
    let kept: Vec<usize> = (0..rank).map(|at| if axes.contains(&at) { 1 } else { value.dims[at] }).collect();
    let all = count(&kept, call.most)?;
    if value.count() == 0 {
        return None;
    }
    let strides = strides(&kept);
    let places =
        || layout::places(&value.dims, value.count(), |axis, at| if axes.contains(&axis) { 0 } else { at * strides[axis] });
    let dims = || match call.int("keepdims", 1) {
        0 => (0..rank).filter(|at| !axes.contains(at)).map(|at| value.dims[at]).collect(),
        _ => kept.clone(),
    };
    let operator = call.node.op_type();
    match &value.numbers {
        Numbers::Whole(numbers) => {
            let mut sums: Vec<Option<i64>> = vec![None; all];
            for (place, number) in places().zip(numbers) {
                let sum = &mut sums[place];
                *sum = Some(sum.map_or(*number, |sum| match operator {
                    "ReduceMax" => sum.max(*number),
                    "ReduceMin" => sum.min(*number),
                    "ReduceProd" => whole(value.datatype, sum.wrapping_mul(*number)),
                    _ => whole(value.datatype, sum.wrapping_add(*number)),
                }));
            }
            Some(Value::wholes(value.datatype, dims(), sums.into_iter().collect::<Option<_>>()?))
        }
        Numbers::Real(numbers) => {
            let greatest = match operator {
                "ReduceMax" => true,
                "ReduceMin" => false,
                _ => return None,
            };
            let mut found: Vec<Option<f64>> = vec![None; all];
            for (place, number) in places().zip(numbers) {
                let one = &mut found[place];
                *one = Some(one.map_or(*number, |one| elementwise::extreme(one, *number, greatest)));
            }
            Some(Value::reals(value.datatype, dims(), found.into_iter().collect::<Option<_>>()?))
        }
    }
}
