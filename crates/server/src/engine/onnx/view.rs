//! A graph read backwards: which node makes a value, and which values are the file's constants. What stands for several nodes at once is found
//! by it, and what nothing reads then is swept away.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType};

use super::attributes::Attributes;
use super::facts::{bodies, full_domain};
use super::values::Values;
use super::weights::is_external;

/// The nodes and constants of one graph, by the names of their values.
pub(in crate::engine) struct View<'a> {
    makers: HashMap<&'a str, &'a NodeProto>,
    tensors: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> View<'a> {
    /// Those of `graph`; what lies in its nodes' own graphs is not looked at.
    pub(in crate::engine) fn of(graph: &'a GraphProto) -> Self {
        let makers = graph.node.iter().flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node))).collect();
        Self { makers, tensors: graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect() }
    }

    /// How many values nodes make.
    pub(in crate::engine) fn len(&self) -> usize {
        self.makers.len()
    }

    /// The node that makes `value`, if it is such an operator.
    pub(in crate::engine) fn maker(&self, value: &str, domain: &str, name: &str) -> Option<&'a NodeProto> {
        self.makers.get(value).copied().filter(|node| is(node, domain, name))
    }

    /// Its inputs.
    pub(in crate::engine) fn made(&self, value: &str, domain: &str, name: &str) -> Option<&'a [String]> {
        self.maker(value, domain, name).map(|node| &*node.input)
    }

    /// A constant that is stored in the file itself.
    pub(in crate::engine) fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        self.tensors.get(name).copied().filter(|tensor| !is_external(tensor))
    }

    /// The same, of one datatype.
    pub(in crate::engine) fn constant(&self, name: &str, kind: DataType) -> Option<&'a TensorProto> {
        self.tensor(name).filter(|tensor| tensor.data_type == kind as i32)
    }

    /// The integers of a constant.
    pub(in crate::engine) fn integers(&self, name: &str) -> Option<Vec<i64>> {
        match Values::of(self.tensor(name)?).ok()? {
            Values::Ints(all) => Some(all),
            _ => None,
        }
    }

    /// The one integer of a constant.
    pub(in crate::engine) fn integer(&self, name: &str) -> Option<i64> {
        let all = self.integers(name)?;
        (all.len() == 1).then(|| all[0])
    }

    /// Which dimensions a node reduces: an attribute of older operator sets, an input of newer ones.
    pub(in crate::engine) fn axes(&self, node: &NodeProto) -> Option<Vec<i64>> {
        match node.input.get(1) {
            Some(axes) => self.integers(axes),
            None => Attributes::of(node).ints("axes").ok().map(<[i64]>::to_vec),
        }
    }
}

/// Whether a node is such an operator.
pub(in crate::engine) fn is(node: &NodeProto, domain: &str, name: &str) -> bool {
    full_domain(&node.domain) == domain && node.op_type == name
}

/// The node that gives what `end` gave, of one input.
pub(in crate::engine) fn in_place_of(
    end: &NodeProto,
    (domain, operator): (&str, &str),
    input: &str,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        domain: domain.to_owned(),
        op_type: operator.to_owned(),
        name: end.name.clone(),
        input: vec![input.to_owned()],
        output: end.output.clone(),
        attribute,
        ..NodeProto::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind as i32, ..AttributeProto::default() }
}

/// An attribute that is an integer.
pub(in crate::engine) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i, ..attribute(name, AttributeType::Int) }
}

/// An attribute that is integers.
pub(in crate::engine) fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { ints, ..attribute(name, AttributeType::Ints) }
}

/// An attribute that is FP32 numbers.
pub(in crate::engine) fn floats(name: &str, floats: Vec<f32>) -> AttributeProto {
    AttributeProto { floats, ..attribute(name, AttributeType::Floats) }
}

/// An attribute that is a tensor.
pub(in crate::engine) fn tensor(name: &str, tensor: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(tensor), ..attribute(name, AttributeType::Tensor) }
}

/// An attribute that is a graph.
pub(in crate::engine) fn body(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(graph), ..attribute(name, AttributeType::Graph) }
}

/// Takes out the nodes and constants that no output needs.
pub(in crate::engine) fn sweep(graph: &mut GraphProto) {
    let mut makers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        node.output.iter().for_each(|output| makers.entry(output).or_default().push(at));
    }
    let mut read: HashSet<String> = HashSet::new();
    let mut needed: HashSet<usize> = HashSet::new();
    let mut open: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
    while let Some(name) = open.pop() {
        if name.is_empty() || !read.insert(name.to_owned()) {
            continue;
        }
        for at in makers.get(name).into_iter().flatten().filter(|at| needed.insert(**at)) {
            reads(&graph.node[*at], &mut open);
        }
    }
    let mut at = 0..;
    graph.node.retain(|_| at.next().is_some_and(|at| needed.contains(&at)));
    graph.initializer.retain(|tensor| read.contains(&tensor.name));
}

/// The values that a node reads, in the graphs within it too.
fn reads<'a>(node: &'a NodeProto, names: &mut Vec<&'a str>) {
    names.extend(node.input.iter().map(String::as_str));
    for body in bodies(node) {
        names.extend(body.output.iter().map(|output| output.name.as_str()));
        body.node.iter().for_each(|node| reads(node, names));
    }
}
