//! What operators make of types and shapes, as their definitions say (ONNX, "Operators"). Of operators that are not here nothing is known,
//! nor of what depends on values that are not in the file.

use super::shapes::{Dim, Known, broadcast, shown};
use crate::proto::{AttributeProto, NodeProto, TensorProto, data_type};

const SAME: [&str; 36] = [
    "Abs",
    "Acos",
    "Asin",
    "Atan",
    "Celu",
    "Ceil",
    "Clip",
    "Cos",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "Mish",
    "Neg",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tanh",
    "BatchNormalization",
];
const PAIRS: [&str; 7] = ["Add", "Sub", "Mul", "Div", "PRelu", "Max", "Min"];
const COMPARISONS: [&str; 8] = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor"];
const BOOL: i32 = 9;

/// A node with what is known of its inputs.
pub(super) struct Call<'a> {
    pub(super) node: &'a NodeProto,
    pub(super) inputs: Vec<Known>,
    /// Constants of the file, by input.
    pub(super) constants: Vec<Option<&'a TensorProto>>,
    pub(super) opset: i64,
}

/// What its outputs are; fewer where nothing is known of the others.
///
/// # Errors
/// What of its inputs does not fit together.
pub(super) fn outputs(call: &Call<'_>) -> Result<Vec<Known>, String> {
    let Some(first) = call.inputs.first() else { return Ok(Vec::new()) };
    let operator = call.node.op_type();
    super::windows::check(call)?;
    let whole = |known: Known| Ok(vec![known]);
    match operator {
        _ if SAME.contains(&operator) => whole(first.clone()),
        _ if PAIRS.contains(&operator) => whole(Known { datatype: call.same_types()?, shape: call.broadcast()? }),
        "Where" => whole(Known { datatype: call.input(1).datatype, shape: call.broadcast()? }),
        "Pow" => whole(Known { datatype: first.datatype, shape: call.broadcast()? }),
        _ if COMPARISONS.contains(&operator) => whole(Known { datatype: BOOL, shape: call.broadcast()? }),
        "Cast" => whole(Known { datatype: i32::try_from(call.int("to", 0)).unwrap_or(0), shape: first.shape.clone() }),
        "MatMul" => whole(Known { datatype: call.same_types()?, shape: call.product()? }),
        "MatMulInteger" => whole(Known { datatype: data_type::INT32, shape: call.product()? }),
        "Gemm" => whole(Known { datatype: call.same_types()?, shape: call.gemm()? }),
        "Conv" => whole(Known { datatype: first.datatype, shape: call.window(true)? }),
        "MaxPool" | "AveragePool" | "LpPool" => whole(Known { datatype: first.datatype, shape: call.window(false)? }),
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let ones = |shape: &Vec<Dim>| shape.iter().enumerate().map(|(at, dim)| if at < 2 { *dim } else { Some(1) }).collect();
            whole(Known { datatype: first.datatype, shape: first.shape.as_ref().map(ones) })
        }
        "QuantizeLinear" => {
            let zero = call.input(2).datatype;
            whole(Known { datatype: if zero == 0 { call.chosen(data_type::UINT8) } else { zero }, shape: first.shape.clone() })
        }
        "DequantizeLinear" => whole(Known { datatype: call.input(1).datatype, shape: first.shape.clone() }),
        "DynamicQuantizeLinear" => Ok(vec![
            Known { datatype: data_type::UINT8, shape: first.shape.clone() },
            Known::new(data_type::FLOAT, Vec::new()),
            Known::new(data_type::UINT8, Vec::new()),
        ]),
        "Shape" if call.node.attribute.is_empty() => {
            let rank = first.shape.as_ref().and_then(|shape| i64::try_from(shape.len()).ok());
            whole(Known::new(data_type::INT64, vec![rank]))
        }
        "Flatten" => whole(Known { datatype: first.datatype, shape: call.flatten()? }),
        "Reshape" => whole(Known { datatype: first.datatype, shape: call.reshape()? }),
        "Transpose" => whole(Known { datatype: first.datatype, shape: call.transpose()? }),
        "Concat" => whole(Known { datatype: call.same_types()?, shape: call.concat()? }),
        _ => super::indexing::outputs(call),
    }
}

