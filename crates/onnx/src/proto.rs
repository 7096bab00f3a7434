//! The messages of ONNX files, generated from `proto/onnx.proto`. Bytes share the memory of the file that they came from.

#![allow(missing_docs, clippy::all)]

use std::ops::Range;

include!(concat!(env!("OUT_DIR"), "/onnx.rs"));

/// `TensorProto.DataType`, of the types that are read here.
pub mod data_type {
    pub const FLOAT: i32 = 1;
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const INT32: i32 = 6;
    pub const INT64: i32 = 7;
    pub const STRING: i32 = 8;
    pub const FLOAT16: i32 = 10;
    pub const DOUBLE: i32 = 11;
}

/// `TensorProto.DataLocation`: the data lies in another file.
pub const EXTERNAL: i32 = 1;

/// `AttributeProto.AttributeType` of one integer.
pub const ATTRIBUTE_INT: i32 = 2;

/// Of numbers.
pub const ATTRIBUTE_FLOATS: i32 = 6;

/// Of integers.
pub const ATTRIBUTE_INTS: i32 = 7;

/// Of texts.
pub const ATTRIBUTE_STRINGS: i32 = 8;

impl NodeProto {
    /// The attribute of that name.
    #[must_use]
    pub fn attribute_named(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|one| one.name() == name)
    }

    /// Whether it is this operator of the default domain.
    #[must_use]
    pub fn is(&self, operator: &str) -> bool {
        self.op_type() == operator && matches!(self.domain(), "" | "ai.onnx")
    }

    /// The input at `at`, where it is given.
    #[must_use]
    pub fn input_at(&self, at: usize) -> Option<&str> {
        self.input.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The node's name, or its first output where it has none.
    #[must_use]
    pub fn label(&self) -> &str {
        match self.name() {
            "" => self.output.first().map_or("", String::as_str),
            name => name,
        }
    }

    /// Of a `Shape`: which dimensions of a tensor that has so many it gives. The end may lie before the beginning.
    pub(crate) fn stretch(&self, rank: usize) -> Range<usize> {
        let end = i64::try_from(rank).unwrap_or(i64::MAX);
        let place = |name: &str, default: i64| {
            let at = self.attribute_named(name).map_or(default, AttributeProto::i);
            usize::try_from(if at < 0 { at.saturating_add(end) } else { at }.clamp(0, end)).unwrap_or(0)
        };
        place("start", 0)..place("end", end)
    }
}

impl ModelProto {
    /// The version of the default domain's operators.
    #[must_use]
    pub fn opset(&self) -> i64 {
        self.opset_import.iter().find(|one| matches!(one.domain(), "" | "ai.onnx")).map_or(1, OperatorSetIdProto::version)
    }
}
