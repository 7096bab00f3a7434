//! What a file holds, counted for metadata, `inspect` and logs.

use std::collections::HashSet;
use std::path::Path;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::file::File;
use super::weights::{External, element_count, is_external};
use crate::engine::Facts;

/// Operators whose cost per row rises when rows are stacked, measured: convolutions and pooling.
const CONVOLUTIONAL: [&str; 8] =
    ["Conv", "ConvInteger", "ConvTranspose", "QLinearConv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"];

/// Counts the operators, weights and bytes of a file that `engine` runs.
pub(in crate::engine) fn collect(file: &File, engine: &'static str) -> Facts {
    let proto = file.proto();
    let mut facts = Facts { platform: "onnx_onnxv1", engine, bytes: file.bytes(), ..Facts::default() };
    facts.maps = file.maps().clone();
    facts.classes = facts.maps.first().map(|(_, keys)| keys.clone()).unwrap_or_default();
    facts.opsets = proto.opset_import.iter().map(|set| format!("{} {}", full_domain(&set.domain), set.version)).collect();
    facts.producer = format!("{} {}", proto.producer_name, proto.producer_version).trim().to_owned();
    let mut outside = HashSet::new();
    visit(file.graph(), &mut |part| match part {
        Part::Node(node) => {
            facts.convolutional |= CONVOLUTIONAL.contains(&node.op_type.as_str());
            *facts.operators.entry(operator_name(node)).or_default() += 1;
        }
        Part::Weight(tensor) => {
            facts.parameters = facts.parameters.saturating_add(element_count(&tensor.dims).unwrap_or(0));
            if is_external(tensor)
                && let Ok(found) = External::locate(tensor, Path::new(file.folder()))
                && outside.insert(found.path)
            {
                facts.bytes = facts.bytes.saturating_add(found.file_bytes);
            }
        }
    });
    facts
}

/// What [`visit`] meets.
enum Part<'a> {
    Node(&'a NodeProto),
    Weight(&'a TensorProto),
}

/// Walks a graph and the graphs in its nodes' attributes. Decoding bounds the depth.
fn visit<'a>(graph: &'a GraphProto, met: &mut impl FnMut(Part<'a>)) {
    graph.initializer.iter().for_each(|tensor| met(Part::Weight(tensor)));
    for node in &graph.node {
        met(Part::Node(node));
        bodies(node).for_each(|body| visit(body, &mut *met));
    }
}

/// The graphs in a node's attributes: an `If`'s branches, a `Scan`'s body.
pub(in crate::engine) fn bodies(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// `ai.onnx` for the default domain.
pub(in crate::engine) fn full_domain(domain: &str) -> &str {
    if domain.is_empty() { "ai.onnx" } else { domain }
}

/// The operator's name, preceded by its domain where that is not the default one.
pub(in crate::engine) fn operator_name(node: &NodeProto) -> String {
    match full_domain(&node.domain) {
        "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}
