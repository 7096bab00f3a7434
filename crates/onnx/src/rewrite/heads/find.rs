//! Where a graph has attention: what a product gives whose first factor is a Softmax, or one of the operators that do it all.

use std::collections::HashMap;

use super::sizes::{Size, sizes};
use super::walk::{Lay, View, Walk, Why, shown};
use crate::proto::{GraphProto, NodeProto};

/// An attention, by the node that gives what its heads found.
pub(super) struct Seed {
    pub(super) name: String,
    pub(super) output: String,
    node: usize,
}

/// Nodes on the way from a Softmax to the product that change none of its dimensions.
const BETWEEN: [&str; 5] = ["Cast", "Dropout", "Identity", "Mul", "Where"];

/// How far the way from one node to another is looked at.
pub(super) const FAR: usize = 32;

/// Who reads each tensor.
pub(super) fn readers(graph: &GraphProto) -> HashMap<&str, Vec<usize>> {
    let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        for name in &node.input {
            let all = readers.entry(name).or_default();
            if all.last() != Some(&at) {
                all.push(at);
            }
        }
    }
    readers
}

/// Whether a node does attention as a whole.
pub(super) fn is_fused(node: &NodeProto) -> bool {
    node.is("Attention") || (node.domain() == "com.microsoft" && matches!(node.op_type(), "Attention" | "MultiHeadAttention"))
}

/// All attentions of the outermost graph, in their order.
pub(super) fn seeds(graph: &GraphProto) -> Vec<Seed> {
    let makers: HashMap<&str, &NodeProto> =
        graph.node.iter().flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node))).collect();
    let weighs = |node: &NodeProto| {
        let [weights, values] = &*node.input else { return false };
        node.is("MatMul") && makers.contains_key(values.as_str()) && from_softmax(&makers, weights)
    };
    let nodes = graph.node.iter().enumerate().filter(|(_, node)| is_fused(node) || weighs(node));
    let seed = |(at, node): (usize, &NodeProto)| {
        Some(Seed { name: node.label().to_owned(), output: node.output.first()?.clone(), node: at })
    };
    nodes.filter_map(seed).collect()
}

fn from_softmax(makers: &HashMap<&str, &NodeProto>, name: &str) -> bool {
    let mut open = vec![name];
    for _ in 0..FAR {
        let Some(node) = open.pop().and_then(|name| makers.get(name)) else { continue };
        if node.is("Softmax") {
            return true;
        }
        if BETWEEN.iter().any(|one| node.is(one)) {
            let data = if node.is("Where") { 1..3 } else { 0..1 };
            open.extend(node.input.get(data).unwrap_or(&[]).iter().map(String::as_str));
        }
    }
    false
}

impl Seed {
    /// How many heads it has.
    pub(super) fn count(&self, view: &View<'_>) -> Result<usize, Why> {
        let node = &view.graph.node[self.node];
        if is_fused(node) {
            return counted(node);
        }
        // Those of its values, which a Reshape tells apart.
        let mut name = node.input.get(1).map_or("", String::as_str);
        let mut back = 3;
        for _ in 0..FAR {
            let Some(maker) = view.makers.get(name).map(|at| &view.graph.node[*at]) else { break };
            if maker.is("Reshape") {
                return apart(view, maker, back);
            }
            back = match maker.op_type() {
                "Transpose" => turned(maker, back).ok_or_else(|| format!("{} has no order that is understood", shown(maker)))?,
                "Expand" | "Tile" => {
                    return Err(format!("{} repeats its values: several heads read the same (grouped queries)", shown(maker)));
                }
                _ => back,
            };
            // A bias or a factor may come first.
            let data = maker.input.iter().find(|name| view.makers.contains_key(name.as_str()));
            name = data.map_or("", String::as_str);
        }
        Err("no Reshape tells its heads apart".to_owned())
    }

    /// Puts the heads where the node has them.
    pub(super) fn begin(&self, walk: &mut Walk<'_>) -> Result<(), Why> {
        let fused = is_fused(&walk.view.graph.node[self.node]);
        let flat = fused && !walk.view.graph.node[self.node].is("Attention");
        // The operator of ONNX takes heads in a dimension of their own too, and then none of its attributes counts them.
        let counts = walk.view.graph.node[self.node].attribute_named("q_num_heads").is_some();
        walk.put(&self.output, if flat || (fused && counts) { Lay::new(1, 1, 0) } else { Lay::own(3) })
    }
}

/// The heads that a fused operator says it has.
fn counted(node: &NodeProto) -> Result<usize, Why> {
    let told = |name: &str| node.attribute_named(name).map(|one| one.i());
    let heads = if node.is("Attention") {
        let (queries, keys) = (told("q_num_heads"), told("kv_num_heads"));
        if queries != keys {
            let (queries, keys) = (queries.unwrap_or(0), keys.unwrap_or(0));
            return Err(format!("{queries} heads of queries read {keys} of keys (grouped queries)"));
        }
        queries.ok_or_else(|| "it is given heads in a dimension of their own, and does not count them".to_owned())?
    } else {
        told("num_heads").unwrap_or(0)
    };
    usize::try_from(heads).map_err(|_| format!("it says that it has {heads} heads"))
}

/// The entry of a Reshape's shape at that place from the end, or what its input leaves for it.
fn apart(view: &View<'_>, node: &NodeProto, back: usize) -> Result<usize, Why> {
    let sizes = sizes(view, node);
    match sizes.get(back - 1) {
        Some(Size::Is(size)) if *size > 0 => usize::try_from(*size).map_err(|_| format!("{} makes {size} heads", shown(node))),
        Some(Size::Is(-1)) => {
            let inner = sizes[..back - 1].iter().try_fold(1_usize, |all, size| all.checked_mul(size.fixed()?));
            let columns = super::reshape::width(view, node.input_at(0).unwrap_or(""), FAR);
            match (columns, inner) {
                (Some(columns), Some(inner)) if inner > 0 && columns % inner == 0 => Ok(columns / inner),
                _ => Err(format!("{} leaves the number of heads open", shown(node))),
            }
        }
        _ => Err(format!("{} computes the number of heads", shown(node))),
    }
}

/// Where a dimension, counted from the end, was before a Transpose.
pub(super) fn turned(node: &NodeProto, back: usize) -> Option<usize> {
    let order = &node.attribute_named("perm")?.ints;
    let at = usize::try_from(*order.get(order.len().checked_sub(back)?)?).ok()?;
    order.len().checked_sub(at).filter(|back| *back > 0)
}
