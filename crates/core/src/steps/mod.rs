//! Steps before and after a model: what each is called and takes. The enumeration here is the only list: the schema of the API
//! ([`written`]), the server's configuration and the checks ([`check`]) are made of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod check;
mod real;
mod written;

pub use check::Wrong;
pub use written::{Misfit, WrittenStep};

/// One step over the columns of a request, or of an answer. Each row goes its own way: a step never sees two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all_fields = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the schema describes the fields that several operations have")]
pub enum Step {
    /// Declares columns that clients send.
    Input {
        columns: Vec<String>,
        /// What kind of elements. Without it FP32.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        datatype: Option<Datatype>,
        /// Values of a row, where it is not one plain value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 1_048_576))]
        width: Option<i32>,
    },
    /// Calls columns otherwise.
    Rename { columns: Vec<String>, to: Vec<String> },
    /// Keeps these columns, in this order.
    Select { columns: Vec<String> },
    /// Leaves columns out.
    Drop { columns: Vec<String> },
    /// Turns elements into another kind.
    Cast { columns: Vec<String>, datatype: Datatype },
    /// Puts something where nothing is: NaN of numbers, an empty text of texts.
    Fill {
        columns: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "real::many")]
        values: Vec<f64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        texts: Vec<String>,
    },
    /// Brings what is beyond a bound to the bound.
    Clip {
        columns: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "real::many")]
        min: Vec<f64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "real::many")]
        max: Vec<f64>,
    },
    /// `(x - mean) / scale`.
    Standardise {
        columns: Vec<String>,
        #[serde(deserialize_with = "real::many")]
        mean: Vec<f64>,
        #[serde(deserialize_with = "real::many")]
        scale: Vec<f64>,
    },
    /// From `min` and `max` to 0 and 1, or to `low` and `high`.
    MinMax {
        columns: Vec<String>,
        #[serde(deserialize_with = "real::many")]
        min: Vec<f64>,
        #[serde(deserialize_with = "real::many")]
        max: Vec<f64>,
        /// Where the range begins. Without it 0.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "real::maybe")]
        low: Option<f64>,
        /// Where the range ends. Without it 1.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "real::maybe")]
        high: Option<f64>,
    },
    /// `(x - center) / scale`, of median and quartiles.
    Robust {
        columns: Vec<String>,
        #[serde(deserialize_with = "real::many")]
        center: Vec<f64>,
        #[serde(deserialize_with = "real::many")]
        scale: Vec<f64>,
    },
    /// `ln(x + offset)`.
    Log {
        columns: Vec<String>,
        /// What is added before the logarithm, and taken off after the exponential. Without it 0.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "real::maybe")]
        offset: Option<f64>,
    },
    /// `exp(x) - offset`.
    Exp {
        columns: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "real::maybe")]
        offset: Option<f64>,
    },
    /// One column of 0 and 1 for each known value, FP32.
    OneHot {
        columns: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "real::many")]
        values: Vec<f64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        texts: Vec<String>,
        /// What becomes of a value that is not listed: `Error` refuses the row, `Ignore` leaves nothing but zeros, `Value` puts
        /// `unknownValue`. Without it Error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unknown: Option<Unknown>,
    },
    /// The place of a value in a list, INT64.
    Ordinal {
        columns: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "real::many")]
        values: Vec<f64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        texts: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unknown: Option<Unknown>,
        /// The number of a value that is not listed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unknown_value: Option<i64>,
    },
    /// How many of the edges are at or below the number, INT64.
    Bucketise {
        columns: Vec<String>,
        /// Between the buckets, ascending.
        #[serde(deserialize_with = "real::many")]
        edges: Vec<f64>,
    },
    /// Columns of numbers side by side in one.
    Concat {
        columns: Vec<String>,
        to: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        datatype: Option<Datatype>,
    },
    /// `e^x / sum` over the values of a row.
    Softmax { columns: Vec<String> },
    /// `1 / (1 + e^-x)`.
    Sigmoid { columns: Vec<String> },
    /// The index of a row's greatest value, INT64; of equal ones the first.
    Argmax { columns: Vec<String>, to: Vec<String> },
    /// The name of a row's greatest value, or of the class of that number. Without names the model's classes.
    Labels {
        columns: Vec<String>,
        to: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        texts: Vec<String>,
    },
    /// A row's greatest values and their indices, best first; with a third name in `to` the classes' names too.
    TopK {
        columns: Vec<String>,
        to: Vec<String>,
        /// How many.
        #[schemars(range(min = 1, max = 65_536))]
        k: i32,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        texts: Vec<String>,
    },
    /// Whether a number is at least this, BOOL.
    Threshold {
        columns: Vec<String>,
        to: Vec<String>,
        /// From where on it is true.
        #[serde(deserialize_with = "real::one")]
        at: f64,
    },
    /// `x * scale + mean`.
    Denormalise {
        columns: Vec<String>,
        #[serde(deserialize_with = "real::many")]
        mean: Vec<f64>,
        #[serde(deserialize_with = "real::many")]
        scale: Vec<f64>,
    },
}

