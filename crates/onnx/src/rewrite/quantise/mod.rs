//! Activations in INT8 too: in a range that each run finds for itself, or in one that data has shown before.

mod dynamic;
mod fixed;
mod watch;

pub(super) use dynamic::rewrite as dynamic;
pub(super) use fixed::rewrite as fixed;
pub use watch::{activations, watched};

use std::collections::{BTreeMap, HashMap};

use super::int8::quantize;
use super::weights::{Weight, weights};
use super::{Refused, lost};
use crate::proto::{GraphProto, NodeProto, TensorProto};

/// The least and the greatest value of tensors, by name.
pub type Ranges = BTreeMap<String, (f32, f32)>;

/// The weights of a graph by name, but for those that are not finite.
fn by_name(graph: &GraphProto) -> HashMap<String, Weight> {
    weights(graph).into_iter().map(|weight| (graph.initializer[weight.at].name().to_owned(), weight)).collect()
}

/// A weight in INT8, and a scale for each of its output channels.
type Codes = (Vec<i8>, Vec<f32>);

/// Codes and scales of a weight; `None` where its values are not finite.
fn codes(graph: &GraphProto, weight: Weight) -> Result<Option<Codes>, Refused> {
    let tensor = &graph.initializer[weight.at];
    let values = tensor.fetched().map_err(|error| lost(tensor, &error))?;
    let values = values.filter(|values| values.iter().all(|value| value.is_finite()));
    Ok(values.map(|values| quantize(&values, &tensor.shape(), weight)))
}

/// Whether a node is what its name says, without factors and a transposed first input.
fn is_plain(node: &NodeProto) -> bool {
    let one = |name| node.attribute_named(name).is_none_or(|one| one.f() == 1.0);
    let straight = node.attribute_named("transA").is_none_or(|one| one.i() == 0);
    matches!(node.domain(), "" | "ai.onnx") && one("alpha") && one("beta") && straight
}

fn node(operator: &str, name: String, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let texts = |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect();
    NodeProto {
        name: Some(name),
        op_type: Some(operator.to_owned()),
        input: texts(inputs),
        output: texts(outputs),
        ..NodeProto::default()
    }
}

fn tensor_named<'a>(graph: &'a GraphProto, name: &str) -> Option<&'a TensorProto> {
    graph.initializer.iter().find(|one| one.name() == name)
}