fn product(dims: &[Dim]) -> Dim {
    dims.iter().try_fold(1_i64, |all, dim| all.checked_mul((*dim)?))
}

impl Call<'_> {
    pub(super) fn input(&self, at: usize) -> Known {
        self.inputs.get(at).cloned().unwrap_or_default()
    }

    pub(super) fn shape(&self, at: usize) -> Option<&Vec<Dim>> {
        self.inputs.get(at)?.shape.as_ref()
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute_named(name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |one| one.i())
    }

    fn chosen(&self, default: i32) -> i32 {
        i32::try_from(self.int("output_dtype", 0)).ok().filter(|one| *one != 0).unwrap_or(default)
    }

    /// The data type that all inputs have.
    fn same_types(&self) -> Result<i32, String> {
        let mut known = self.inputs.iter().map(|one| one.datatype).filter(|one| *one != 0);
        let first = known.next().unwrap_or(0);
        match known.find(|one| *one != first) {
            Some(other) => {
                let (first, other) = (super::shapes::datatype(first), super::shapes::datatype(other));
                Err(format!("inputs: data types {first} and {other}; expected one"))
            }
            None => Ok(first),
        }
    }

    fn broadcast(&self) -> Result<Option<Vec<Dim>>, String> {
        // Before version 7 they broadcast in another way.
        let shapes = self.inputs.iter().map(|one| one.shape.as_ref()).collect::<Option<Vec<_>>>().filter(|_| self.opset >= 7);
        let Some(shapes) = shapes else { return Ok(None) };
        let all = shapes.iter().try_fold(Vec::new(), |all, shape| broadcast(&all, shape));
        all.map(Some).map_err(|what| format!("inputs: {what}"))
    }

    fn product(&self) -> Result<Option<Vec<Dim>>, String> {
        let (Some(a), Some(b)) = (self.shape(0), self.shape(1)) else { return Ok(None) };
        let (Some(inner), Some(other)) = (a.last(), b.get(b.len().saturating_sub(2))) else {
            return Err("inputs: a number is no matrix; expected one dimension or more".to_owned());
        };
        agree(("input[0]", a, *inner), ("input[1]", b, *other))?;
        let mut shape = broadcast(&a[..a.len().saturating_sub(2)], &b[..b.len().saturating_sub(2)])
            .map_err(|what| format!("inputs: {what}"))?;
        if a.len() > 1 {
            shape.push(a[a.len() - 2]);
        }
        if b.len() > 1 {
            shape.push(b[b.len() - 1]);
        }
        Ok(Some(shape))
    }

    fn gemm(&self) -> Result<Option<Vec<Dim>>, String> {
        let (Some(a), Some(b)) = (self.shape(0), self.shape(1)) else { return Ok(None) };
        let ([a0, a1], [b0, b1]) = (a.as_slice(), b.as_slice()) else {
            return Err(format!("inputs: shapes {} and {}; expected two dimensions each", shown(a), shown(b)));
        };
        let turned = |name: &str, first: Dim, second: Dim| if self.int(name, 0) == 0 { (first, second) } else { (second, first) };
        let ((rows, inner), (other, columns)) = (turned("transA", *a0, *a1), turned("transB", *b0, *b1));
        agree(("input[0]", a, inner), ("input[1]", b, other))?;
        let shape = vec![rows, columns];
        if let Some(c) = self.shape(2).filter(|_| self.opset >= 7) {
            let all = broadcast(&shape, c).map_err(|what| format!("input[2]: {what}"))?;
            if all.len() > 2 || all.iter().zip(&shape).any(|(all, own)| own.is_some() && all != own) {
                return Err(format!("input[2]: shape {} does not broadcast to {}", shown(c), shown(&shape)));
            }
        }
        Ok(Some(shape))
    }

    /// A convolution or a pool: a window that goes over the dimensions from the third on.
    fn window(&self, convolves: bool) -> Result<Option<Vec<Dim>>, String> {
        let Some(input) = self.shape(0) else { return Ok(None) };
        let list = |name: &str| self.attribute(name).map(|one| one.ints.clone());
        let (window, channels) = if convolves {
            let Some(kernel) = self.shape(1) else { return Ok(None) };
            if kernel.len() != input.len() || kernel.len() < 3 {
                return Err(format!(
                    "input[1]: shape {} beside an input of shape {}; expected as many dimensions, 3 or more",
                    shown(kernel),
                    shown(input)
                ));
            }
            let wanted = kernel[1].and_then(|one| one.checked_mul(self.int("group", 1)));
            if let (Some(found), Some(wanted)) = (input[1], wanted)
                && found != wanted
            {
                return Err(format!(
                    "input[0]: {found} channels; the kernel {} with group {} reads {wanted}",
                    shown(kernel),
                    self.int("group", 1)
                ));
            }
            let sizes: Vec<Dim> = kernel[2..].to_vec();
            if let Some(told) = list("kernel_shape")
                && (told.len() != sizes.len()
                    || told.iter().zip(&sizes).any(|(told, size)| size.is_some_and(|size| size != *told)))
            {
                return Err(format!("attribute 'kernel_shape': {told:?}; the kernel has {}", shown(&sizes)));
            }
            (sizes, kernel[0])
        } else {
            let Some(told) = list("kernel_shape") else { return Ok(None) };
            if input.len() != told.len() + 2 {
                return Err(format!("attribute 'kernel_shape': {told:?} beside an input of shape {}", shown(input)));
            }
            (told.into_iter().map(Some).collect(), input[1])
        };
        let rank = window.len();
        let (strides, dilations, pads) = (list("strides"), list("dilations"), list("pads"));
        let fits = |found: &Option<Vec<i64>>, wanted: usize| found.as_ref().is_none_or(|found| found.len() == wanted);
        // Where pads are not read they may be of any length.
        if !fits(&strides, rank) || !fits(&dilations, rank) || !fits(&pads, 2 * rank) {
            return Ok(None);
        }
        let entry = |found: &Option<Vec<i64>>, at: usize, default: i64| found.as_ref().map_or(default, |found| found[at]);
        let automatic = self.attribute("auto_pad").map_or(b"NOTSET".as_slice(), |one| one.s());
        let mut shape = vec![input[0], channels];
        for (at, size) in window.iter().enumerate() {
            let stride = entry(&strides, at, 1).max(1);
            let around = entry(&pads, at, 0).saturating_add(entry(&pads, at + rank, 0));
            let reach = size.and_then(|size| size.checked_sub(1)?.checked_mul(entry(&dilations, at, 1))?.checked_add(1));
            let steps = |length: i64, reach: i64| {
                if self.int("ceil_mode", 0) == 0 { length.saturating_sub(reach).div_euclid(stride).saturating_add(1) } else { 0 }
            };
            shape.push(
                match (automatic, input[at + 2], reach) {
                    (b"SAME_UPPER" | b"SAME_LOWER", Some(length), _) => Some(length.saturating_add(stride - 1) / stride),
                    (b"NOTSET" | b"", Some(length), Some(reach)) => Some(steps(length.saturating_add(around), reach)),
                    (b"VALID", Some(length), Some(reach)) => Some(steps(length, reach)),
                    _ => None,
                }
                .filter(|size| *size > 0),
            );
        }
        Ok(Some(shape))
    }

    fn flatten(&self) -> Result<Option<Vec<Dim>>, String> {
        let Some(input) = self.shape(0) else { return Ok(None) };
        let at = axis(self.int("axis", 1), input.len() + 1).map_err(|what| format!("attribute 'axis': {what}"))?;
        Ok(Some(vec![product(&input[..at]), product(&input[at..])]))
    }

    fn reshape(&self) -> Result<Option<Vec<Dim>>, String> {
        let Some(told) = self.constants.get(1).copied().flatten().and_then(|one| one.integers()) else {
            return Ok(super::indexing::sized(self, 1));
        };
        if told.iter().filter(|one| **one == -1).count() > 1 || told.iter().any(|one| *one < -1) {
            return Err(format!("input[1]: {told:?}; expected sizes, and -1 at most once"));
        }
        let input = self.shape(0);
        let copied = self.int("allowzero", 0) == 0;
        let mut shape: Vec<Dim> = Vec::with_capacity(told.len());
        for (at, size) in told.iter().enumerate() {
            shape.push(match (*size, input) {
                (0, Some(input)) if copied => match input.get(at) {
                    Some(dim) => *dim,
                    None => {
                        return Err(format!("input[1]: {told:?} copies dimension {at} of an input of shape {}", shown(input)));
                    }
                },
                (0, None) if copied => None,
                (-1, _) => None,
                (size, _) => Some(size),
            });
        }
        let all = self.inputs.first().and_then(Known::count);
        if let (Some(all), Some(open)) = (all, told.iter().position(|one| *one == -1)) {
            let others =
                product(&shape.iter().enumerate().filter(|(at, _)| *at != open).map(|(_, dim)| *dim).collect::<Vec<_>>());
            if let Some(others) = others.filter(|others| *others > 0) {
                if all % others != 0 {
                    return Err(format!("input[1]: {told:?} cannot hold the {all} elements of the input"));
                }
                shape[open] = Some(all / others);
            }
        } else if let (Some(all), Some(wanted)) = (all, product(&shape))
            && all != wanted
        {
            return Err(format!("input[1]: {told:?} cannot hold the {all} elements of the input"));
        }
        Ok(Some(shape))
    }

    fn transpose(&self) -> Result<Option<Vec<Dim>>, String> {
        let order = self.attribute("perm").map(|one| &one.ints);
        let Some(input) = self.shape(0) else { return Ok(order.map(|order| vec![None; order.len()])) };
        let Some(order) = order else { return Ok(Some(input.iter().rev().copied().collect())) };
        let dim = |at: &i64| usize::try_from(*at).ok().and_then(|at| input.get(at)).copied();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        sorted.dedup();
        match order.iter().map(dim).collect::<Option<Vec<_>>>() {
            Some(shape) if sorted.len() == input.len() && order.len() == input.len() => Ok(Some(shape)),
            _ => Err(format!("attribute 'perm': {order:?} is no order of the dimensions of {}", shown(input))),
        }
    }

    fn concat(&self) -> Result<Option<Vec<Dim>>, String> {
        let shapes = self.inputs.iter().map(|one| one.shape.as_ref()).collect::<Option<Vec<_>>>();
        let (Some(shapes), Some(given)) = (shapes, self.attribute("axis")) else { return Ok(None) };
        let along = axis(given.i(), shapes[0].len()).map_err(|what| format!("attribute 'axis': {what}"))?;
        let mut all = shapes[0].clone();
        for shape in &shapes[1..] {
            let fits = |at: usize| at == along || all[at].is_none() || shape[at].is_none() || all[at] == shape[at];
            if shape.len() != all.len() || !(0..all.len()).all(fits) {
                return Err(format!("inputs: shapes {} and {} do not go together along axis {along}", shown(&all), shown(shape)));
            }
            for (at, dim) in shape.iter().enumerate() {
                all[at] = if at == along { all[at].and_then(|one| one.checked_add((*dim)?)) } else { all[at].or(*dim) };
            }
        }
        Ok(Some(all))
    }
}

/// Two sizes that are to be one.
fn agree((name, shape, size): (&str, &[Dim], Dim), (other, second, wanted): (&str, &[Dim], Dim)) -> Result<(), String> {
    match (size, wanted) {
        (Some(size), Some(wanted)) if size != wanted => Err(format!(
            "{name} of shape {} gives {size} numbers to {other} of shape {}, which takes {wanted}",
            shown(shape),
            shown(second)
        )),
        _ => Ok(()),
    }
}

/// An axis that may count from the end.
pub(super) fn axis(given: i64, rank: usize) -> Result<usize, String> {
    let size = i64::try_from(rank).unwrap_or(i64::MAX);
    let at = if given < 0 { given.saturating_add(size) } else { given };
    usize::try_from(at).ok().filter(|at| *at < rank).ok_or_else(|| format!("{given}; expected -{rank} to {}", size - 1))
}
