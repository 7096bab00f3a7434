//! Nodes beside the definitions of their operators in the version that the model imports: inputs, outputs and attributes.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::Findings;
use super::graph::place;
use crate::check::graphs;
use crate::proto::{AttributeProto, GraphProto, ModelProto, NodeProto};

/// All versions of all operators, made by `tools/onnx-operators.py`.
const TABLE: &str = include_str!("operators.txt");

/// Kinds of attributes by their number, as the specification names them.
const KINDS: [&str; 15] = [
    "UNDEFINED",
    "FLOAT",
    "INT",
    "STRING",
    "TENSOR",
    "GRAPH",
    "FLOATS",
    "INTS",
    "STRINGS",
    "TENSORS",
    "GRAPHS",
    "SPARSE_TENSOR",
    "SPARSE_TENSORS",
    "TYPE_PROTO",
    "TYPE_PROTOS",
];

/// One version of an operator.
struct Definition {
    since: i64,
    /// Whether it was taken out with this version.
    gone: bool,
    /// The fewest and the most.
    inputs: (usize, usize),
    outputs: (usize, usize),
    /// Name, kind, and whether it is required.
    attributes: Vec<(&'static str, &'static str, bool)>,
}

/// By domain and name, in the order of their versions.
static KNOWN: LazyLock<HashMap<(&'static str, &'static str), Vec<Definition>>> = LazyLock::new(|| {
    let mut known: HashMap<_, Vec<Definition>> = HashMap::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, definition)) = definition(line) {
            known.entry(name).or_default().push(definition);
        }
    }
    known
});

fn definition(line: &'static str) -> Option<((&'static str, &'static str), Definition)> {
    let mut fields = line.split(';');
    let (domain, name, since) = (fields.next()?, fields.next()?, fields.next()?);
    let span = |field: &str| {
        let (least, most) = field.split_once('-')?;
        Some((least.parse().ok()?, most.parse().unwrap_or(usize::MAX)))
    };
    let (inputs, outputs) = (span(fields.next()?)?, span(fields.next()?)?);
    let attribute = |field: &'static str| {
        let (name, kind) = field.split_once(':')?;
        Some((name.trim_start_matches('!'), kind, name.starts_with('!')))
    };
    let attributes = fields.next()?.split_whitespace().map(attribute).collect::<Option<_>>()?;
    let (gone, since) = (since.starts_with('-'), since.trim_start_matches('-').parse().ok()?);
    Some(((domain, name), Definition { since, gone, inputs, outputs, attributes }))
}

/// A domain as it is shown.
pub(super) fn shown(domain: &str) -> &str {
    if domain.is_empty() { "ai.onnx" } else { domain }
}

