//! Columns put together and taken apart.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{characters, elements, floats, number, slice, table, tensor};
use super::repair::Known;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// `ArrayFeatureExtractor`: the columns that the second input names, in its order, a negative one counted back from the end as ONNX's
/// reference does (ONNX Runtime refuses it, and with it scikit-learn's RadiusNeighbors). One row [C] gives [1, K].
#[derive(Debug)]
pub(super) struct ArrayFeatureExtractor;

impl ArrayFeatureExtractor {
    fn pick<T: Datum>(input: &Tensor, columns: &[usize], shape: &[usize]) -> TractResult<Tensor> {
        let width = input.shape().last().copied().unwrap_or(1).max(1);
        let rows = slice::<T>(input)?.chunks_exact(width);
        tensor(shape, rows.flat_map(|row| columns.iter().map(|column| row[*column].clone())).collect())
    }
}

impl Kernel for ArrayFeatureExtractor {
    const NAME: &'static str = "ArrayFeatureExtractor";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        match attributes.inputs() {
            2 => Ok(Self),
            found => Err(format!("it has {found} inputs; expected two, the values and the columns to take")),
        }
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [values, columns] = inputs else { bail!("expected two inputs, found {}", inputs.len()) };
        ensure!(columns.kind.is_integer(), "the columns are {:?}; expected integers", columns.kind);
        let Some((_, front)) = values.shape.split_last() else { bail!("the values are a scalar; expected columns") };
        let taken: TDim = columns.shape.iter().product();
        let front = if front.is_empty() { tvec!(1.to_dim()) } else { front.iter().cloned().collect::<TVec<_>>() };
        Ok(tvec!(Fact::new(values.kind, front.into_iter().chain([taken]))))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        Known::computed(inputs)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (values, columns) = (inputs[0], inputs[1].cast_to::<i64>()?);
        let Some((width, front)) = values.shape().split_last() else { bail!("the values are a scalar; expected columns") };
        let column = |at: &i64| {
            let from_front = if *at < 0 { at.saturating_add(*width as i64) } else { *at };
            let found = usize::try_from(from_front).ok().filter(|at| at < width);
            found.with_context(|| format!("column {at} is asked for; the values have {width}"))
        };
        let columns = slice::<i64>(&columns)?.iter().map(column).collect::<TractResult<Vec<_>>>()?;
        let front = if front.is_empty() { &[1] } else { front };
        let shape: Vec<usize> = front.iter().copied().chain([columns.len()]).collect();
        elements(&shape, values.datum_type().size_of())?;
        if values.datum_type() == String::datum_type() {
            let rows = slice::<String>(values)?.chunks_exact((*width).max(1));
            characters(rows.flat_map(|row| columns.iter().map(|column| row[*column].len())))?;
        }
        let picked = dispatch_datum!(Self::pick(values.datum_type())(values, &columns, &shape))?;
        Ok(tvec!(picked))
    }
}

/// `FeatureVectorizer`: the inputs side by side, each cut or filled with zeros to its width.
#[derive(Debug)]
pub(super) struct FeatureVectorizer {
    widths: Vec<usize>,
}

impl Kernel for FeatureVectorizer {
    const NAME: &'static str = "FeatureVectorizer";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        const MOST: i64 = 1 << 24;
        let (widths, inputs) = (attributes.ints("inputdimensions")?, attributes.inputs());
        if widths.len() != inputs || inputs == 0 {
            let found = widths.len();
            return Err(format!("attribute inputdimensions has {found} values; expected one for each of the {inputs} inputs"));
        }
        let width = |width: &i64| match width {
            0..=MOST => Ok(*width as usize),
            _ => Err(format!("attribute inputdimensions holds {width}; expected 0 to {MOST}")),
        };
        Ok(Self { widths: widths.iter().map(width).collect::<Result<_, _>>()? })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let Some(first) = inputs.first() else { bail!("it has no inputs") };
        inputs.iter().try_for_each(|input| number(input.kind).and(input.table().map(drop)))?;
        let width: usize = self.widths.iter().sum();
        Ok(tvec!(Fact::new(f32::datum_type(), [first.table()?.0, width.to_dim()])))
    }

    fn known(&self, inputs: &[Known]) -> Known {
        Known::computed(inputs)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (rows, width) = (table(inputs[0])?.0, self.widths.iter().sum::<usize>());
        let mut joined = vec![0.0_f32; elements(&[rows, width], 4)?];
        let mut begin = 0;
        for (at, (input, room)) in inputs.iter().zip(&self.widths).enumerate() {
            let (found, columns) = table(input)?;
            ensure!(found == rows, "input {at} has {found} rows, the first has {rows}");
            let (values, taken) = (floats(input)?, columns.min(*room));
            for row in 0..rows {
                let from = &values[row * columns..][..taken];
                joined[row * width + begin..][..taken].copy_from_slice(from);
            }
            begin += room;
        }
        Ok(tvec!(tensor(&[rows, width], joined)?))
    }
}
