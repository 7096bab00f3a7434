//! Functions of a file's own, written out where they are called: no engine has operators that a file brings along.
//!
//! Values within a call get names that no other value has. What a function may cost is bounded: one that calls itself, and calls
//! that come to more than [`MOST_NODES`], are refused by name.

use std::collections::{HashMap, HashSet};

use prost::Message;
use tract_onnx::pb::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto};

use super::facts::{bodies, full_domain};
use super::scope::node_name;
use crate::engine::LoadError;

/// Nodes that all calls may come to.
const MOST_NODES: usize = 200_000;

/// Calls within calls.
const DEEPEST: usize = 64;

/// A function's domain and name.
type Id = (String, String);

/// Writes out every call. `raw` is the file, of which the defaults of functions' attributes are read.
///
/// # Errors
/// [`LoadError::Invalid`] for functions that contradict themselves, [`LoadError::Unsupported`] for what is not written out.
pub(super) fn inline(model: &mut ModelProto, raw: &[u8]) -> Result<(), LoadError> {
    if model.functions.is_empty() {
        return Ok(());
    }
    let functions = std::mem::take(&mut model.functions);
    let defaults = Defaults::decode(raw).map_err(|error| LoadError::Invalid(format!("a function cannot be read: {error}")))?;
    let mut known = HashMap::new();
    for (function, defaults) in functions.into_iter().zip(defaults.functions) {
        let id = id_of(&function);
        let name = shown(&id);
        if known.insert(id, (function, defaults.attributes)).is_some() {
            return Err(LoadError::Unsupported(format!("function '{name}' is defined more than once (overloads)")));
        }
    }
    let Some(graph) = &mut model.graph else { return Ok(()) };
    let mut inliner =
        Inliner { functions: &known, prefix: unused_prefix(graph), calls: 0, nodes: 0, within: Vec::new(), used: HashSet::new() };
    let nodes = std::mem::take(&mut graph.node);
    graph.node = inliner.nodes(nodes)?;
    let used = inliner.used;
    used.into_iter().try_for_each(|id| merge_versions(model, &known[&id].0))
}

/// The defaults of attributes, field 11 of a function in field 25 of a model, which tract's messages leave out.
#[derive(Clone, PartialEq, prost::Message)]
struct Defaults {
    #[prost(message, repeated, tag = "25")]
    functions: Vec<FunctionDefaults>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FunctionDefaults {
    #[prost(message, repeated, tag = "11")]
    attributes: Vec<AttributeProto>,
}

fn id_of(function: &FunctionProto) -> Id {
    let domain = full_domain(function.domain.as_deref().unwrap_or_default());
    (domain.to_owned(), function.name.clone().unwrap_or_default())
}

fn shown((domain, name): &Id) -> String {
    format!("{domain}.{name}")
}

/// The beginning of a name that no name in the graph has.
fn unused_prefix(graph: &GraphProto) -> String {
    let mut names = HashSet::new();
    collect(graph, &mut names);
    let mut prefix = "inlined".to_owned();
    while names.iter().any(|name| name.starts_with(&prefix)) {
        prefix.push('_');
    }
    prefix
}

fn collect<'a>(graph: &'a GraphProto, names: &mut HashSet<&'a str>) {
    names.extend(graph.input.iter().chain(&graph.output).map(|value| value.name.as_str()));
    names.extend(graph.initializer.iter().map(|tensor| tensor.name.as_str()));
    for node in &graph.node {
        names.extend(node.input.iter().chain(&node.output).map(String::as_str));
        bodies(node).for_each(|body| collect(body, names));
    }
}

/// The model imports what its functions do. Of one domain both must mean the same operators, so says the format; the newer version is
/// the model's.
fn merge_versions(model: &mut ModelProto, function: &FunctionProto) -> Result<(), LoadError> {
    for set in &function.opset_import {
        let same = |other: &&mut tract_onnx::pb::OperatorSetIdProto| full_domain(&other.domain) == full_domain(&set.domain);
        match model.opset_import.iter_mut().find(same) {
            Some(own) if own.version >= set.version => {}
            Some(own) => {
                let (name, domain) = (shown(&id_of(function)), full_domain(&set.domain));
                return Err(LoadError::Unsupported(format!(
                    "function '{name}' is written for version {} of {domain}, the model for {}; expected one no newer than the model",
                    set.version, own.version
                )));
            }
            None => model.opset_import.push(set.clone()),
        }
    }
    Ok(())
}

struct Inliner<'a> {
    functions: &'a HashMap<Id, (FunctionProto, Vec<AttributeProto>)>,
    prefix: String,
    calls: usize,
    nodes: usize,
    /// The functions that are being written out, the outermost first.
    within: Vec<Id>,
    used: HashSet<Id>,
}

