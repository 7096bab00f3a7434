//! A node's attributes, read once at load: each is of the declared type, or the file is refused in words that name it.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

use crate::engine::onnx::weights::{self, datatype_name, element_bytes, is_external};

/// The longest text of an attribute, in bytes: an answer repeats it for each element.
const MOST_BYTES: usize = 64 << 10;

/// What is wrong with an attribute, in words that name it.
pub(super) type Wrong = String;

/// The attributes of one node.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(&'a NodeProto);

impl<'a> Attributes<'a> {
    /// Those of `node`.
    pub(super) const fn of(node: &'a NodeProto) -> Self {
        Self(node)
    }

    /// How many inputs the node reads.
    pub(super) fn inputs(&self) -> usize {
        self.0.input.iter().filter(|name| !name.is_empty()).count()
    }

    /// Whether the attribute is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The first of `names` that is given; an error where two are.
    pub(super) fn one_of(&self, names: &[&'static str]) -> Result<Option<&'static str>, Wrong> {
        let mut given = names.iter().copied().filter(|name| self.has(name));
        let first = given.next();
        match (first, given.next()) {
            (Some(first), Some(second)) => Err(format!("attributes {first} and {second} are both given; expected one of them")),
            _ => Ok(first),
        }
    }

    /// A number, or `default` where it is not given.
    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32, Wrong> {
        Ok(self.typed(name, AttributeType::Float)?.map_or(default, |one| one.f))
    }

    /// An integer, or `default` where it is not given.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, Wrong> {
        Ok(self.typed(name, AttributeType::Int)?.map_or(default, |one| one.i))
    }

    /// An integer of 0 or 1.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Wrong> {
        match self.int(name, i64::from(default))? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("attribute {name} is {other}; expected 0 or 1")),
        }
    }

    /// An integer from `least` to `most`.
    pub(super) fn size(&self, name: &str, default: i64, (least, most): (usize, usize)) -> Result<usize, Wrong> {
        let found = self.int(name, default)?;
        usize::try_from(found)
            .ok()
            .filter(|size| (least..=most).contains(size))
            .ok_or_else(|| format!("attribute {name} is {found}; expected {least} to {most}"))
    }

    /// A text, or `default` where it is not given.
    pub(super) fn text(&self, name: &str, default: &'a str) -> Result<&'a str, Wrong> {
        match self.typed(name, AttributeType::String)? {
            Some(one) => readable(&one.s).map_err(|wrong| format!("attribute {name} {wrong}")),
            None => Ok(default),
        }
    }

    /// Numbers; empty where they are not given.
    pub(super) fn floats(&self, name: &str) -> Result<&'a [f32], Wrong> {
        Ok(self.typed(name, AttributeType::Floats)?.map_or(&[], |one| &one.floats))
    }

    /// Integers; empty where they are not given.
    pub(super) fn ints(&self, name: &str) -> Result<&'a [i64], Wrong> {
        Ok(self.typed(name, AttributeType::Ints)?.map_or(&[], |one| &one.ints))
    }

    /// Texts; empty where they are not given.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Wrong> {
        let Some(one) = self.typed(name, AttributeType::Strings)? else { return Ok(Vec::new()) };
        let text = |(at, bytes): (usize, &'a Vec<u8>)| match readable(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(wrong) => Err(format!("attribute {name}: element {at} {wrong}")),
        };
        one.strings.iter().enumerate().map(text).collect()
    }

    /// A list of one dimension or a single value, as a tensor.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Values>, Wrong> {
        let Some(one) = self.typed(name, AttributeType::Tensor)? else { return Ok(None) };
        let Some(tensor) = &one.t else { return Err(format!("attribute {name} holds no tensor")) };
        Values::of(tensor).map(Some).map_err(|wrong| format!("attribute {name}: {wrong}"))
    }

    fn find(&self, name: &str) -> Option<&'a AttributeProto> {
        self.0.attribute.iter().find(|one| one.name == name)
    }

    fn typed(&self, name: &str, kind: AttributeType) -> Result<Option<&'a AttributeProto>, Wrong> {
        let Some(found) = self.find(name) else { return Ok(None) };
        // Files of IR version 1 and 2 may leave the type out.
        if found.r#type == kind as i32 || found.r#type == AttributeType::Undefined as i32 {
            return Ok(Some(found));
        }
        let is = AttributeType::try_from(found.r#type).map_or("unknown", |kind| kind.as_str_name());
        Err(format!("attribute {name} is of type {is}; expected {}", kind.as_str_name()))
    }
}

/// A text that is UTF-8, and no longer than an answer may repeat.
fn readable(bytes: &[u8]) -> Result<&str, Wrong> {
    if bytes.len() > MOST_BYTES {
        return Err(format!("has {} bytes; expected at most {MOST_BYTES}", bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

/// A list of values of one type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Texts(Vec<String>),
    Ints(Vec<i64>),
    Int32s(Vec<i32>),
    Int16s(Vec<i16>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
}

impl Values {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Texts(all) => all.len(),
            Self::Ints(all) => all.len(),
            Self::Int32s(all) => all.len(),
            Self::Int16s(all) => all.len(),
            Self::Floats(all) => all.len(),
            Self::Doubles(all) => all.len(),
        }
    }

    fn of(tensor: &TensorProto) -> Result<Self, Wrong> {
        let (name, kind) = (datatype_name(tensor.data_type), DataType::try_from(tensor.data_type));
        if is_external(tensor) {
            return Err("its values are in another file".to_owned());
        }
        let Some((count, size)) = weights::element_count(&tensor.dims).zip(element_bytes(tensor.data_type)) else {
            return Err(format!("a tensor of {name} and shape {:?} is not supported", tensor.dims));
        };
        let raw = &tensor.raw_data;
        let values = match kind {
            Ok(DataType::String) => {
                let text = |bytes: &Vec<u8>| readable(bytes).map(str::to_owned).map_err(|wrong| format!("a text {wrong}"));
                Self::Texts(tensor.string_data.iter().map(text).collect::<Result<_, _>>()?)
            }
            Ok(DataType::Int64) if raw.is_empty() => Self::Ints(tensor.int64_data.clone()),
            Ok(DataType::Int64) => Self::Ints(raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()),
            Ok(DataType::Int32) if raw.is_empty() => Self::Int32s(tensor.int32_data.clone()),
            Ok(DataType::Int32) => Self::Int32s(raw.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect()),
            Ok(DataType::Int16) if raw.is_empty() => {
                let narrow = |value: &i32| i16::try_from(*value).map_err(|_| format!("{value} is no 16 bit integer"));
                Self::Int16s(tensor.int32_data.iter().map(narrow).collect::<Result<_, _>>()?)
            }
            Ok(DataType::Int16) => Self::Int16s(raw.as_chunks().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect()),
            Ok(DataType::Float) if raw.is_empty() => Self::Floats(tensor.float_data.clone()),
            Ok(DataType::Float) => Self::Floats(raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
            Ok(DataType::Double) if raw.is_empty() => Self::Doubles(tensor.double_data.clone()),
            Ok(DataType::Double) => Self::Doubles(raw.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()),
            _ => {
                return Err(format!(
                    "a tensor of {name} is not supported; expected STRING, INT16, INT32, INT64, FLOAT or DOUBLE"
                ));
            }
        };
        let whole = raw.is_empty() || raw.len() as u64 == count.saturating_mul(size);
        if !whole || values.len() as u64 != count {
            return Err(format!("its shape {:?} needs {count} values, found {}", tensor.dims, values.len()));
        }
        Ok(values)
    }
}
