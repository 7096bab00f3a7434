//! Equal initializers, and nodes that compute the same of the same.

use std::collections::HashMap;

use prost::Message;

use crate::check::graphs;
use crate::names;
use crate::proto::{GraphProto, NodeProto, TensorProto};

/// Operators whose answers differ from call to call.
const RANDOM: [&str; 7] =
    ["Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];

pub(super) fn rewrite(graph: &mut GraphProto) -> usize {
    let fixed = names::fixed(graph);
    let before = graph.node.len() + graph.initializer.len();
    let mut replaced = HashMap::new();
    let mut first: HashMap<Vec<u8>, String> = HashMap::new();
    graph.initializer.retain(|one| {
        if fixed.contains(one.name()) {
            return true;
        }
        let plain = TensorProto { name: None, doc_string: None, ..one.clone() };
        keep(&mut first, plain.encode_to_vec(), one.name(), &mut replaced)
    });
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
    before - graph.node.len() - graph.initializer.len()
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
