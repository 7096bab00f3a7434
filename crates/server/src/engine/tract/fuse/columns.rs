//! Columns of one table, each encoded by itself and put side by side again.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto};

use super::{Ground, own};
use crate::engine::onnx::attributes::Attributes;
use crate::engine::onnx::view::{body, int, ints, is};
use crate::engine::tract::ops::ENCODED_COLUMNS;

/// One column's way: which it is, whether it becomes INT64 first, and its encoder.
struct Way<'a> {
    input: &'a String,
    column: i64,
    whole: bool,
    encoder: &'a NodeProto,
}

/// `Concat` of columns that an encoder each has gone over: of one-hot encoders with the `Reshape` behind it that drops their dimension.
pub(super) fn encoded(ground: &Ground<'_>, end: &NodeProto) -> Option<NodeProto> {
    let view = &ground.view;
    let (concat, width) = if is(end, "ai.onnx", "Reshape") {
        let [table, shape] = &*end.input else { return None };
        let [-1, width] = view.integers(shape)?[..] else { return None };
        (view.maker(table, "ai.onnx", "Concat")?, Some(width).filter(|width| *width > 0)?)
    } else if is(end, "ai.onnx", "Concat") {
        (end, 0)
    } else {
        return None;
    };
    let hot = width > 0;
    let axis = Attributes::of(concat).int("axis", 0);
    if !(axis == Ok(-1) || axis == Ok(if hot { 2 } else { 1 })) {
        return None;
    }
    let ways = concat.input.iter().map(|value| way(ground, value, hot)).collect::<Option<Vec<_>>>()?;
    let input = ways.first()?.input;
    if !ground.is_table(input) || ways.iter().any(|way| way.input != input) {
        return None;
    }
    let encoders = GraphProto { node: ways.iter().map(|way| way.encoder.clone()).collect(), ..GraphProto::default() };
    let attributes = vec![
        ints("columns", ways.iter().map(|way| way.column).collect()),
        int("width", width),
        ints("whole", ways.iter().map(|way| i64::from(way.whole)).collect()),
        body("encoders", encoders),
    ];
    own(ENCODED_COLUMNS, input, end, attributes)
}

fn way<'a>(ground: &'a Ground<'_>, value: &str, hot: bool) -> Option<Way<'a>> {
    let view = &ground.view;
    let encoder = if hot {
        view.maker(value, "ai.onnx.ml", "OneHotEncoder")?
    } else {
        let [codes, shape] = view.made(value, "ai.onnx", "Reshape")? else { return None };
        (view.integers(shape)? == [-1, 1]).then(|| view.maker(codes, "ai.onnx.ml", "LabelEncoder")).flatten()?
    };
    let [read] = &*encoder.input else { return None };
    let cast = view.maker(read, "ai.onnx", "Cast");
    let whole = match cast {
        Some(cast) if Attributes::of(cast).int("to", 0) == Ok(DataType::Int64 as i64) => true,
        Some(_) => return None,
        None => false,
    };
    let read = if let Some(cast) = cast { cast.input.first()? } else { read };
    let column = view.maker(read, "ai.onnx.ml", "ArrayFeatureExtractor").or_else(|| {
        // By Gather a scalar would leave out the dimension.
        let gather = view.maker(read, "ai.onnx", "Gather").filter(|node| Attributes::of(node).int("axis", 0) == Ok(1))?;
        (view.tensor(gather.input.get(1)?)?.dims == [1]).then_some(gather)
    })?;
    let [input, at] = &*column.input else { return None };
    Some(Way { input, column: view.integer(at)?, whole, encoder })
}
