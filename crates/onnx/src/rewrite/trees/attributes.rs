//! Lists among a node's attributes, read and put back in the form that they came in.

use bytes::Bytes;

use crate::proto::{AttributeProto, NodeProto, TensorProto, data_type};

/// Integers; empty where they are not given.
pub(super) fn ints<'a>(node: &'a NodeProto, name: &str) -> &'a [i64] {
    node.attribute_named(name).map_or(&[], |one| &one.ints)
}

/// Texts; empty where they are not given.
pub(super) fn texts<'a>(node: &'a NodeProto, name: &str) -> &'a [Bytes] {
    node.attribute_named(name).map_or(&[], |one| &one.strings)
}

/// FP32 in a list, or FP32 or FP64 in the tensor `NAME_as_tensor`, or in a tensor of that very name.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) values: Vec<f64>,
}

impl Numbers {
    /// `None` for a tensor of another type.
    pub(super) fn of(node: &NodeProto, name: &str) -> Option<Self> {
        let tensor = node.attribute_named(&format!("{name}_as_tensor")).or_else(|| node.attribute_named(name));
        let Some(tensor) = tensor.and_then(|one| one.t.as_ref()) else {
            let list = node.attribute_named(name).map_or(&[][..], |one| &one.floats);
            return Some(Self { values: list.iter().copied().map(f64::from).collect() });
        };
        let values = match tensor.data_type() {
            data_type::FLOAT => tensor.floats()?.into_iter().map(f64::from).collect(),
            data_type::DOUBLE => tensor.doubles()?,
            data_type::UINT8 => match &tensor.raw_data {
                Some(raw) => raw.iter().map(|one| f64::from(*one)).collect(),
                None => tensor.int32_data.iter().map(|one| f64::from(*one)).collect(),
            },
            _ => return None,
        };
        Some(Self { values })
    }
}

fn put(node: &mut NodeProto, name: &str, fill: impl FnOnce(&mut AttributeProto), kind: i32) {
    let at = node.attribute.iter().position(|one| one.name() == name).unwrap_or_else(|| {
        node.attribute.push(AttributeProto { name: Some(name.to_owned()), r#type: Some(kind), ..AttributeProto::default() });
        node.attribute.len() - 1
    });
    fill(&mut node.attribute[at]);
}

pub(super) fn put_ints(node: &mut NodeProto, name: &str, values: Vec<i64>) {
    put(node, name, |one| one.ints = values, crate::proto::ATTRIBUTE_INTS);
}

pub(super) fn put_strings(node: &mut NodeProto, name: &str, values: Vec<Bytes>) {
    put(node, name, |one| one.strings = values, crate::proto::ATTRIBUTE_STRINGS);
}

/// Numbers where they came from: a list, or a tensor of the same type.
pub(super) fn put_numbers(node: &mut NodeProto, name: &str, values: &[f64]) {
    let tensor = format!("{name}_as_tensor");
    let found = node.attribute.iter_mut().find(|one| one.t.is_some() && (one.name() == tensor || one.name() == name));
    let Some(attribute) = found else {
        let list = values.iter().map(|one| *one as f32).collect();
        return put(node, name, |one| one.floats = list, crate::proto::ATTRIBUTE_FLOATS);
    };
    let Some(old) = &attribute.t else { return };
    let raw: Vec<u8> = match old.data_type() {
        data_type::DOUBLE => values.iter().flat_map(|one| one.to_le_bytes()).collect(),
        data_type::UINT8 => values.iter().map(|one| *one as u8).collect(),
        _ => values.iter().flat_map(|one| (*one as f32).to_le_bytes()).collect(),
    };
    let dims = vec![i64::try_from(values.len()).unwrap_or(i64::MAX)];
    attribute.t = Some(TensorProto::of_bytes(old.name().to_owned(), old.data_type(), dims, raw));
}
