//! Sizes of dimensions that are the same in every run: of what the file fixes, though the tensor itself comes with the run.

use std::collections::HashMap;

use super::value::Value;
use crate::proto::{GraphProto, NodeProto};

/// Every `Shape` and `Size`, and what is picked out of a shape, where the sizes are known.
pub(super) fn sizes(graph: &GraphProto, opset: i64) -> HashMap<&str, Value> {
    let known = crate::lint::known(graph, opset);
    let constants: HashMap<&str, Vec<i64>> =
        graph.initializer.iter().filter_map(|one| Some((one.name(), one.integers()?))).collect();
    let numbers: HashMap<&str, bool> = graph.initializer.iter().map(|one| (one.name(), one.dims.is_empty())).collect();
    let mut shapes: HashMap<&str, Vec<Option<i64>>> = HashMap::new();
    let mut found = HashMap::new();
    for node in graph.node.iter().filter(|node| matches!(node.domain(), "" | "ai.onnx")) {
        let ([output], Some(input)) = (&*node.output, node.input_at(0)) else { continue };
        let picked = match node.op_type() {
            "Shape" => {
                let Some(shape) = known.get(input).and_then(|known| known.shape.as_ref()) else { continue };
                // Some exporters write 0 for what they do not know.
                let sizes: Vec<Option<i64>> = shape.iter().map(|dim| dim.filter(|size| *size > 0)).collect();
                Some((sizes.get(node.stretch(sizes.len())).unwrap_or(&[]).to_vec(), false))
            }
            "Size" => {
                let shape = known.get(input).and_then(|known| known.shape.as_ref());
                let all = shape
                    .and_then(|shape| shape.iter().try_fold(1_i64, |all, dim| all.checked_mul(dim.filter(|size| *size > 0)?)));
                all.map(|all| (vec![Some(all)], true))
            }
            "Gather" => {
                let places = node.input_at(1).and_then(|name| Some((constants.get(name)?, *numbers.get(name)?)));
                let along = node.attribute_named("axis").is_none_or(|one| one.i() == 0);
                match (shapes.get(input), places) {
                    (Some(shape), Some((places, number))) if along => {
                        gathered(shape, places).filter(|_| !number || places.len() == 1).map(|sizes| (sizes, number))
                    }
                    _ => None,
                }
            }
            "Slice" => shapes.get(input).and_then(|shape| sliced(node, shape, &constants)).map(|sizes| (sizes, false)),
            _ => None,
        };
        let Some((sizes, number)) = picked else { continue };
        if let Some(all) = sizes.iter().copied().collect::<Option<Vec<i64>>>() {
            let dims = if number { Vec::new() } else { vec![all.len()] };
            found.insert(output.as_str(), Value::integers(dims, all));
        }
        if !number {
            shapes.insert(output, sizes);
        }
    }
    found
}

fn gathered(sizes: &[Option<i64>], places: &[i64]) -> Option<Vec<Option<i64>>> {
    let end = i64::try_from(sizes.len()).ok()?;
    let size = |at: &i64| sizes.get(usize::try_from(if *at < 0 { at.checked_add(end)? } else { *at }).ok()?).copied();
    places.iter().map(size).collect()
}

/// A slice of one dimension, step by step forwards.
fn sliced(node: &NodeProto, sizes: &[Option<i64>], constants: &HashMap<&str, Vec<i64>>) -> Option<Vec<Option<i64>>> {
    let list = |at: usize, name: &str| match node.input_at(at) {
        Some(input) => constants.get(input).cloned(),
        None => node.attribute_named(name).map(|one| one.ints.clone()),
    };
    let ([from], [to]) = (&*list(1, "starts")?, &*list(2, "ends")?) else { return None };
    let plain = |at: usize, wanted: &[i64]| match node.input_at(at) {
        Some(input) => constants.get(input).is_some_and(|found| wanted.contains(found.first().unwrap_or(&i64::MIN))),
        None => true,
    };
    if !plain(3, &[0, -1]) || !plain(4, &[1]) {
        return None;
    }
    let end = i64::try_from(sizes.len()).ok()?;
    let place = |at: i64| usize::try_from(if at < 0 { at.saturating_add(end) } else { at }.clamp(0, end)).unwrap_or(0);
    Some(sizes.get(place(*from)..place(*to)).unwrap_or(&[]).to_vec())
}
