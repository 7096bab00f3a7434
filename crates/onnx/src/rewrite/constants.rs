//! `Constant` nodes as initializers: where weights are looked for.

use bytes::Bytes;

use crate::names;
use crate::proto::{GraphProto, NodeProto, TensorProto, data_type};

pub(super) fn rewrite(graph: &mut GraphProto) -> usize {
    let fixed = names::fixed(graph);
    let mut made = Vec::new();
    graph.node.retain(|node| {
        // What is an output stays a node: an initializer that is one is not understood everywhere.
        let tensor = value(node).filter(|tensor| !fixed.contains(tensor.name()));
        let stays = tensor.is_none();
        made.extend(tensor);
        stays
    });
    let count = made.len();
    graph.initializer.extend(made);
    count
}

/// The tensor of a `Constant`, named as its output; `None` for another node, and for sparse values.
fn value(node: &NodeProto) -> Option<TensorProto> {
    let ([attribute], [name]) = (&*node.attribute, &*node.output) else { return None };
    if !node.is("Constant") {
        return None;
    }
    let name = name.clone();
    let dims = |count: usize| vec![i64::try_from(count).unwrap_or(i64::MAX)];
    let integers = |values: &[i64], dims| {
        let raw = values.iter().flat_map(|one| one.to_le_bytes()).collect();
        TensorProto::of_bytes(name.clone(), data_type::INT64, dims, raw)
    };
    Some(match attribute.name() {
        "value" => TensorProto { name: Some(name), ..attribute.t.clone()? },
        "value_float" => TensorProto::of_floats(name, Vec::new(), &[attribute.f()]),
        "value_floats" => TensorProto::of_floats(name, dims(attribute.floats.len()), &attribute.floats),
        "value_int" => integers(&[attribute.i()], Vec::new()),
        "value_ints" => integers(&attribute.ints, dims(attribute.ints.len())),
        "value_string" => strings(name, Vec::new(), &[Bytes::copy_from_slice(attribute.s())]),
        "value_strings" => strings(name, dims(attribute.strings.len()), &attribute.strings),
        _ => return None,
    })
}

fn strings(name: String, dims: Vec<i64>, values: &[Bytes]) -> TensorProto {
    let data_type = Some(data_type::STRING);
    TensorProto { name: Some(name), data_type, dims, string_data: values.to_vec(), ..TensorProto::default() }
}
