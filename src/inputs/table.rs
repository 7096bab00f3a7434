//! Comma-separated values: a column per input, or the columns of the only input.

use modelyard_wire::{DataType, Tensor};

use super::cast::{Elements, Scalar};
use super::picture::is_float;
use super::{Bound, InputError, bind, fit};
use crate::client::TensorSpec;

/// Columns that hold the truth rather than an input, by the names that people give them.
pub(super) const LABELS: [&str; 8] = ["labels", "label", "y", "target", "targets", "y_test", "class", "classes"];

/// Cells that say that nothing is there, as pandas reads them.
pub const MISSING: [&str; 8] = ["", "NA", "N/A", "nan", "NaN", "null", "NULL", "None"];

/// A table of text.
pub struct Table {
    /// The columns' names; `column 1` and so on where the file has no header.
    pub names: Vec<String>,
    rows: Vec<csv::StringRecord>,
    /// Lines before the first row.
    headers: usize,
}

impl Table {
    /// Reads a table. The first line is its header unless every cell of it is a number, or missing.
    ///
    /// # Errors
    /// When it is empty, or a row has other columns than the first.
    pub fn parse(bytes: &[u8]) -> Result<Self, InputError> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        let mut rows: Vec<csv::StringRecord> =
            reader.records().collect::<Result<_, _>>().map_err(|error| InputError::Content(format!("not a table: {error}")))?;
        let Some(first) = rows.first() else { return Err(InputError::Content("the table is empty".to_owned())) };
        let number = |cell: &str| cell.trim().parse::<f64>().is_ok();
        let named = !(first.iter().any(number) && first.iter().all(|cell| number(cell) || MISSING.contains(&cell.trim())));
        let names = match named {
            true => first.iter().map(|cell| cell.trim().trim_start_matches('\u{feff}').to_owned()).collect(),
            false => (1..=first.len()).map(|column| format!("column {column}")).collect(),
        };
        if named {
            rows.remove(0);
        }
        if rows.is_empty() {
            return Err(InputError::Content("the table has a header and no rows".to_owned()));
        }
        Ok(Self { names, rows, headers: usize::from(named) })
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows; never, since [`Table::parse`] refuses them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The index of the column called `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }

    /// The cells of a column.
    pub fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().map(move |row| row.get(column).unwrap_or_default().trim())
    }

    /// The columns as the model's inputs.
    pub(super) fn bind(&self, specs: Option<&[TensorSpec]>) -> Result<Bound, InputError> {
        self.bind_without(&[], specs)
    }

    /// The columns as the model's inputs, leaving some out.
    pub(super) fn bind_without(&self, left_out: &[usize], specs: Option<&[TensorSpec]>) -> Result<Bound, InputError> {
        let Some(specs) = specs else {
            return Err(InputError::NeedsModel("a table does not say its datatypes".to_owned()));
        };
        let mut notes = Vec::new();
        let columns: Option<Vec<usize>> = specs.iter().map(|spec| self.column(&spec.name)).collect();
        if let Some(columns) = columns {
            let mut inputs = Vec::new();
            for (spec, column) in specs.iter().zip(&columns) {
                let tensor = self.tensor(spec, &[*column])?;
                inputs.push((spec.name.clone(), fit(spec, tensor, &mut notes)?));
            }
            let rest: Vec<&str> = (0..self.names.len())
                .filter(|column| !columns.contains(column) && !left_out.contains(column))
                .map(|column| self.names[column].as_str())
                .collect();
            if !rest.is_empty() {
                notes.push(format!("left out: {}", bind::names(rest.into_iter())));
            }
            notes.retain(|note| !note.contains("] sent as ["));
            return Ok(Bound { inputs, notes, ..Bound::default() });
        }
        let [spec] = specs else {
            return Err(InputError::Content(format!(
                "the model has the inputs {}, the table the columns {}",
                bind::names(specs.iter().map(|spec| spec.name.as_str())),
                bind::names(self.names.iter().map(String::as_str))
            )));
        };
        let tensor = self.tensor(spec, &self.features(spec, left_out, &mut notes))?;
        Ok(Bound { inputs: vec![(spec.name.clone(), fit(spec, tensor, &mut notes)?)], notes, ..Bound::default() })
    }

    /// The columns of the only input: all, but for one that is surplus and named as a truth.
    fn features(&self, spec: &TensorSpec, left_out: &[usize], notes: &mut Vec<String>) -> Vec<usize> {
        let mut columns: Vec<usize> = (0..self.names.len()).filter(|column| !left_out.contains(column)).collect();
        let wanted =
            spec.shape.get(1..).and_then(|row| row.iter().map(|dim| usize::try_from(*dim).ok()).product::<Option<usize>>());
        let truth = columns.iter().copied().find(|column| LABELS.contains(&self.names[*column].to_ascii_lowercase().as_str()));
        if let (Some(wanted), Some(truth)) = (wanted, truth)
            && columns.len() == wanted + 1
        {
            notes.push(format!("left out: '{}'", self.names[truth]));
            columns.retain(|column| *column != truth);
        }
        columns
    }

    fn tensor(&self, spec: &TensorSpec, columns: &[usize]) -> Result<Tensor, InputError> {
        let mut elements = Elements::new(spec.datatype, self.rows.len() * columns.len());
        for (index, row) in self.rows.iter().enumerate() {
            for column in columns {
                let cell = row.get(*column).unwrap_or_default();
                if is_float(spec.datatype) && MISSING.contains(&cell.trim()) {
                    elements.push(&Scalar::Float(f64::NAN));
                    continue;
                }
                if !Scalar::parse(cell, spec.datatype).is_some_and(|scalar| elements.push(&scalar)) {
                    return Err(self.misfit(index, *column, spec.datatype));
                }
            }
        }
        elements.finish(vec![self.rows.len(), columns.len()])
    }

    fn misfit(&self, row: usize, column: usize, datatype: DataType) -> InputError {
        let cell: String = self.rows[row].get(column).unwrap_or_default().chars().take(40).collect();
        let line = row + 1 + self.headers;
        let hint = if MISSING.contains(&cell.trim()) { ", which has no missing values" } else { "" };
        InputError::Content(format!("line {line}, column '{}': '{cell}' is no {datatype}{hint}", self.names[column]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, datatype: DataType, shape: &[i64]) -> TensorSpec {
        TensorSpec { name: name.into(), datatype, shape: shape.into() }
    }

    #[test]
    fn columns_of_the_only_input() {
        let specs = [spec("x", DataType::Fp32, &[-1, 2])];
        let expected = Tensor::from_f32(vec![2, 2], &[1.0, 2.5, 3.0, 4.0]).unwrap();
        for text in ["a,b\n1,2.5\n3,4\n", "1,2.5\n3,4\n", "a,b,label\n1,2.5,cat\n3,4,dog\n"] {
            let bound = Table::parse(text.as_bytes()).unwrap().bind(Some(&specs)).unwrap();
            assert_eq!(bound.inputs, [("x".to_owned(), expected.clone())], "{text}");
        }
    }

    #[test]
    fn a_column_per_input() {
        let specs = [spec("age", DataType::Int64, &[-1, 1]), spec("name", DataType::Bytes, &[-1])];
        let bound = Table::parse(b"name,age,note\nAnn,31,x\nBob,7,y\n").unwrap().bind(Some(&specs)).unwrap();
        assert_eq!(bound.inputs[0].1, Tensor::from_i64(vec![2, 1], &[31, 7]).unwrap());
        assert_eq!(bound.inputs[1].1.shape(), [2]);
        assert_eq!(bound.notes, ["left out: 'note'"]);
    }

    #[test]
    fn a_missing_number_is_no_number() {
        for cell in MISSING {
            for text in [format!("a,b\n{cell},2\n"), format!("{cell},2\n")] {
                let bound = Table::parse(text.as_bytes()).unwrap().bind(Some(&[spec("x", DataType::Fp32, &[-1, 2])])).unwrap();
                let values = bound.inputs[0].1.to_f64().unwrap();
                assert!(values[0].is_nan() && values[1] == 2.0, "{text:?}: {values:?}");
            }
            let table = Table::parse(format!("x,y\n{cell},2\n").as_bytes()).unwrap();
            let error = table.bind(Some(&[spec("x", DataType::Int64, &[-1])])).unwrap_err().to_string();
            assert_eq!(error, format!("line 2, column 'x': '{cell}' is no INT64, which has no missing values"));
            let text = table.bind(Some(&[spec("x", DataType::Bytes, &[-1])])).unwrap();
            assert_eq!(text.inputs[0].1, Tensor::strings(vec![1], vec![cell.into()]).unwrap());
        }
    }

    #[test]
    fn faults_say_the_line() {
        let specs = [spec("x", DataType::Fp32, &[-1, 2])];
        let message =
            |text: &str| Table::parse(text.as_bytes()).and_then(|table| table.bind(Some(&specs))).unwrap_err().to_string();
        assert_eq!(message("a,b\n1,2\n1,x\n"), "line 3, column 'b': 'x' is no FP32");
        assert_eq!(message("a,b\n1,1e39\n"), "line 2, column 'b': '1e39' is no FP32");
        assert!(message("a,b,c\n1,2,3\n").contains("a row has 2 values"));
        assert!(message("a,b\n1,2\n1\n").starts_with("not a table"));
        assert_eq!(message(""), "the table is empty");
    }
}
