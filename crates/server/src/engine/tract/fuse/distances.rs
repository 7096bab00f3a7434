//! Distances to fixed points: what nearest neighbours, naive Bayes and kernels of Gaussian processes begin with.

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::{Ground, own};
use crate::engine::onnx::attributes::Attributes;
use crate::engine::onnx::values::Values;
use crate::engine::onnx::view::{View, int, is, tensor};
use crate::engine::tract::ops::{DOMAIN, NEAREST, SQUARED_DISTANCES};

/// skl2onnx's `cdist`: a `Scan` over fixed points whose body takes the point off every row and sums the squares, its answer transposed.
pub(super) fn between_rows(ground: &Ground<'_>, end: &NodeProto) -> Option<NodeProto> {
    let (view, [by_point]) = (&ground.view, &*end.input) else { return None };
    if !is(end, "ai.onnx", "Transpose") || Attributes::of(end).ints("perm") != Ok(&[1, 0]) {
        return None;
    }
    let scan = view.maker(by_point, "ai.onnx", "Scan")?;
    let [rows, points] = &*scan.input else { return None };
    let attributes = Attributes::of(scan);
    let plain = attributes.int("num_scan_inputs", 0) == Ok(1) && scan.attribute.len() == 2;
    let body = scan.attribute.iter().find(|attribute| attribute.name == "body")?.g.as_ref()?;
    if !plain || scan.output.get(1) != Some(by_point) || !sums_squares(body) {
        return None;
    }
    own(SQUARED_DISTANCES, rows, end, vec![tensor("points", table(view, points)?)])
}

/// Whether a body's second output is the sum over columns of the squares of the first input less the second.
fn sums_squares(body: &GraphProto) -> bool {
    let view = View::of(body);
    let found = || {
        let ([rows, point], [_, answer]) = (&*body.input, &*body.output) else { return None };
        let [sum] = view.made(&answer.name, "ai.onnx", "Identity")? else { return None };
        let reduce = view.maker(sum, "ai.onnx", "ReduceSumSquare")?;
        let over_columns = view.axes(reduce)? == [1] && Attributes::of(reduce).int("keepdims", 1) == Ok(0);
        let apart = view.made(reduce.input.first()?, "ai.onnx", "Sub")?;
        let both = [&rows.name, &point.name];
        (over_columns && (apart.iter().eq(both) || apart.iter().rev().eq(both))).then_some(())
    };
    found().is_some()
}

/// A constant of two dimensions.
fn table(view: &View<'_>, name: &str) -> Option<TensorProto> {
    view.tensor(name).filter(|tensor| tensor.dims.len() == 2).cloned()
}

/// Naive Bayes' sum of `(x - mean)^2 / variance` for each class.
pub(super) fn scaled(ground: &Ground<'_>, end: &NodeProto) -> Option<NodeProto> {
    if !is(end, "ai.onnx", "ReduceSum") || Attributes::of(end).int("keepdims", 1) != Ok(0) {
        return None;
    }
    let view = &ground.view;
    if !matches!(view.axes(end)?[..], [2 | -1]) {
        return None;
    }
    let [squares, variances] = view.made(end.input.first()?, "ai.onnx", "Div")? else { return None };
    let [apart, exponent] = view.made(squares, "ai.onnx", "Pow")? else { return None };
    let [rows, means] = view.made(apart, "ai.onnx", "Sub")? else { return None };
    let [input, shape] = view.made(rows, "ai.onnx", "Reshape")? else { return None };
    let two = match Values::of(view.tensor(exponent)?).ok()? {
        Values::Floats(all) => all == [2.0],
        Values::Doubles(all) => all == [2.0],
        Values::Ints(all) => all == [2],
        _ => false,
    };
    let (points, variances) = (per_class(view, means)?, per_class(view, variances)?);
    let spread = view.integers(shape)? == [-1, 1, points.dims[1]];
    if !two || !spread || points.dims != variances.dims {
        return None;
    }
    own(SQUARED_DISTANCES, input, end, vec![tensor("points", points), tensor("variances", variances)])
}

/// A constant of `[1, classes, columns]` as `[classes, columns]`.
fn per_class(view: &View<'_>, name: &str) -> Option<TensorProto> {
    let tensor = view.tensor(name)?;
    let [1, classes, columns] = tensor.dims[..] else { return None };
    Some(TensorProto { dims: vec![classes, columns], ..tensor.clone() })
}

/// The least of such distances, with where they are: they need not all be kept.
pub(super) fn nearest(ground: &Ground<'_>, end: &NodeProto) -> Option<NodeProto> {
    if !is(end, "ai.onnx", "TopK") {
        return None;
    }
    let (view, attributes) = (&ground.view, Attributes::of(end));
    let order = (attributes.int("axis", -1), attributes.int("largest", 1), attributes.int("sorted", 1));
    let [values, count] = &*end.input else { return None };
    if !matches!(order, (Ok(-1 | 1), Ok(0), Ok(1))) {
        return None;
    }
    let root = view.made(values, "ai.onnx", "Sqrt").and_then(<[String]>::first);
    let distances = view.maker(root.unwrap_or(values), DOMAIN, SQUARED_DISTANCES)?;
    // With variances the distances are few, and of classes.
    let [points] = &*distances.attribute else { return None };
    let attributes = vec![points.clone(), int("count", view.integer(count)?), int("root", i64::from(root.is_some()))];
    own(NEAREST, distances.input.first()?, end, attributes)
}
