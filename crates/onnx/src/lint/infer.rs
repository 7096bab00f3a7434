//! Types and shapes from node to node, and where the file declares others.

use std::collections::HashMap;

use super::Findings;
use super::graph::place;
use super::rules::{Call, outputs};
use super::shapes::{Known, datatype, shown};
use crate::proto::{GraphProto, ModelProto, TensorProto};

/// What the file says of a tensor that is no input, and where it says it.
pub(super) type Declared<'a> = HashMap<&'a str, (&'static str, Known)>;

/// Looks at the outermost graph.
pub(super) fn examine(model: &ModelProto, graph: &GraphProto, findings: &mut Findings) {
    let declared: Declared<'_> = [("value_info", &graph.value_info), ("output", &graph.output)]
        .into_iter()
        .flat_map(|(what, values)| {
            values.iter().filter_map(move |one| Some((one.name(), (what, Known::declared(one.r#type.as_ref())?))))
        })
        .collect();
    known(graph, model.opset(), &declared, findings);
}

/// What each tensor of a graph is, and where it is declared as something else.
pub(super) fn known<'a>(
    graph: &'a GraphProto,
    opset: i64,
    declared: &Declared<'_>,
    findings: &mut Findings,
) -> HashMap<&'a str, Known> {
    let constants: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|one| (one.name(), one)).collect();
    let mut known: HashMap<&str, Known> = HashMap::new();
    for tensor in &graph.initializer {
        let shape = tensor.dims.iter().map(|dim| Some(*dim)).collect();
        known.insert(tensor.name(), Known::new(tensor.data_type(), shape));
    }
    for input in &graph.input {
        let Some(declared) = Known::declared(input.r#type.as_ref()) else { continue };
        match known.get(input.name()) {
            // An input with a value of its own has to be what it says.
            Some(own) => differ(("initializer", input.name()), (own, &declared), findings),
            None => {
                known.insert(input.name(), declared);
            }
        }
    }
    for node in &graph.node {
        let inputs = node.input.iter().map(|name| known.get(name.as_str()).cloned().unwrap_or_default()).collect();
        let values = node.input.iter().map(|name| constants.get(name.as_str()).copied()).collect();
        let call = Call { node, inputs, constants: values, opset };
        let default = matches!(node.domain(), "" | "ai.onnx");
        let made = match if default { outputs(&call) } else { Ok(Vec::new()) } {
            Ok(made) => made,
            Err(what) => {
                findings.error(place(node), what);
                Vec::new()
            }
        };
        for (slot, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let found = made.get(slot).cloned().unwrap_or_default();
            let told = declared.get(name.as_str());
            if let Some((what, told)) = told
                && let Some(difference) = difference(told, &found)
            {
                findings.error(format!("{what} '{name}'"), format!("{difference}, as {} makes it", place(node)));
            }
            // What the file says fills in what is not known here.
            known.insert(name, told.map_or_else(|| found.clone(), |(_, told)| filled(&found, told)));
        }
    }
    known
}

fn differ((what, name): (&str, &str), (own, declared): (&Known, &Known), findings: &mut Findings) {
    if let Some(difference) = difference(declared, own) {
        findings.error(format!("input '{name}'"), format!("{difference}, as its {what} has it"));
    }
}

/// Where a declaration says something else than what was found.
fn difference(told: &Known, found: &Known) -> Option<String> {
    if told.datatype != 0 && found.datatype != 0 && told.datatype != found.datatype {
        return Some(format!("elem_type: {} is declared; it is {}", datatype(told.datatype), datatype(found.datatype)));
    }
    let (wanted, is) = (told.shape.as_ref()?, found.shape.as_ref()?);
    let same = wanted.len() == is.len() && wanted.iter().zip(is).all(|(a, b)| a.is_none() || b.is_none() || a == b);
    (!same).then(|| format!("shape: {} is declared; it is {}", shown(wanted), shown(is)))
}

/// What was found, and where nothing was, what was told.
fn filled(found: &Known, told: &Known) -> Known {
    let datatype = if found.datatype == 0 { told.datatype } else { found.datatype };
    let shape = match (&found.shape, &told.shape) {
        (Some(found), Some(told)) if found.len() == told.len() => Some(found.iter().zip(told).map(|(a, b)| a.or(*b)).collect()),
        (found, told) => found.clone().or_else(|| told.clone()),
    };
    Known { datatype, shape }
}
