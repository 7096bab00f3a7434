//! Fewer heads: the weights without the others' parts, and all sizes that count them.

use std::collections::{BTreeMap, HashMap};

use super::walk::{Block, Edit, Weight};
use crate::names::{self, Fresh};
use crate::proto::{GraphProto, TensorProto, data_type};
use crate::rewrite::{Refused, full, lost};
use crate::store::Store;

pub(super) fn initializer(graph: &GraphProto, name: &str) -> Option<usize> {
    graph.initializer.iter().position(|one| one.name() == name)
}

/// Elements of one place along an axis that lie beside each other.
pub(super) fn inner(shape: &[usize], axis: usize) -> usize {
    shape[axis + 1..].iter().product()
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Leaves these heads.
pub(super) fn cut(graph: &mut GraphProto, block: &Block, kept: &[usize], store: &mut Store) -> Result<(), Refused> {
    let mut fresh = Fresh::of(graph);
    let mut shapes: BTreeMap<usize, Vec<(usize, i64)>> = BTreeMap::new();
    for edit in &block.edits {
        match edit {
            Edit::Weight(weight) => cut_weight(graph, weight, (block.heads, kept), (&mut fresh, store))?,
            Edit::Size { node, back, per } => shapes.entry(*node).or_default().push((*back, size(per * kept.len()))),
            Edit::Split { node, per } => split(graph, *node, size(per * kept.len()), &mut fresh),
            Edit::Count { node, attribute } => {
                let all = graph.node[*node].attribute.iter_mut().filter(|one| one.name() == *attribute);
                all.for_each(|one| one.i = Some(size(kept.len())));
            }
        }
    }
    // From the end, so that nodes put in move none that is still to be looked at.
    for (node, entries) in shapes.into_iter().rev() {
        reshape(graph, node, &entries, &mut fresh);
    }
    // What was said of these tensors' shapes is no longer so.
    graph.value_info.retain(|one| !block.lays.contains_key(one.name()));
    Ok(())
}

fn cut_weight(
    graph: &mut GraphProto,
    weight: &Weight,
    (heads, kept): (usize, &[usize]),
    (fresh, store): (&mut Fresh, &mut Store),
) -> Result<(), Refused> {
    let Some(at) = initializer(graph, &weight.name) else { return Ok(()) };
    let tensor = &graph.initializer[at];
    let Some(values) = tensor.fetched().map_err(|error| lost(tensor, &error))? else { return Ok(()) };
    let inner = inner(&tensor.shape(), weight.axis) * weight.block;
    let mut left = Vec::with_capacity(values.len() / heads * kept.len());
    for whole in values.chunks_exact(inner * heads) {
        kept.iter().for_each(|head| left.extend_from_slice(&whole[head * inner..][..inner]));
    }
    let mut dims = tensor.dims.clone();
    dims[weight.axis] = dims[weight.axis] / size(heads) * size(kept.len());
    let shared = names::uses(graph).get(&weight.name).is_some_and(|uses| *uses > 1);
    let name = if shared { fresh.name(&format!("{}_heads", weight.name)) } else { weight.name.clone() };
    let made = store.keep(TensorProto::of_floats(name.clone(), dims, &left)).map_err(|error| full(&error))?;
    if shared {
        graph.initializer.push(made);
        graph.node[weight.node].input[weight.slot] = name;
    } else {
        graph.initializer[at] = made;
    }
    Ok(())
}

fn integers(name: String, values: &[i64]) -> TensorProto {
    let raw = values.iter().flat_map(|one| one.to_le_bytes()).collect();
    TensorProto::of_bytes(name, data_type::INT64, vec![size(values.len())], raw)
}

fn split(graph: &mut GraphProto, node: usize, part: i64, fresh: &mut Fresh) {
    let parts = vec![part; graph.node[node].output.len()];
    if graph.node[node].input_at(1).is_some() {
        let name = fresh.name(&format!("{}_heads", graph.node[node].input[1]));
        graph.initializer.push(integers(name.clone(), &parts));
        graph.node[node].input[1] = name;
    } else {
        graph.node[node].attribute.iter_mut().filter(|one| one.name() == "split").for_each(|one| one.ints.clone_from(&parts));
    }
}

/// Gives a Reshape a shape of its own with other entries; others may read the old one.
fn reshape(graph: &mut GraphProto, node: usize, entries: &[(usize, i64)], fresh: &mut Fresh) {
    let old = graph.node[node].input[1].clone();
    let base = format!("{old}_heads");
    let changed = |tensor: &TensorProto, entries: &[(usize, i64)], name: String| {
        let mut values = tensor.integers()?;
        for (back, value) in entries {
            let at = values.len().checked_sub(*back)?;
            values[at] = *value;
        }
        Some(integers(name, &values))
    };
    if let Some(at) = initializer(graph, &old) {
        let name = fresh.name(&base);
        if let Some(tensor) = changed(&graph.initializer[at], entries, name.clone()) {
            graph.initializer.push(tensor);
            graph.node[node].input[1] = name;
        }
        return;
    }
    let Some(concat) = graph.node.iter().position(|one| one.output.first() == Some(&old)) else { return };
    let mut own = graph.node[concat].clone();
    let lengths: HashMap<&str, usize> =
        graph.initializer.iter().filter(|one| one.dims.len() == 1).map(|one| (one.name(), one.count().unwrap_or(1))).collect();
    let mut end = 0;
    let mut made = Vec::new();
    for slot in (0..own.input.len()).rev() {
        // What a run computes is one entry, or lies before all that change.
        let length = lengths.get(own.input[slot].as_str()).copied().unwrap_or(1);
        let here: Vec<(usize, i64)> = entries
            .iter()
            .filter(|(back, _)| (end + 1..=end + length).contains(back))
            .map(|(back, value)| (back - end, *value))
            .collect();
        end += length;
        let tensor = initializer(graph, &own.input[slot]).filter(|_| !here.is_empty());
        if let Some(tensor) = tensor {
            let name = fresh.name(&format!("{}_heads", own.input[slot]));
            made.extend(changed(&graph.initializer[tensor], &here, name.clone()));
            own.input[slot] = name;
        }
    }
    graph.initializer.extend(made);
    let name = fresh.name(&base);
    own.output = vec![name.clone()];
    own.name = Some(fresh.name(&format!("{}_heads", own.name())));
    graph.node[node].input[1] = name;
    graph.node.insert(node, own);
}
