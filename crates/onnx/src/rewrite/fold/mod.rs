//! What depends on constants alone, computed now: nodes whose inputs are all constants, sizes of dimensions that the file fixes, and the
//! branch of an `If` or the rounds of a `Loop` that a constant decides.
//!
//! [`value`] holds numbers, [`layout`] says where they lie, [`elementwise`], [`places`] and [`make`] compute operators as the specification
//! defines them (FP32 is rounded after each), [`known`] knows dimensions of tensors that a run makes, [`inline`] takes graphs out of nodes.

mod elementwise;
mod inline;
mod known;
mod layout;
mod make;
mod places;
mod value;

use std::collections::{HashMap, HashSet};

use super::{Refused, full, lost};
use crate::names;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::store::Store;
use known::sizes;
use layout::room;
use value::{Value, kind_of};

/// Elements of what is computed, where it is more than what it is computed from.
const MOST: usize = 1 << 16;

/// Elements of what nobody else needs and becomes something of the same size: a weight that is transposed, or cast.
const MOST_OWN: usize = 1 << 22;

/// Elements of all that is more than what it is computed from.
const MOST_OF_ALL: usize = 1 << 20;

/// Passes over the graph: what is computed in one can decide a branch of the next.
const PASSES: usize = 64;

/// How many nodes went.
pub(super) fn rewrite(graph: &mut GraphProto, opset: i64, store: &mut Store) -> Result<usize, Refused> {
    let mut gone = 0;
    let (mut left, mut nodes) = (MOST_OF_ALL, inline::NODES);
    for _ in 0..PASSES {
        let folded = pass(graph, opset, (&mut left, store))?;
        let inlined = inline::decided(graph, opset, &mut nodes);
        if inlined > 0 {
            super::constants::rewrite(graph);
        }
        if folded + inlined == 0 {
            break;
        }
        gone += folded + inlined;
    }
    Ok(gone)
}

/// The constants of a graph: initializers that nobody can put others in place of.
struct Constants<'a> {
    tensors: HashMap<&'a str, &'a TensorProto>,
    uses: HashMap<String, usize>,
    made: HashMap<String, Value>,
}

impl<'a> Constants<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        let fixed: HashSet<&str> = graph.input.iter().map(|one| one.name()).collect();
        let tensors = graph.initializer.iter().filter(|one| !fixed.contains(one.name())).map(|one| (one.name(), one)).collect();
        Self { tensors, uses: names::uses(graph), made: HashMap::new() }
    }

    /// Whether all that a node takes is constant, and how much [`room`] that takes: in all, and what nobody else takes.
    fn counts(&self, node: &NodeProto) -> Option<(usize, usize)> {
        let (mut all, mut own) = (0_usize, 0_usize);
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            let count = match (self.made.get(name), self.tensors.get(name.as_str())) {
                (Some(value), _) => room(&value.dims)?,
                (None, Some(tensor)) if kind_of(tensor.data_type()).is_some() => {
                    tensor.count()?;
                    room(&tensor.shape())?
                }
                _ => return None,
            };
            all = all.checked_add(count)?;
            own += if self.uses.get(name) == Some(&1) { count } else { 0 };
        }
        Some((all, own))
    }

    fn value(&self, name: &str) -> Result<Option<Value>, Refused> {
        if let Some(value) = self.made.get(name) {
            return Ok(Some(value.clone()));
        }
        let Some(tensor) = self.tensors.get(name) else { return Ok(None) };
        Value::of(tensor).map_err(|error| lost(tensor, &error))
    }
}

/// Computes what can be computed once, in the order of the nodes.
fn pass(graph: &mut GraphProto, opset: i64, (left, store): (&mut usize, &mut Store)) -> Result<usize, Refused> {
    let (fixed, sizes) = (names::fixed(graph), sizes(graph, opset));
    let mut constants = Constants::of(graph);
    let mut gone = HashSet::new();
    for (at, node) in graph.node.iter().enumerate() {
        let [output] = &*node.output else { continue };
        // What is an output stays a node.
        if !matches!(node.domain(), "" | "ai.onnx") || fixed.contains(output) {
            continue;
        }
        let value = match sizes.get(output.as_str()) {
            Some(value) => Some(value.clone()),
            None => computed(&constants, node, opset, left)?,
        };
        if let Some(value) = value {
            // What it alone took is not needed any more.
            let own = |name: &&String| constants.uses.get(*name) == Some(&1);
            let taken: Vec<&String> = node.input.iter().filter(own).collect();
            taken.into_iter().for_each(|name| drop(constants.made.remove(name)));
            constants.made.insert(output.clone(), value);
            gone.insert(at);
        }
    }
    // What only nodes that went take was computed for them alone.
    let mut made = std::mem::take(&mut constants.made);
    drop(constants);
    let mut at = 0;
    graph.node.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
    let used = names::uses(graph);
    let mut names: Vec<String> = made.keys().filter(|name| used.contains_key(*name)).cloned().collect();
    names.sort();
    for name in names {
        let Some(value) = made.remove(&name) else { continue };
        graph.initializer.push(store.keep(value.tensor(name)).map_err(|error| full(&error))?);
    }
    Ok(gone.len())
}

/// What a node makes of constants; `None` where it cannot be computed here, or is too much.
fn computed(constants: &Constants<'_>, node: &NodeProto, opset: i64, left: &mut usize) -> Result<Option<Value>, Refused> {
    let Some((all, own)) = constants.counts(node) else { return Ok(None) };
    let large = all > MOST && (own < all || all > MOST_OWN);
    // A node that makes something of nothing (a random number, a constant) is no computation.
    if node.input.is_empty() || !make::knows(node.op_type()) || large {
        return Ok(None);
    }
    let mut inputs = Vec::with_capacity(node.input.len());
    for name in &node.input {
        inputs.push(if name.is_empty() { None } else { constants.value(name)? });
    }
    if inputs.iter().zip(&node.input).any(|(value, name)| value.is_none() && !name.is_empty()) {
        return Ok(None);
    }
    let most = MOST.max(own);
    let Some(value) = make::output(&make::Call { node, inputs: &inputs, opset, most }) else { return Ok(None) };
    let Some(count) = room(&value.dims).filter(|count| *count <= most) else { return Ok(None) };
    let more = count.saturating_sub(own);
    if more > *left {
        return Ok(None);
    }
    *left -= more;
    Ok(Some(value))
}

#[cfg(test)]
mod tests;
