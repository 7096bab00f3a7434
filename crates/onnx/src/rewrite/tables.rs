//! Tables that rows are looked up in (embeddings): as FP16, or as INT8 with a scale for each row. What is looked up becomes FP32, and nothing
//! else of the table does: a run turns as many rows as it asks for.

use std::collections::HashMap;

use ::half::f16;

use super::int8::quantize;
use super::weights::Weight;
use super::{Refused, full, lost};
use crate::names::{self, Fresh};
use crate::proto::{ATTRIBUTE_INT, AttributeProto, GraphProto, NodeProto, TensorProto, data_type};
use crate::store::Store;

/// Tables of fewer elements are left alone: what reads them costs more than they save.
const LEAST: usize = 1 << 14;

/// How a table is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Half,
    Int8,
}

/// The FP32 tables [rows, width] of the outermost graph that nothing but `Gather` reads, row by row.
fn tables(graph: &GraphProto) -> Vec<usize> {
    let (fixed, uses) = (names::fixed(graph), names::uses(graph));
    let reads = |node: &NodeProto, name: &str| {
        let rows = node.attribute_named("axis").is_none_or(|one| one.i() == 0);
        node.is("Gather") && rows && node.input_at(0) == Some(name) && node.input_at(1) != Some(name)
    };
    let looked_up = |one: &TensorProto| {
        let count = graph.node.iter().filter(|node| reads(node, one.name())).count();
        count > 0 && uses.get(one.name()) == Some(&count)
    };
    let large = |one: &TensorProto| one.dims.len() == 2 && one.count().is_some_and(|count| count >= LEAST) && one.is_floats();
    let all = graph.initializer.iter().enumerate();
    all.filter(|(_, one)| !fixed.contains(one.name()) && large(one) && looked_up(one)).map(|(at, _)| at).collect()
}

/// A table as it is stored, and its rows' scales where it has some.
struct Stored {
    name: String,
    scales: Option<String>,
}

/// How many tables changed. One that FP16 cannot hold, or that is not finite, stays.
pub(super) fn rewrite(graph: &mut GraphProto, form: Form, store: &mut Store) -> Result<usize, Refused> {
    let mut fresh = Fresh::of(graph);
    let mut stored: HashMap<String, Stored> = HashMap::new();
    for at in tables(graph) {
        let tensor = &graph.initializer[at];
        let Some(values) = tensor.fetched().map_err(|error| lost(tensor, &error))? else { continue };
        let (name, dims) = (tensor.name().to_owned(), tensor.dims.clone());
        let made = match form {
            Form::Half => halves(&values).map(|raw| (raw, None)),
            Form::Int8 if values.iter().all(|value| value.is_finite()) => {
                let (codes, scales) = quantize(&values, &tensor.shape(), Weight { at, axis: 0 });
                Some((codes.iter().map(|code| code.cast_unsigned()).collect(), Some(scales)))
            }
            Form::Int8 => None,
        };
        let Some((raw, scales)) = made else { continue };
        let (datatype, end) = if form == Form::Half { (data_type::FLOAT16, "f16") } else { (data_type::INT8, "int8") };
        let own = Stored {
            name: fresh.name(&format!("{name}_{end}")),
            scales: scales.as_ref().map(|_| fresh.name(&format!("{name}_scale"))),
        };
        let rows = dims[0];
        let made = TensorProto::of_bytes(own.name.clone(), datatype, dims, raw);
        graph.initializer[at] = store.keep(made).map_err(|error| full(&error))?;
        if let (Some(scales), Some(by)) = (scales, &own.scales) {
            // Looked up they have a last dimension of one, which all numbers of a row share.
            graph.initializer.push(TensorProto::of_floats(by.clone(), vec![rows, 1], &scales));
        }
        stored.insert(name, own);
    }
    let old = std::mem::take(&mut graph.node);
    for node in old {
        match node.input_at(0).filter(|_| node.is("Gather")).and_then(|name| stored.get(name)) {
            Some(table) => graph.node.extend(looked_up(&node, table, &mut fresh)),
            None => graph.node.push(node),
        }
    }
    Ok(stored.len())
}

fn halves(values: &[f32]) -> Option<Vec<u8>> {
    let halves: Vec<f16> = values.iter().map(|value| f16::from_f32(*value)).collect();
    let held = halves.iter().zip(values).all(|(half, value)| half.is_finite() == value.is_finite());
    held.then(|| halves.iter().flat_map(|half| half.to_le_bytes()).collect())
}

/// The nodes that look up in the stored table what one looked up.
fn looked_up(gather: &NodeProto, table: &Stored, fresh: &mut Fresh) -> Vec<NodeProto> {
    let (label, output) = (gather.label().to_owned(), gather.output.first().cloned().unwrap_or_default());
    let mut name = |what: &str| fresh.name(&format!("{label}_{what}"));
    let node = |operator: &str, name: String, input: Vec<String>, output: String, attribute: Vec<AttributeProto>| NodeProto {
        name: Some(name),
        op_type: Some(operator.to_owned()),
        input,
        output: vec![output],
        attribute,
        ..NodeProto::default()
    };
    let to = AttributeProto {
        name: Some("to".to_owned()),
        r#type: Some(ATTRIBUTE_INT),
        i: Some(i64::from(data_type::FLOAT)),
        ..AttributeProto::default()
    };
    let codes = name("codes");
    let mut first = gather.clone();
    first.input[0].clone_from(&table.name);
    first.output = vec![codes.clone()];
    let Some(scales) = &table.scales else {
        return vec![first, node("Cast", name("cast"), vec![codes], output, vec![to])];
    };
    let (plain, by) = (name("plain"), name("scales"));
    let mut second = gather.clone();
    second.name = Some(name("scale"));
    second.input[0].clone_from(scales);
    second.output = vec![by.clone()];
    let cast = node("Cast", name("cast"), vec![codes], plain.clone(), vec![to]);
    vec![first, second, cast, node("Mul", name("multiply"), vec![plain, by], output, Vec::new())]
}
