//! Steps before and after a model: what each is called and takes. The enumeration here is the only list: the schema of the API
//! ([`written`]), the server's configuration and the checks ([`check`]) are made of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod check;
mod check_rows;
mod facts;
mod kinds;
mod real;
mod widths;
mod written;

pub use check::Wrong;
pub use check_rows::PATTERN_SIZE;
pub use kinds::{BoxFormat, Channels, Datatype, Filter, Fit, Layout, Otherwise, Part, Pooling, Unknown};
pub use widths::Widths;
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
    /// Each column of dates becomes columns of its parts, such as `NAME_weekday`, INT64.
    DateParts {
        columns: Vec<String>,
        /// Which parts, in the order of their columns. Weekdays count from Monday, 0.
        parts: Vec<Part>,
    },
    /// The bucket of a text by its hash, INT64.
    Hash {
        columns: Vec<String>,
        /// How many buckets.
        #[schemars(range(min = 1, max = 2_147_483_647))]
        buckets: i32,
    },
    /// Refuses rows that break a rule, or flags them.
    Expect {
        columns: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "real::many")]
        min: Vec<f64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "real::many")]
        max: Vec<f64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "real::many")]
        values: Vec<f64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        texts: Vec<String>,
        /// A regular expression that texts match: somewhere, unless it has `^` and `$`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
        /// Whether NaN and empty texts break the rule; without it every other rule lets them pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_null: Option<bool>,
        /// What becomes of a row that breaks the rule: it is refused, or answered with outputs of BOOL, named in `to`. Without it Refuse.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        otherwise: Option<Otherwise>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        to: Vec<String>,
    },
    /// An image file's pixels, `[-1, channels, height, width]`: decoded, brought to size, `(pixel / divisor - mean) / scale`.
    Image {
        columns: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        to: Vec<String>,
        #[schemars(range(min = 1, max = 1_048_576))]
        width: i32,
        /// Pixels of a column of the image.
        #[schemars(range(min = 1, max = 4096))]
        height: i32,
        /// How it comes to that size: Stretch, Crop the middle, Pad with `fill`. Without it Stretch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fit: Option<Fit>,
        /// Pixels of the shorter side, before the middle is cut out. Without it the larger of width and height.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 8192))]
        shorter: Option<i32>,
        /// What stands where there is nothing: a level (Image), a number (Bytes). Without it 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 0, max = 65_535))]
        fill: Option<i32>,
        /// How pixels are computed from others, as Pillow does. Without it Bilinear.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<Filter>,
        /// Without it RGB.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channels: Option<Channels>,
        /// Channels first, CHW, or pixels, HWC. Without it CHW.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layout: Option<Layout>,
        /// What pixels, 0 to 255, are divided by first. Without it 255.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "real::maybe")]
        divisor: Option<f64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "real::many")]
        mean: Vec<f64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "real::many")]
        scale: Vec<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        datatype: Option<Datatype>,
        /// Pixels of a file at most. Without it 16777216.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 268_435_456))]
        max_pixels: Option<i32>,
    },
    /// The first and the last bytes of each text or file as numbers, INT32 `[-1, head + tail]`.
    Bytes {
        columns: Vec<String>,
        /// Bytes from the start; `fill` follows where there are fewer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 1_048_576))]
        head: Option<i32>,
        /// Bytes from the end; `fill` goes before where there are fewer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 1_048_576))]
        tail: Option<i32>,
        /// Bytes at each end that are looked at, white space among them. Without it all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 1_048_576))]
        block: Option<i32>,
        /// Whether white space at the start, and at the end, is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strip: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 0, max = 65_535))]
        fill: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        datatype: Option<Datatype>,
    },
    /// Texts, or pairs of them, as numbers of tokens by a tokenizer.json beside the model, padded to the longest.
    Tokenize {
        columns: Vec<String>,
        to: Vec<String>,
        /// The file beside the model. Without it tokenizer.json.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokenizer: Option<String>,
        /// Tokens of a row at most. Without it what the file says, or 512.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 131_072))]
        max_length: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 1_048_576))]
        width: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        datatype: Option<Datatype>,
    },
    /// One vector a row of one for each token.
    Pool {
        columns: Vec<String>,
        to: Vec<String>,
        /// Mean, Max or First (CLS) of the tokens. Without it Mean.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pooling: Option<Pooling>,
        /// The model's input, or column, that is 0 where a token does not count.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mask: Option<String>,
    },
    /// `x / |x|`: each row's length becomes 1.
    NormaliseL2 { columns: Vec<String> },
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
    /// A detector's boxes: decoded, the best of those that overlap kept (non-maximum suppression), so many places an image.
    Boxes {
        columns: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        to: Vec<String>,
        /// What the model's four numbers of a box are. Without it CXCYWH of one column, XYXY of two.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<BoxFormat>,
        /// What they become. Without it YXYX, as TensorFlow has them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_format: Option<BoxFormat>,
        /// Whether a row is values by boxes, `[-1, 4 + classes, boxes]`, and not boxes by values.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boxes_last: Option<bool>,
        /// Whether the fifth value of a box says that something is there; scores of classes are multiplied with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        objectness: Option<bool>,
        /// Whether the first score is that nothing is there: it is never a detection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        background: Option<bool>,
        /// Whether a box may be of several classes; else it is of its best.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        multi_label: Option<bool>,
        /// Whether boxes of one class alone push one another out. Without it true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class_aware: Option<bool>,
        /// What a score is more than. Without it 0.25.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "real::maybe")]
        score_threshold: Option<f64>,
        /// What the intersection over union of two boxes is at most that both are kept. Without it 0.45.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "real::maybe")]
        iou_threshold: Option<f64>,
        /// Boxes an image. Without it 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 4096))]
        max_boxes: Option<i32>,
        /// Boxes above the threshold that are compared, the best ones. Without it 30000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 1_048_576))]
        candidates: Option<i32>,
        /// The column that Image makes: boxes become pixels of the file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frame: Option<String>,
        /// Whether the model's boxes go from 0 to 1, not from 0 to its width and height.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relative: Option<bool>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        texts: Vec<String>,
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

#[cfg(test)]
mod tests;
