//! Equal initializers, and nodes that compute the same of the same.

use std::collections::HashMap;

use prost::Message;

use super::{Refused, lost};
use crate::check::graphs;
use crate::names;
use crate::proto::{GraphProto, NodeProto, TensorProto};

/// Operators whose answers differ from call to call.
const RANDOM: [&str; 7] =
    ["Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];

pub(super) fn rewrite(graph: &mut GraphProto) -> Result<usize, Refused> {
    let fixed = names::fixed(graph);
    let before = graph.node.len() + graph.initializer.len();
    let mut replaced = HashMap::new();
    let mut first: HashMap<Vec<u8>, String> = HashMap::new();
    let mut kept = Vec::with_capacity(graph.initializer.len());
    for one in std::mem::take(&mut graph.initializer) {
        let mut content = TensorProto { name: None, doc_string: None, external_data: Vec::new(), ..one.clone() }.encode_to_vec();
        // What lies in a file is compared by its sum.
        content.extend(one.sum().map_err(|error| lost(&one, &error))?.into_iter().flatten());
        if fixed.contains(one.name()) || keep(&mut first, content, one.name(), &mut replaced) {
            kept.push(one);
        }
    }
    graph.initializer = kept;
    names::rename(graph, &replaced);
    loop {
        let (mut replaced, mut first) = (HashMap::new(), HashMap::new());
        graph.node.retain(|node| {
            let [output] = &*node.output else { return true };
            let same = !fixed.contains(output) && graphs(node).next().is_none() && !RANDOM.contains(&node.op_type());
            !same || keep(&mut first, plain(node).encode_to_vec(), output, &mut replaced)
        });
        if replaced.is_empty() {
            break;
        }
        names::rename(graph, &replaced);
    }
    Ok(before - graph.node.len() - graph.initializer.len())
}

/// Whether it is the first of its kind; the name of a later one is replaced by the first's.
fn keep(first: &mut HashMap<Vec<u8>, String>, content: Vec<u8>, name: &str, replaced: &mut HashMap<String, String>) -> bool {
    match first.get(&content) {
        Some(same) => {
            replaced.insert(name.to_owned(), same.clone());
            false
        }
        None => first.insert(content, name.to_owned()).is_none(),
    }
}

/// The node without its names.
fn plain(node: &NodeProto) -> NodeProto {
    let mut plain = NodeProto { name: None, doc_string: None, output: Vec::new(), metadata_props: Vec::new(), ..node.clone() };
    plain.attribute.sort_by(|one, other| one.name().cmp(other.name()));
    plain
}
