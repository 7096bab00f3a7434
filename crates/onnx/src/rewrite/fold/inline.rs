//! The graph of an `If` whose condition is a constant, and of a `Loop` that does few rounds, in place of the node.

use std::collections::{HashMap, HashSet};

use super::value::{BOOL, Value};
use crate::check::graphs;
use crate::names::Fresh;
use crate::proto::{ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, GraphProto, NodeProto, TensorProto, data_type};

/// Rounds of a loop that are written out.
const ROUNDS: i64 = 16;

/// Nodes that come in place of others, in all: loops within loops could make any number.
pub(super) const NODES: usize = 10_000;

/// Since when `Unsqueeze` takes its axes as an input.
const AXES_AS_INPUT: i64 = 13;

/// How many nodes were taken apart.
pub(super) fn decided(graph: &mut GraphProto, opset: i64, left: &mut usize) -> usize {
    let candidates = graph.node.iter().any(|node| node.is("If") || node.is("Loop"));
    if !candidates {
        return 0;
    }
    let mut fresh = Fresh::of(graph);
    let given: HashSet<String> = graph.input.iter().map(|one| one.name().to_owned()).collect();
    let mut count = 0;
    let mut at = 0;
    while at < graph.node.len() {
        let node = &graph.node[at];
        let mut inlined =
            Inlined { graph, given: &given, fresh: &mut fresh, left, opset, nodes: Vec::new(), tensors: Vec::new() };
        let done = match node.op_type() {
            "If" if node.is("If") => inlined.choice(node),
            "Loop" if node.is("Loop") => inlined.rounds(node),
            _ => None,
        };
        let Inlined { nodes, tensors, .. } = inlined;
        if done.is_some() {
            count += 1;
            graph.node.splice(at..=at, nodes);
            graph.initializer.extend(tensors);
        } else {
            at += 1;
        }
    }
    count
}

struct Inlined<'a> {
    graph: &'a GraphProto,
    /// The graph's inputs, in whose place others can put values.
    given: &'a HashSet<String>,
    fresh: &'a mut Fresh,
    /// Nodes that may still come.
    left: &'a mut usize,
    opset: i64,
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
}

