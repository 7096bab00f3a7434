//! What fields of steps choose from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

// `wire` has them too: neither crate may know the other, and the server takes one for the other by their names.
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

/// What becomes of a row that breaks a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Otherwise {
    /// It is refused.
    #[default]
    Refuse,
    /// It is answered, and flagged.
    Flag,
}

/// A part of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Part {
    Year,
    Month,
    Day,
    Weekday,
    DayOfYear,
    Hour,
    Minute,
    Second,
}

impl Part {
    /// The column that holds it.
    #[must_use]
    pub fn column(self, of: &str) -> String {
        let part = match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Weekday => "weekday",
            Self::DayOfYear => "day_of_year",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        };
        format!("{of}_{part}")
    }
}

/// How an image comes to another size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Fit {
    /// Whatever its proportions.
    #[default]
    Stretch,
    /// The middle is cut out.
    Crop,
    /// What is missing is filled.
    Pad,
}

/// How pixels are computed from others, by Pillow's names but for `BOX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Filter {
    /// A triangle.
    #[default]
    Bilinear,
    /// The mean of the area, Pillow's `BOX`.
    Area,
    /// A cubic, a = -0.5.
    Bicubic,
    /// A sinc of three lobes.
    Lanczos,
}

/// The channels of a pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "their names say it")]
pub enum Channels {
    #[default]
    Rgb,
    Bgr,
    Grey,
}

/// What goes first in an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Layout {
    /// Channels.
    #[default]
    Chw,
    /// Pixels.
    Hwc,
}

/// What the four numbers of a box are, as torchvision's `box_convert` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum BoxFormat {
    /// Two corners, across before down.
    Xyxy,
    /// Two corners, down before across: TensorFlow's and ONNX's.
    Yxyx,
    /// The centre, width and height.
    Cxcywh,
    /// The upper left corner, width and height.
    Xywh,
}

/// How a vector for each token becomes one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Pooling {
    /// The mean of all.
    #[default]
    Mean,
    /// The greatest of each place.
    Max,
    /// The first.
    First,
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
