//! Columns of a table, each encoded by itself and side by side again, in one pass: what `fuse` makes of a `ColumnTransformer`'s one-hot or
//! ordinal encoder.

use std::slice::ChunksExact;

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::label_encoder::LabelEncoder;
use super::lookup::Keys;
use super::numbers::{elements, slice, tensor};
use super::one_hot::OneHotEncoder;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// The encoders, each with its column.
#[derive(Debug)]
pub(super) struct EncodedColumns {
    columns: Vec<Column>,
    /// Columns of the answer.
    width: usize,
    kind: DatumType,
}

#[derive(Debug)]
struct Column {
    /// Its place in the table.
    at: usize,
    /// Whether it becomes INT64 before it is looked up.
    whole: bool,
    /// Where its part of the answer begins.
    begin: usize,
    encoder: Encoder,
}

#[derive(Debug)]
enum Encoder {
    Hot(OneHotEncoder),
    Label(LabelEncoder),
}

impl Encoder {
    fn read(node: &NodeProto) -> Result<Self, Wrong> {
        let attributes = Attributes::of(node);
        let encoder = match node.op_type.as_str() {
            OneHotEncoder::NAME => Self::Hot(OneHotEncoder::read(&attributes)?),
            LabelEncoder::NAME => Self::Label(LabelEncoder::read(&attributes)?),
            other => return Err(format!("attribute encoders has a {other}; expected OneHotEncoder or LabelEncoder")),
        };
        match encoder.keys() {
            Some(keys) if keys.check(f32::datum_type()).is_ok() => Ok(encoder),
            _ => Err("attribute encoders has one of texts; expected numbers".to_owned()),
        }
    }

    const fn keys(&self) -> Option<&Keys> {
        match self {
            Self::Hot(encoder) => Some(encoder.keys()),
            Self::Label(encoder) => encoder.keys(),
        }
    }

    /// Columns of the answer, and their datatype where it is FP32 or INT64.
    fn gives(&self) -> Option<(usize, DatumType)> {
        match self {
            Self::Hot(encoder) => Some((encoder.count(), f32::datum_type())),
            Self::Label(encoder) if encoder.ints().is_some() => Some((1, i64::datum_type())),
            Self::Label(encoder) => encoder.floats().map(|_| (1, f32::datum_type())),
        }
    }
}

impl Column {
    /// The place of a row's value among the keys.
    fn place(&self, row: &[f32]) -> Option<usize> {
        let value = row[self.at];
        // As a cast does it, which makes 0 of what is not a number.
        let value = if self.whole { value as i64 as f64 } else { f64::from(value) };
        self.encoder.keys().and_then(|keys| keys.find_number(value))
    }
}

impl EncodedColumns {
    fn hot(&self, rows: ChunksExact<'_, f32>) -> TractResult<Tensor> {
        let shape = [rows.len(), self.width];
        elements(&shape, size_of::<f32>())?;
        let mut table = Tensor::zero::<f32>(&shape)?;
        let mut hot = table.try_as_plain_ram_mut()?;
        for ((at, row), hot) in rows.enumerate().zip(hot.as_slice_mut::<f32>()?.chunks_exact_mut(self.width)) {
            for column in &self.columns {
                match (column.place(row), &column.encoder) {
                    (Some(place), _) => hot[column.begin + place] = 1.0,
                    (None, Encoder::Hot(encoder)) => encoder.unknown(at)?,
                    (None, Encoder::Label(_)) => {}
                }
            }
        }
        Ok(table)
    }

    fn labels<T: Datum + Copy>(
        &self,
        rows: ChunksExact<'_, f32>,
        values: fn(&LabelEncoder) -> Option<&[T]>,
    ) -> TractResult<Tensor> {
        let shape = [rows.len(), self.width];
        let mut labels = Vec::with_capacity(elements(&shape, size_of::<T>())?);
        let tables = self.columns.iter().map(|column| match &column.encoder {
            Encoder::Label(encoder) => {
                values(encoder).and_then(<[T]>::split_last).map(|(default, values)| (column, default, values))
            }
            Encoder::Hot(_) => None,
        });
        let Some(tables) = tables.collect::<Option<Vec<_>>>() else { bail!("the columns have several kinds of encoders") };
        for row in rows {
            let value =
                |(column, default, values): &(&Column, &T, &[T])| column.place(row).map_or(**default, |place| values[place]);
            labels.extend(tables.iter().map(value));
        }
        tensor(&shape, labels)
    }
}

impl Kernel for EncodedColumns {
    const NAME: &'static str = super::ENCODED_COLUMNS;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let (at, whole) = (attributes.ints("columns")?, attributes.ints("whole")?);
        let nodes = attributes.graph("encoders")?.map_or(&[][..], |graph| &graph.node);
        if nodes.is_empty() || at.len() != nodes.len() || whole.len() != nodes.len() {
            let counts = [at.len(), whole.len(), nodes.len()];
            return Err(format!("attributes columns, whole and encoders have {counts:?} values; expected as many"));
        }
        let (mut columns, mut width, mut kinds) = (Vec::with_capacity(nodes.len()), 0_usize, Vec::new());
        for ((at, whole), node) in at.iter().zip(whole).zip(nodes) {
            let encoder = Encoder::read(node)?;
            let (wide, kind) = encoder.gives().ok_or("attribute encoders has one that gives neither FP32 nor INT64")?;
            let at = usize::try_from(*at).map_err(|_| format!("attribute columns holds {at}; expected none below 0"))?;
            let hot = matches!(encoder, Encoder::Hot(_));
            columns.push(Column { at, whole: *whole != 0, begin: width, encoder });
            kinds.push((kind, hot));
            width = width.saturating_add(wide);
        }
        if kinds.iter().any(|kind| *kind != kinds[0]) {
            return Err("attribute encoders has several kinds; expected one".to_owned());
        }
        let expected = attributes.int("width", 0)?;
        if expected != 0 && usize::try_from(expected) != Ok(width) {
            return Err(format!("attribute width is {expected}; the encoders give {width} columns"));
        }
        Ok(Self { columns, width, kind: kinds[0].0 })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        ensure!(input.kind == f32::datum_type(), "the input is {:?}; expected FP32", input.kind);
        Ok(tvec!(Fact::new(self.kind, [input.table()?.0, self.width.to_dim()])))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (&[_, width], table) = (inputs[0].shape(), slice::<f32>(inputs[0])?) else {
            bail!("the input has the shape {:?}; expected [rows, columns]", inputs[0].shape());
        };
        if let Some(column) = self.columns.iter().find(|column| column.at >= width) {
            bail!("column {} is asked for; the values have {width}", column.at);
        }
        let (hot, rows) = (matches!(self.columns[0].encoder, Encoder::Hot(_)), table.chunks_exact(width));
        Ok(tvec!(match self.kind {
            _ if hot => self.hot(rows)?,
            DatumType::I64 => self.labels(rows, LabelEncoder::ints)?,
            _ => self.labels(rows, LabelEncoder::floats)?,
        }))
    }
}
