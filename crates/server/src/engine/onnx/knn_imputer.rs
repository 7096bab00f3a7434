//! scikit-learn's KNNImputer as skl2onnx writes it: nine functions of the file's own, with `If`, `NonZero` and `Compress` in them, so that
//! hardly a size within it is known before the data is. The whole of it is one operator of ours instead, `modelyard.KnnImputer`.
//!
//! The functions are known by all that they compute, as a digest, not by their names: another file's functions may be called the same. The
//! text is the same in all that skl2onnx 1.20 writes, whatever the operator set, the data and the options; what differs is not taken.

use std::collections::HashMap;

use modelyard_core::digest::{hex, sha256};
use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

use super::attributes::Attributes;
use super::facts::full_domain;
use super::view::{View, in_place_of, int, is, sweep, tensor};

/// Our operators' domain.
pub(in crate::engine) const DOMAIN: &str = "modelyard";

/// The operator.
pub(in crate::engine) const NAME: &str = "KnnImputer";

/// Where skl2onnx puts the functions.
const LOCAL: &str = "local_domain";

/// What the functions compute, by their names' order.
const FUNCTIONS: [(&str, &str); 9] = [
    ("calc_impute", "6a800e916de328c5e1c6c98ecbf01986"),
    ("calc_impute_donors", "e648a85e5d6967104bb80fee87be25ab"),
    ("calc_impute_make_new_neights", "b8fbc184bea39f21045bdb397d040d07"),
    ("calc_impute_weights", "d73443eb87eb80f3447179b6f6404494"),
    ("dict_idx_map", "5bb2e82e5ab719b8f446d324eb5eae13"),
    ("dist_nan_euclidean", "3569d377aab98e5ae0841c35ab02a4b7"),
    ("knn_imputer_column", "537ad1a38ffd09ffd2354531df95b51a"),
    ("knn_imputer_column_all_nan", "0d22d9972624fa7312d450c548f134a2"),
    ("knn_imputer_column_nan_found", "1077d46c6d95bafbfb4501a92f52668c"),
];

/// Puts the operator in the place of every KNNImputer, before functions are written out.
pub(super) fn gather(model: &mut ModelProto) {
    if !known(&model.functions) {
        return;
    }
    let Some(graph) = &mut model.graph else { return };
    let view = View::of(graph);
    let found: Vec<(usize, NodeProto)> =
        graph.node.iter().enumerate().filter_map(|(at, end)| Some((at, imputer(&view, end)?))).collect();
    if found.is_empty() {
        return;
    }
    found.into_iter().for_each(|(at, node)| graph.node[at] = node);
    sweep(graph);
    model.opset_import.push(OperatorSetIdProto { domain: DOMAIN.to_owned(), version: 1 });
}

/// Whether the file has the nine functions, and each computes what skl2onnx's does.
fn known(functions: &[FunctionProto]) -> bool {
    FUNCTIONS.iter().all(|(name, digest)| {
        let mut same = functions.iter().filter(|one| one.name.as_deref() == Some(*name) && one.domain.as_deref() == Some(LOCAL));
        matches!((same.next(), same.next()), (Some(function), None) if digest_of(function) == *digest)
    })
}

/// The beginning of a digest of all that a function computes, whatever its values are called.
fn digest_of(function: &FunctionProto) -> String {
    let mut text = Text::default();
    text.names(&function.input);
    text.nodes(&function.node);
    text.names(&function.output);
    let mut digest = sha256(text.written);
    digest.truncate(32);
    digest
}

/// Nodes written out with numbers for names, in the order in which these are met.
#[derive(Default)]
struct Text<'a> {
    written: String,
    numbers: HashMap<&'a str, usize>,
}

impl<'a> Text<'a> {
    fn name(&mut self, name: &'a str) {
        let next = self.numbers.len() + 1;
        let number = if name.is_empty() { 0 } else { *self.numbers.entry(name).or_insert(next) };
        self.written += &format!("{number},");
    }

    fn names(&mut self, names: impl IntoIterator<Item = &'a String>) {
        names.into_iter().for_each(|name| self.name(name));
        self.written.push('|');
    }

    fn nodes(&mut self, nodes: &'a [NodeProto]) {
        for node in nodes {
            self.written += &format!("{}.{}(", full_domain(&node.domain), node.op_type);
            self.names(&node.input);
            self.names(&node.output);
            let mut attributes: Vec<&AttributeProto> = node.attribute.iter().collect();
            attributes.sort_by(|a, b| a.name.cmp(&b.name));
            attributes.into_iter().for_each(|attribute| self.attribute(attribute));
            self.written.push(')');
        }
    }