/// Kinds of elements, as the Open Inference Protocol names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "their names say it")]
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

/// What becomes of a value that is not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Unknown {
    /// Its row is refused.
    #[default]
    Error,
    /// Nothing but zeros.
    Ignore,
    /// The number that is given for it.
    Value,
}

impl Step {
    /// The name of its operation, as it is written.
    #[must_use]
    pub const fn op(&self) -> &'static str {
        match self {
            Self::Input { .. } => "Input",
            Self::Rename { .. } => "Rename",
            Self::Select { .. } => "Select",
            Self::Drop { .. } => "Drop",
            Self::Cast { .. } => "Cast",
            Self::Fill { .. } => "Fill",
            Self::Clip { .. } => "Clip",
            Self::Standardise { .. } => "Standardise",
            Self::MinMax { .. } => "MinMax",
            Self::Robust { .. } => "Robust",
            Self::Log { .. } => "Log",
            Self::Exp { .. } => "Exp",
            Self::OneHot { .. } => "OneHot",
            Self::Ordinal { .. } => "Ordinal",
            Self::Bucketise { .. } => "Bucketise",
            Self::Concat { .. } => "Concat",
            Self::Softmax { .. } => "Softmax",
            Self::Sigmoid { .. } => "Sigmoid",
            Self::Argmax { .. } => "Argmax",
            Self::Labels { .. } => "Labels",
            Self::TopK { .. } => "TopK",
            Self::Threshold { .. } => "Threshold",
            Self::Denormalise { .. } => "Denormalise",
        }
    }

    /// The columns that it works on.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        match self {
            Self::Input { columns, .. }
            | Self::Rename { columns, .. }
            | Self::Select { columns }
            | Self::Drop { columns }
            | Self::Cast { columns, .. }
            | Self::Fill { columns, .. }
            | Self::Clip { columns, .. }
            | Self::Standardise { columns, .. }
            | Self::MinMax { columns, .. }
            | Self::Robust { columns, .. }
            | Self::Log { columns, .. }
            | Self::Exp { columns, .. }
            | Self::OneHot { columns, .. }
            | Self::Ordinal { columns, .. }
            | Self::Bucketise { columns, .. }
            | Self::Concat { columns, .. }
            | Self::Softmax { columns }
            | Self::Sigmoid { columns }
            | Self::Argmax { columns, .. }
            | Self::Labels { columns, .. }
            | Self::TopK { columns, .. }
            | Self::Threshold { columns, .. }
            | Self::Denormalise { columns, .. } => columns,
        }
    }

    /// The columns that it makes; empty where it works in place.
    #[must_use]
    pub fn made(&self) -> &[String] {
        match self {
            Self::Rename { to, .. }
            | Self::Concat { to, .. }
            | Self::Argmax { to, .. }
            | Self::Labels { to, .. }
            | Self::TopK { to, .. }
            | Self::Threshold { to, .. } => to,
            _ => &[],
        }
    }
}

impl Datatype {
    /// Its name in the Open Inference Protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }
}

#[cfg(test)]
mod tests;
