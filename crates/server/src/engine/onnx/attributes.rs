//! A node's attributes, read once at load: each is of the declared type, or the file is refused in words that name it.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// The longest text of an attribute, in bytes: an answer repeats it for each element.
const MOST_BYTES: usize = 64 << 10;

/// What is wrong with an attribute, in words that name it.
pub(in crate::engine) type Wrong = String;

/// The attributes of one node.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Attributes<'a>(&'a NodeProto);

impl<'a> Attributes<'a> {
    /// Those of `node`.
    pub(in crate::engine) const fn of(node: &'a NodeProto) -> Self {
        Self(node)
    }

    /// How many inputs the node reads.
    pub(in crate::engine) fn inputs(&self) -> usize {
        self.0.input.iter().filter(|name| !name.is_empty()).count()
    }

    /// The operator's name.
    pub(in crate::engine) fn operator(&self) -> &'a str {
        &self.0.op_type
    }

    /// Where each of the first `N` inputs stands among those that are given; `None` for one that is left out.
    pub(in crate::engine) fn places<const N: usize>(&self) -> [Option<usize>; N] {
        let mut given = 0;
        std::array::from_fn(|at| {
            self.0.input.get(at).filter(|name| !name.is_empty())?;
            given += 1;
            Some(given - 1)
        })
    }

    /// Which of its outputs are read, by their place in the operator's definition.
    pub(in crate::engine) fn wanted(&self) -> Vec<usize> {
        self.0.output.iter().enumerate().filter(|(_, name)| !name.is_empty()).map(|(at, _)| at).collect()
    }

    /// Whether the attribute is given.
    pub(in crate::engine) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The first of `names` that is given; an error where two are.
    pub(in crate::engine) fn one_of(&self, names: &[&'static str]) -> Result<Option<&'static str>, Wrong> {
        let mut given = names.iter().copied().filter(|name| self.has(name));
        let first = given.next();
        match (first, given.next()) {
            (Some(first), Some(second)) => Err(format!("attributes {first} and {second} are both given; expected one of them")),
            _ => Ok(first),
        }
    }

    /// A number, or `default` where it is not given.
    pub(in crate::engine) fn float(&self, name: &str, default: f32) -> Result<f32, Wrong> {
        Ok(self.typed(name, AttributeType::Float)?.map_or(default, |one| one.f))
    }

    /// An integer, or `default` where it is not given.
    pub(in crate::engine) fn int(&self, name: &str, default: i64) -> Result<i64, Wrong> {
        Ok(self.typed(name, AttributeType::Int)?.map_or(default, |one| one.i))
    }

    /// An integer of 0 or 1.
    pub(in crate::engine) fn flag(&self, name: &str, default: bool) -> Result<bool, Wrong> {
        match self.int(name, i64::from(default))? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("attribute {name} is {other}; expected 0 or 1")),
        }
    }

    /// An integer from `least` to `most`.
    pub(in crate::engine) fn size(&self, name: &str, default: i64, (least, most): (usize, usize)) -> Result<usize, Wrong> {
        let found = self.int(name, default)?;
        usize::try_from(found)
            .ok()
            .filter(|size| (least..=most).contains(size))
            .ok_or_else(|| format!("attribute {name} is {found}; expected {least} to {most}"))
    }

    /// A text, or `default` where it is not given.
    pub(in crate::engine) fn text(&self, name: &str, default: &'a str) -> Result<&'a str, Wrong> {
        match self.typed(name, AttributeType::String)? {
            Some(one) => readable(&one.s).map_err(|wrong| format!("attribute {name} {wrong}")),
            None => Ok(default),
        }
    }

    /// Numbers; empty where they are not given.
    pub(in crate::engine) fn floats(&self, name: &str) -> Result<&'a [f32], Wrong> {
        Ok(self.typed(name, AttributeType::Floats)?.map_or(&[], |one| &one.floats))
    }

    /// Integers; empty where they are not given.
    pub(in crate::engine) fn ints(&self, name: &str) -> Result<&'a [i64], Wrong> {
        Ok(self.typed(name, AttributeType::Ints)?.map_or(&[], |one| &one.ints))
    }

    /// Texts; empty where they are not given.
    pub(in crate::engine) fn texts(&self, name: &str) -> Result<Vec<String>, Wrong> {
        let text = |(at, bytes): (usize, &'a Vec<u8>)| match readable(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(wrong) => Err(format!("attribute {name}: element {at} {wrong}")),
        };
        self.bytes(name)?.iter().enumerate().map(text).collect()
    }

    /// Byte strings, of which only few differ: nothing is copied.
    pub(in crate::engine) fn bytes(&self, name: &str) -> Result<&'a [Vec<u8>], Wrong> {
        Ok(self.typed(name, AttributeType::Strings)?.map_or(&[], |one| &one.strings))
    }

    /// A tensor.
    pub(in crate::engine) fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, Wrong> {
        match self.typed(name, AttributeType::Tensor)? {
            Some(AttributeProto { t: None, r#type, .. }) if *r#type != AttributeType::Undefined as i32 => {
                Err(format!("attribute {name} holds no tensor"))
            }
            found => Ok(found.and_then(|one| one.t.as_ref())),
        }
    }

    /// A graph.
    pub(in crate::engine) fn graph(&self, name: &str) -> Result<Option<&'a GraphProto>, Wrong> {
        Ok(self.typed(name, AttributeType::Graph)?.and_then(|one| one.g.as_ref()))
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
pub(super) fn readable(bytes: &[u8]) -> Result<&str, Wrong> {
    if bytes.len() > MOST_BYTES {
        return Err(format!("has {} bytes; expected at most {MOST_BYTES}", bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}