impl Inliner<'_> {
    /// These nodes, with calls written out, also in graphs within them.
    fn nodes(&mut self, nodes: Vec<NodeProto>) -> Result<Vec<NodeProto>, LoadError> {
        let mut written = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            let id = (full_domain(&node.domain).to_owned(), node.op_type.clone());
            if self.functions.contains_key(&id) {
                self.call(&node, id, &mut written)?;
                continue;
            }
            self.count(&node)?;
            for attribute in &mut node.attribute {
                for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    let inner = std::mem::take(&mut body.node);
                    body.node = self.nodes(inner)?;
                }
            }
            written.push(node);
        }
        Ok(written)
    }

    fn count(&mut self, node: &NodeProto) -> Result<(), LoadError> {
        self.nodes += 1;
        if self.nodes <= MOST_NODES {
            return Ok(());
        }
        let within = self.within.last().map_or_else(|| node.op_type.clone(), shown);
        Err(LoadError::Unsupported(format!("the file's functions come to more than {MOST_NODES} nodes, the last in '{within}'")))
    }

    fn call(&mut self, call: &NodeProto, id: Id, written: &mut Vec<NodeProto>) -> Result<(), LoadError> {
        let name = shown(&id);
        if self.within.contains(&id) {
            return Err(LoadError::Unsupported(format!("function '{name}' calls itself")));
        }
        if self.within.len() >= DEEPEST {
            return Err(LoadError::Unsupported(format!("function '{name}' is called within {DEEPEST} others; expected fewer")));
        }
        let Some((function, defaults)) = self.functions.get(&id) else { return Ok(()) };
        if call.input.len() > function.input.len() || call.output.len() > function.output.len() {
            let (inputs, outputs) = (function.input.len(), function.output.len());
            return Err(LoadError::Invalid(format!(
                "node '{}' calls function '{name}' with {} inputs for {} outputs; it has {inputs} and {outputs}",
                node_name(call),
                call.input.len(),
                call.output.len()
            )));
        }
        self.calls += 1;
        let (scope, copies) = Scope::of(function, defaults, call, format!("{}{}_", self.prefix, self.calls));
        let body = function.node.iter().map(|node| scope.node(node)).collect::<Result<Vec<_>, _>>()?;
        self.used.insert(id.clone());
        self.within.push(id);
        let body = self.nodes(body)?;
        self.within.pop();
        written.extend(body);
        for copy in &copies {
            self.count(copy)?;
        }
        written.extend(copies);
        Ok(())
    }
}

/// What names and attributes mean within one call.
struct Scope<'a> {
    /// The caller's names for the function's inputs and outputs; empty for an input that is not given.
    names: HashMap<&'a str, String>,
    attributes: HashMap<&'a str, &'a AttributeProto>,
    prefix: String,
}

impl<'a> Scope<'a> {
    /// The scope, and the copies that hand over outputs which the body does not compute under a name of their own.
    fn of(
        function: &'a FunctionProto,
        defaults: &'a [AttributeProto],
        call: &'a NodeProto,
        prefix: String,
    ) -> (Self, Vec<NodeProto>) {
        let given = |at: usize| call.input.get(at).cloned().unwrap_or_default();
        let mut names: HashMap<&str, String> =
            function.input.iter().enumerate().map(|(at, name)| (name.as_str(), given(at))).collect();
        let mut copies = Vec::new();
        for (own, wanted) in function.output.iter().zip(&call.output).filter(|(_, wanted)| !wanted.is_empty()) {
            match names.get(own.as_str()) {
                Some(elsewhere) => copies.push(identity(elsewhere, wanted)),
                None => drop(names.insert(own, wanted.clone())),
            }
        }
        let attributes = defaults.iter().chain(&call.attribute).map(|one| (one.name.as_str(), one)).collect();
        (Self { names, attributes, prefix }, copies)
    }

    fn name(&self, name: &str) -> String {
        match self.names.get(name) {
            Some(outer) => outer.clone(),
            None if name.is_empty() => String::new(),
            None => format!("{}{name}", self.prefix),
        }
    }

    fn node(&self, node: &NodeProto) -> Result<NodeProto, LoadError> {
        let mut node = node.clone();
        node.input.iter_mut().chain(&mut node.output).for_each(|name| *name = self.name(name));
        if !node.name.is_empty() {
            node.name = format!("{}{}", self.prefix, node.name);
        }
        let attributes = std::mem::take(&mut node.attribute);
        for attribute in attributes {
            node.attribute.extend(self.attribute(attribute)?);
        }
        Ok(node)
    }

    /// The attribute as the call has it; `None` for a reference to one that is not given.
    fn attribute(&self, mut attribute: AttributeProto) -> Result<Option<AttributeProto>, LoadError> {
        if !attribute.ref_attr_name.is_empty() {
            let Some(given) = self.attributes.get(attribute.ref_attr_name.as_str()) else { return Ok(None) };
            return Ok(Some(AttributeProto { name: attribute.name, ..(*given).clone() }));
        }
        for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            self.graph(body)?;
        }
        Ok(Some(attribute))
    }

    fn graph(&self, graph: &mut GraphProto) -> Result<(), LoadError> {
        for value in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
            value.name = self.name(&value.name);
        }
        graph.initializer.iter_mut().for_each(|tensor| tensor.name = self.name(&tensor.name));
        if !graph.sparse_initializer.is_empty() {
            return Err(LoadError::Unsupported("a function has sparse initializers, which are not supported".to_owned()));
        }
        for node in &mut graph.node {
            *node = self.node(node)?;
        }
        Ok(())
    }
}

fn identity(from: &str, to: &str) -> NodeProto {
    NodeProto {
        op_type: "Identity".to_owned(),
        input: vec![from.to_owned()],
        output: vec![to.to_owned()],
        ..NodeProto::default()
    }
}