    fn attribute(&mut self, attribute: &'a AttributeProto) {
        self.written += &format!("{}=", attribute.name);
        match &attribute.g {
            Some(body) => {
                self.names(body.input.iter().map(|value| &value.name));
                self.nodes(&body.node);
                self.names(body.output.iter().map(|value| &value.name));
            }
            None => {
                let tensor = attribute.t.clone().map(|tensor| TensorProto { name: String::new(), ..tensor });
                self.written += &hex(&AttributeProto { t: tensor, ..attribute.clone() }.encode_to_vec());
            }
        }
    }
}

/// Whether `rows` are those in which a valid column of `isnan` holds.
fn are_rows_of(view: &View<'_>, rows: &str, (isnan, valid): (&str, &str)) -> Option<()> {
    let flat = |value: &str| -> Option<&String> {
        let [input, shape] = view.made(value, "ai.onnx", "Reshape")? else { return None };
        (view.integer(shape) == Some(-1)).then_some(input)
    };
    let [held] = view.made(flat(rows)?, "ai.onnx", "NonZero")? else { return None };
    let [most] = view.made(flat(held)?, "ai.onnx", "Cast")? else { return None };
    let [numbers, axis] = view.made(most, "ai.onnx", "ReduceMax")? else { return None };
    let [kept] = view.made(numbers, "ai.onnx", "Cast")? else { return None };
    let compress = view.maker(kept, "ai.onnx", "Compress").filter(|node| is_of_columns(node))?;
    (view.integer(axis) == Some(1) && compress.input == [isnan, valid]).then_some(())
}

/// A `Compress` of columns.
fn is_of_columns(node: &NodeProto) -> bool {
    Attributes::of(node).int("axis", 0) == Ok(1)
}

/// The operator for the imputer that ends at node `end`; `None` for any other node.
fn imputer(view: &View<'_>, end: &NodeProto) -> Option<NodeProto> {
    if !is(end, "ai.onnx", "Compress") || !is_of_columns(end) {
        return None;
    }
    let [last, valid] = &*end.input else { return None };
    let columns = columns(view, last)?;
    let [_, _, distances, donors, mask, places, isnan, rows, fit, neighbours] = columns.last()? else { return None };
    // The first column is read from the input, each other from the one before; everything else is the same for all.
    let input = &columns.first()?[1];
    let in_order = columns.iter().enumerate().all(|(at, column)| view.integer(&column[0]) == i64::try_from(at).ok());
    let alike = columns.iter().all(|column| column[2..] == columns[0][2..]);
    let [asked, others] = view.made(distances, LOCAL, "dist_nan_euclidean")? else { return None };
    let taken = view.maker(asked, "ai.onnx", "Gather").filter(|node| Attributes::of(node).int("axis", 0) == Ok(0))?;
    let wired = others == fit
        && *taken.input == [input.clone(), rows.clone()]
        && *view.made(donors, "ai.onnx", "Not")? == [mask.clone()]
        && *view.made(places, LOCAL, "dict_idx_map")? == [input.clone(), rows.clone()]
        && *view.made(isnan, "ai.onnx", "IsNaN")? == [input.clone()];
    if !(in_order && alike && wired) {
        return None;
    }
    are_rows_of(view, rows, (isnan, valid))?;
    let fit = view.constant(fit, DataType::Float)?;
    if fit.dims.get(1) != i64::try_from(columns.len()).ok().as_ref() {
        return None;
    }
    let bytes = |name: &str| {
        // BOOL is stored as UINT8 is.
        view.constant(name, DataType::Bool).map(|mask| TensorProto { data_type: DataType::Uint8 as i32, ..mask.clone() })
    };
    let attribute = vec![
        tensor("fit", fit.clone()),
        tensor("missing", bytes(mask)?),
        tensor("valid", bytes(valid)?),
        int("neighbours", view.integer(neighbours)?),
    ];
    Some(in_place_of(end, (DOMAIN, NAME), input, attribute))
}

/// The inputs of the nodes that fill in a column each, the first one's first.
fn columns<'a>(view: &View<'a>, last: &str) -> Option<Vec<&'a [String]>> {
    const INPUTS: usize = 10;
    let mut columns: Vec<&[String]> = Vec::new();
    let mut value = last;
    while let Some(column) = view.made(value, LOCAL, "knn_imputer_column") {
        // A cycle ends nowhere.
        if column.len() != INPUTS || columns.len() > view.len() {
            return None;
        }
        columns.push(column);
        value = &column[1];
    }
    columns.reverse();
    (!columns.is_empty()).then_some(columns)
}