fn short(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// The newest version of a domain that is known; `None` for a domain of others.
pub(super) fn newest(domain: &str) -> Option<i64> {
    // The table's first line names them.
    let head = TABLE.lines().next()?.trim_start_matches("# ").split_once(": ")?.1;
    let of =
        |one: &str| one.split_once(' ').filter(|(name, _)| *name == shown(domain)).and_then(|(_, version)| version.parse().ok());
    head.split(", ").find_map(of)
}

/// Looks at all nodes, those of graphs within too.
pub(super) fn examine(model: &ModelProto, graph: &GraphProto, findings: &mut Findings) {
    let functions: HashSet<(&str, &str)> = model.functions.iter().map(|one| (short(one.domain()), one.name())).collect();
    nodes(model, graph, (&functions, findings, 0));
}

fn nodes(model: &ModelProto, graph: &GraphProto, (functions, findings, depth): (&HashSet<(&str, &str)>, &mut Findings, usize)) {
    // Deeper ones were told of already.
    if depth > 64 {
        return;
    }
    for node in &graph.node {
        if !functions.contains(&(short(node.domain()), node.op_type())) {
            one(model, node, findings);
        }
        attributes(node, findings);
        for inner in graphs(node) {
            nodes(model, inner, (functions, &mut *findings, depth + 1));
        }
    }
}

fn one(model: &ModelProto, node: &NodeProto, findings: &mut Findings) {
    if node.op_type().is_empty() {
        return findings.error(place(node), "op_type: it is empty");
    }
    let domain = shown(node.domain());
    let Some(version) = model.opset_import.iter().find(|one| shown(one.domain()) == domain).map(|one| one.version()) else {
        return findings.error(place(node), format!("domain: '{domain}' is not among the model's opset_import"));
    };
    // Of other domains nothing is known.
    if newest(domain).is_none() {
        return;
    }
    let versions = KNOWN.get(&(short(domain), node.op_type())).map_or(&[][..], Vec::as_slice);
    let Some(definition) = versions.iter().rev().find(|one| one.since <= version) else {
        let later = versions.first().map(|one| format!("; it is there since {}", one.since)).unwrap_or_default();
        return findings.error(place(node), format!("op_type: {domain} {version} has no such operator{later}"));
    };
    if definition.gone {
        findings.warning(place(node), format!("op_type: {domain} took it out with version {}", definition.since));
    }
    for (what, names, (least, most)) in [("input", &node.input, definition.inputs), ("output", &node.output, definition.outputs)]
    {
        // Those at the end may be left out by an empty name too.
        let given = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        if given < least || names.len() > most {
            let wanted = match most {
                usize::MAX => format!("{least} or more"),
                most if most == least => least.to_string(),
                most => format!("{least} to {most}"),
            };
            findings.error(place(node), format!("{what}: it has {}; {domain} {version} has {wanted}", names.len().max(given)));
        }
    }
    for (name, kind, required) in &definition.attributes {
        match node.attribute_named(name) {
            None if *required => findings.error(place(node), format!("attribute '{name}': it is missing; a {kind} is required")),
            Some(found) if found.ref_attr_name().is_empty() => {
                let is = usize::try_from(found.r#type()).ok().and_then(|at| KINDS.get(at)).copied().unwrap_or("unknown");
                if is != *kind && (found.r#type() != 0 || model.ir_version() >= 3) {
                    findings.error(place(node), format!("attribute '{name}': type {is}; expected {kind}"));
                }
            }
            _ => {}
        }
    }
    for found in &node.attribute {
        if !definition.attributes.iter().any(|(name, _, _)| *name == found.name()) {
            findings.error(place(node), format!("attribute '{}': {domain} {version} has no such attribute", found.name()));
        }
    }
}

/// What holds of attributes whatever the operator is: a name, one each, and content of the type that they say.
fn attributes(node: &NodeProto, findings: &mut Findings) {
    let mut seen = HashSet::new();
    for one in &node.attribute {
        if one.name().is_empty() {
            findings.error(place(node), "attribute: one has no name");
        } else if !seen.insert(one.name()) {
            findings.error(place(node), format!("attribute '{}': it is given twice", one.name()));
        }
        if let Some(held) = held(one).filter(|held| i64::from(one.r#type()) != *held && one.r#type() != 0) {
            let name = |kind: i64| usize::try_from(kind).ok().and_then(|at| KINDS.get(at)).copied().unwrap_or("unknown");
            let (says, is) = (name(one.r#type().into()), name(held));
            findings.error(place(node), format!("attribute '{}': it says {says}, and holds {is}", one.name()));
        }
    }
}

/// The kind of what an attribute holds, where it holds anything: lists may be empty, and so may a number be left out for 0.
fn held(one: &AttributeProto) -> Option<i64> {
    let kinds = [
        (1, one.f.is_some()),
        (2, one.i.is_some()),
        (3, one.s.is_some()),
        (4, one.t.is_some()),
        (5, one.g.is_some()),
        (6, !one.floats.is_empty()),
        (7, !one.ints.is_empty()),
        (8, !one.strings.is_empty()),
        (9, !one.tensors.is_empty()),
        (10, !one.graphs.is_empty()),
    ];
    let mut held = kinds.iter().filter(|(_, there)| *there).map(|(kind, _)| *kind);
    let says = i64::from(one.r#type());
    if kinds.iter().any(|(kind, there)| *kind == says && *there) { None } else { held.next() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(KNOWN.values().map(Vec::len).sum::<usize>(), lines);
        assert!(lines > 600, "{lines}");
        assert_eq!((newest(""), newest("ai.onnx.ml"), newest("com.microsoft")), (Some(28), Some(5), None));
        let gemm = &KNOWN[&("", "Gemm")];
        assert_eq!(gemm.iter().map(|one| one.since).collect::<Vec<_>>(), [1, 6, 7, 9, 11, 13]);
        assert_eq!((gemm[4].inputs, gemm[3].inputs), ((2, 3), (3, 3)));
        let concat = &KNOWN[&("", "Concat")];
        assert!(concat[1].attributes.contains(&("axis", "INT", true)) && concat[1].inputs.1 == usize::MAX);
    }
}
