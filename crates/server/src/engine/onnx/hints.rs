//! Sizes that a file's weights suggest for the dimensions it leaves free: a table of any width goes into a matrix of four rows,
//! so its width is four.

use tract_onnx::pb::{GraphProto, NodeProto};

/// Sizes tried at most.
const MOST: usize = 16;

/// The largest size worth trying.
const LARGEST: usize = 1 << 16;

/// Distinct sizes above 1, in the order in which they stand in the file, the first steps' before the weights'.
pub(in crate::engine) fn sizes(graph: &GraphProto) -> Vec<usize> {
    let steps = graph.node.iter().filter(|node| node.domain == "ai.onnx.ml").flat_map(of_lists);
    let weights = graph.initializer.iter().filter(|weight| weight.dims.len() <= 2);
    let weights = weights.flat_map(|weight| weight.dims.iter().filter_map(|dim| usize::try_from(*dim).ok()));
    let mut sizes = Vec::new();
    for size in steps.chain(weights) {
        if (2..=LARGEST).contains(&size) && !sizes.contains(&size) && sizes.len() < MOST {
            sizes.push(size);
        }
    }
    sizes
}

/// How long a node's lists of numbers are, and what that is for each of the things that another attribute counts: classes,
/// outputs, support vectors. Of trees the last feature tells.
fn of_lists(node: &NodeProto) -> Vec<usize> {
    let mut counts = vec![1];
    let mut sizes = Vec::new();
    for attribute in &node.attribute {
        match attribute.name.as_str() {
            "targets" | "n_supports" => counts.extend(usize::try_from(attribute.i)),
            "vectors_per_class" => {
                counts.extend(usize::try_from(attribute.ints.iter().fold(0, |sum: i64, one| sum.saturating_add(*one))))
            }
            "classlabels_ints" | "classlabels_strings" => counts.push(attribute.ints.len() + attribute.strings.len()),
            "nodes_featureids" => {
                sizes.extend(attribute.ints.iter().max().and_then(|last| usize::try_from(*last).ok()?.checked_add(1)))
            }
            _ => {}
        }
    }
    let lists =
        node.attribute.iter().filter(|attribute| !attribute.name.starts_with("nodes_")).map(|attribute| attribute.floats.len());
    for length in lists.filter(|length| *length > 0) {
        sizes.extend(counts.iter().filter(|count| **count > 0 && length % **count == 0).map(|count| length / count));
    }
    sizes
}
