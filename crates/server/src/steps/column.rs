//! Columns of one run: tensors as they came, or numbers on their way.

use bytes::{Bytes, BytesMut};
use half::{bf16, f16};
use modelyard_wire::{Data, DataType, Tensor};

use crate::engine::RunError;

/// A row that cannot be treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// Its index within the run.
    pub(super) row: usize,
    pub(super) column: String,
    pub(super) message: String,
}

impl From<Refused> for RunError {
    fn from(refused: Refused) -> Self {
        Self::InvalidRow { row: refused.row, column: refused.column, message: refused.message }
    }
}

/// Bytes that a column which is made of files or texts takes at most.
const MOST_BYTES: usize = 1 << 29;

/// Refuses rows that would take more together, each so many bytes.
pub(super) fn bounded(rows: usize, bytes: usize, column: &str) -> Result<(), Refused> {
    let most = MOST_BYTES / bytes.max(1);
    if rows <= most {
        return Ok(());
    }
    let message = format!("expected {most} rows of this size in one run at most, found {rows}");
    Err(Refused { row: most, column: column.to_owned(), message })
}

/// The elements of a column, a row after the other: the tensor that came, or numbers on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    /// As it came. A column that no step touches keeps its bytes.
    tensor: Option<Tensor>,
    shape: Vec<usize>,
    /// Computed with in 64 bits whatever they are stored as.
    numbers: Vec<f64>,
}

/// The columns of a run, by slot.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Column>,
}

impl Table {
    /// A table with those tensors in its first slots.
    pub(super) fn of(tensors: impl IntoIterator<Item = Tensor>, slots: usize) -> Self {
        let mut table = Self { slots: tensors.into_iter().map(Column::from).collect() };
        table.slots.resize_with(slots, Column::default);
        table
    }

    pub(super) fn put(&mut self, slot: usize, column: Column) {
        self.slots[slot] = column;
    }

    /// Takes a column out.
    pub(super) fn take(&mut self, slot: usize) -> Column {
        std::mem::take(&mut self.slots[slot])
    }

    /// The numbers of a slot, to be changed in place. Compiled steps ask for those of no text.
    pub(super) fn numbers(&mut self, slot: usize) -> &mut Vec<f64> {
        let column = &mut self.slots[slot];
        if let Some(tensor) = column.tensor.take() {
            column.numbers = tensor.to_f64().unwrap_or_default();
        }
        &mut column.numbers
    }

    /// The texts of a slot; none where it has numbers.
    pub(super) fn texts(&self, slot: usize) -> &[Bytes] {
        match self.slots[slot].tensor.as_ref().map(Tensor::data) {
            Some(Data::Strings(texts)) => texts,
            _ => &[],
        }
    }

    /// The shape of a slot.
    pub(super) fn shape(&self, slot: usize) -> Vec<usize> {
        self.slots[slot].shape.clone()
    }
}

impl From<Tensor> for Column {
    fn from(tensor: Tensor) -> Self {
        Self { shape: tensor.shape().to_vec(), tensor: Some(tensor), numbers: Vec::new() }
    }
}

impl Column {
    /// Numbers as a column.
    pub(super) const fn numbers(shape: Vec<usize>, numbers: Vec<f64>) -> Self {
        Self { tensor: None, shape, numbers }
    }

    /// Texts as a column, as many as the shape says.
    pub(super) fn texts(shape: Vec<usize>, texts: Vec<Bytes>) -> Self {
        Tensor::strings(shape, texts).map(Self::from).unwrap_or_default()
    }

    /// The tensor of it, with numbers in that datatype.
    pub(super) fn tensor(self, datatype: DataType) -> Result<Tensor, RunError> {
        match self.tensor {
            Some(tensor) => Ok(tensor),
            None => Tensor::new(datatype, self.shape, raw(&self.numbers, datatype))
                .map_err(|error| RunError::Internal(error.to_string())),
        }
    }
}

/// Numbers as they are stored. Whole numbers are within their range: [`super::cast`] has seen to it.
fn raw(values: &[f64], datatype: DataType) -> Bytes {
    let mut raw = BytesMut::with_capacity(values.len() * datatype.size().unwrap_or(0));
    macro_rules! each {
        ($number:expr) => {
            values.iter().for_each(|value| raw.extend_from_slice(&$number(*value).to_le_bytes()))
        };
    }
    match datatype {
        DataType::Bool => each!(|value: f64| u8::from(value != 0.0)),
        DataType::Uint8 => each!(|value: f64| value as u8),
        DataType::Uint16 => each!(|value: f64| value as u16),
        DataType::Uint32 => each!(|value: f64| value as u32),
        DataType::Uint64 => each!(|value: f64| value as u64),
        DataType::Int8 => each!(|value: f64| value as i8),
        DataType::Int16 => each!(|value: f64| value as i16),
        DataType::Int32 => each!(|value: f64| value as i32),
        DataType::Int64 => each!(|value: f64| value as i64),
        DataType::Fp16 => each!(f16::from_f64),
        DataType::Bf16 => each!(bf16::from_f64),
        DataType::Fp32 => each!(|value: f64| value as f32),
        DataType::Fp64 => each!(|value: f64| value),
        DataType::Bytes => {}
    }
    raw.freeze()
}