impl Inlined<'_> {
    /// The one whole number that a constant of this graph is.
    fn number(&self, name: &str, datatype: i32) -> Option<i64> {
        let tensor = self.graph.initializer.iter().find(|one| one.name() == name && !self.given.contains(name))?;
        Value::of(tensor).ok()??.number().filter(|_| tensor.data_type() == datatype)
    }

    fn choice(&mut self, node: &NodeProto) -> Option<()> {
        let yes = self.number(node.input_at(0)?, BOOL)? != 0;
        let branch = node.attribute_named(if yes { "then_branch" } else { "else_branch" })?.g.as_ref()?;
        let made = self.copy(branch, HashMap::new())?;
        if made.len() != node.output.len() {
            return None;
        }
        self.give(node, &made);
        Some(())
    }

    /// What each output of the node is from now on.
    fn give(&mut self, node: &NodeProto, made: &[String]) {
        for (output, made) in node.output.iter().zip(made).filter(|(output, _)| !output.is_empty()) {
            let name = self.fresh.name(&format!("{output}_given"));
            self.add("Identity", name, (vec![made.clone()], output.clone()), None);
        }
    }

    fn add(&mut self, operator: &str, name: String, (input, output): (Vec<String>, String), attribute: Option<AttributeProto>) {
        self.nodes.push(NodeProto {
            name: Some(name),
            op_type: Some(operator.to_owned()),
            input,
            output: vec![output],
            attribute: attribute.into_iter().collect(),
            ..NodeProto::default()
        });
    }

    fn constant(&mut self, base: &str, datatype: i32, raw: Vec<u8>, dims: Vec<i64>) -> String {
        let name = self.fresh.name(base);
        self.tensors.push(TensorProto::of_bytes(name.clone(), datatype, dims, raw));
        name
    }

    fn rounds(&mut self, node: &NodeProto) -> Option<()> {
        let body = node.attribute_named("body")?.g.as_ref()?;
        let carried = node.input.len().checked_sub(2)?;
        let kept = body.output.len().checked_sub(1 + carried)?;
        if body.input.len() != 2 + carried || node.output.len() > carried + kept {
            return None;
        }
        let begins = match node.input_at(1) {
            Some(name) => self.number(name, BOOL)? != 0,
            None => true,
        };
        let rounds = match node.input_at(0) {
            _ if !begins => 0,
            Some(name) => self.number(name, data_type::INT64)?.max(0),
            None => return None,
        };
        // What is gathered over no round has no shape that is known.
        if rounds > ROUNDS || (rounds > 0 && !self.goes_on(body)) || (rounds == 0 && kept > 0) {
            return None;
        }
        let label = node.label().to_owned();
        let mut state: Vec<String> = node.input[2..].to_vec();
        let mut gathered: Vec<Vec<String>> = vec![Vec::new(); kept];
        for round in 0..rounds {
            let number = self.constant(&format!("{label}_round"), data_type::INT64, round.to_le_bytes().to_vec(), Vec::new());
            let goes_on = self.constant(&format!("{label}_goes_on"), BOOL, vec![1], Vec::new());
            let own = [number, goes_on].into_iter().chain(state);
            let inputs = body.input.iter().map(|one| one.name().to_owned()).zip(own).collect();
            let made = self.copy(body, inputs)?;
            for (all, one) in gathered.iter_mut().zip(&made[1 + carried..]) {
                let output = self.fresh.name(&format!("{one}_row"));
                self.row(one.clone(), output.clone());
                all.push(output);
            }
            state = made[1..=carried].to_vec();
        }
        for rows in gathered {
            let output = self.fresh.name(&format!("{label}_rows"));
            let axis =
                AttributeProto { name: Some("axis".into()), r#type: Some(ATTRIBUTE_INT), i: Some(0), ..Default::default() };
            let name = self.fresh.name(&format!("{label}_gather"));
            self.add("Concat", name, (rows, output.clone()), Some(axis));
            state.push(output);
        }
        self.give(node, &state);
        Some(())
    }

    /// With a dimension of one before the others.
    fn row(&mut self, input: String, output: String) {
        let name = self.fresh.name(&format!("{output}_unsqueeze"));
        if self.opset >= AXES_AS_INPUT {
            let axes = self.constant(&format!("{output}_axes"), data_type::INT64, 0_i64.to_le_bytes().to_vec(), vec![1]);
            self.add("Unsqueeze", name, (vec![input, axes], output), None);
        } else {
            let axes =
                AttributeProto { name: Some("axes".into()), r#type: Some(ATTRIBUTE_INTS), ints: vec![0], ..Default::default() };
            self.add("Unsqueeze", name, (vec![input], output), Some(axes));
        }
    }

    /// Whether each round says that there is another: it hands its own condition on, or a constant.
    fn goes_on(&self, body: &GraphProto) -> bool {
        let mut name = body.output.first().map_or("", |one| one.name());
        // A cycle, which no sound file has, would never end.
        for _ in 0..=body.node.len() {
            let Some(node) = body.node.iter().find(|node| node.output.iter().any(|output| output == name)) else { break };
            if node.is("Constant") {
                let value = node.attribute_named("value").and_then(|one| one.t.as_ref());
                return value.is_some_and(is_true);
            }
            match node.input_at(0) {
                Some(input) if node.is("Identity") => name = input,
                _ => return false,
            }
        }
        let own = body.initializer.iter().find(|one| one.name() == name);
        match (own, body.input.get(1)) {
            (Some(own), _) => is_true(own),
            (None, Some(input)) if input.name() == name => true,
            _ => self.number(name, BOOL) == Some(1),
        }
    }

    /// Copies a graph's nodes with names of their own; what its outputs are called then.
    fn copy(&mut self, inner: &GraphProto, mut names: HashMap<String, String>) -> Option<Vec<String>> {
        let nodes = nodes_of(inner);
        if !inner.sparse_initializer.is_empty() || nodes > *self.left {
            return None;
        }
        *self.left -= nodes;
        for tensor in &inner.initializer {
            let name = self.fresh.name(tensor.name());
            names.insert(tensor.name().to_owned(), name.clone());
            self.tensors.push(TensorProto { name: Some(name), ..tensor.clone() });
        }
        for node in &inner.node {
            let mut node = node.clone();
            take(&mut node, &names)?;
            if !node.name().is_empty() {
                node.name = Some(self.fresh.name(node.name()));
            }
            for output in node.output.iter_mut().filter(|output| !output.is_empty()) {
                let name = self.fresh.name(output);
                names.insert(std::mem::replace(output, name.clone()), name);
            }
            self.nodes.push(node);
        }
        Some(inner.output.iter().map(|one| names.get(one.name()).cloned().unwrap_or_else(|| one.name().to_owned())).collect())
    }
}

/// Nodes of a graph and of those within.
fn nodes_of(graph: &GraphProto) -> usize {
    graph.node.len() + graph.node.iter().flat_map(graphs).map(nodes_of).sum::<usize>()
}

fn is_true(tensor: &TensorProto) -> bool {
    let value = Value::of(tensor).ok().flatten();
    tensor.data_type() == BOOL && value.and_then(|value| value.number()) == Some(1)
}

/// Puts the new names into a node and the graphs within; `None` where one gives such a name as its own output.
fn take(node: &mut NodeProto, names: &HashMap<String, String>) -> Option<()> {
    for input in &mut node.input {
        if let Some(name) = names.get(input) {
            input.clone_from(name);
        }
    }
    if graphs(node).any(|inner| inner.output.iter().any(|one| names.contains_key(one.name()))) {
        return None;
    }
    for attribute in &mut node.attribute {
        for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            inner.node.iter_mut().try_for_each(|node| take(node, names))?;
        }
    }
    Some(())
}
