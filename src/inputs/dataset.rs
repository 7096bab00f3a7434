//! Inputs together with the truth about them: what an evaluation needs.

use std::path::Path;

use modelyard_wire::{Data, Tensor, element_count};

use super::{Bound, InputError, Named, Table, bind, contents, kind, located, npy, shown, table};
use crate::client::TensorSpec;

/// Rows of inputs, and as many truths.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The inputs, all rows.
    pub bound: Bound,
    /// The truths.
    pub labels: Labels,
    /// Where the truths were found: `column 'y'`.
    pub origin: String,
}

/// The truths of a dataset, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Names of classes.
    Text(Vec<String>),
    /// Class indices, targets, or one-hot rows.
    Numbers {
        /// Values, row after row.
        values: Vec<f64>,
        /// Values of each row.
        columns: usize,
        /// Whether the file stores them as whole numbers.
        whole: bool,
    },
}

impl Labels {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(names) => names.len(),
            Self::Numbers { values, columns, .. } => values.len() / (*columns).max(1),
        }
    }

    /// Keeps the first `rows` rows.
    pub fn truncate(&mut self, rows: usize) {
        match self {
            Self::Text(names) => names.truncate(rows),
            Self::Numbers { values, columns, .. } => values.truncate(rows * *columns),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads a `.npz` or `.csv` whose array or column `labels` is the truth (several columns with commas between them). Without a
/// name, the first of the usual names is taken: labels, label, y, target, targets, y_test, class, classes.
///
/// # Errors
/// See [`InputError`].
pub fn dataset(path: &Path, labels: Option<&str>, specs: &[TensorSpec]) -> Result<Dataset, InputError> {
    let bytes = contents(path)?;
    let dataset = match kind(path).as_deref() {
        Some("npz") => npy::read_arrays(&bytes).and_then(|arrays| from_arrays(arrays, labels, specs)),
        Some("csv") => Table::parse(&bytes).and_then(|table| from_table(&table, labels, specs)),
        _ => Err(InputError::Content("a dataset is .npz or .csv".to_owned())),
    };
    dataset.and_then(even).map_err(|error| located(&shown(path), error))
}

/// As many truths as rows of each input.
fn even(dataset: Dataset) -> Result<Dataset, InputError> {
    for (name, tensor) in &dataset.bound.inputs {
        let (rows, truths) = (tensor.shape().first().copied().unwrap_or(1), dataset.labels.len());
        if rows != truths {
            return Err(InputError::Content(format!("input '{name}' has {rows} rows, {} has {truths}", dataset.origin)));
        }
    }
    Ok(dataset)
}

/// The truth's name: the one asked for, or the first usual one.
fn find<'a>(names: &[&'a str], wanted: Option<&str>, what: &str, specs: &[TensorSpec]) -> Result<&'a str, InputError> {
    let input = |name: &str| specs.iter().any(|spec| spec.name == name);
    let found = match wanted {
        Some(wanted) => names.iter().find(|name| **name == wanted),
        None => table::LABELS.iter().find_map(|usual| names.iter().find(|name| name.eq_ignore_ascii_case(usual) && !input(name))),
    };
    found.copied().ok_or_else(|| {
        let held = bind::names(names.iter().copied());
        match wanted {
            Some(wanted) => InputError::Content(format!("no {what} '{wanted}' for --labels; the file holds {held}")),
            None => InputError::Content(format!("which {what} is the truth? say --labels; the file holds {held}")),
        }
    })
}

fn from_arrays(arrays: Vec<Named>, labels: Option<&str>, specs: &[TensorSpec]) -> Result<Dataset, InputError> {
    let names: Vec<&str> = arrays.iter().map(|(name, _)| name.as_str()).collect();
    let name = find(&names, labels, "array", specs)?.to_owned();
    let (mut truth, mut rest) = (None, Vec::new());
    for (other, tensor) in arrays {
        if other == name { truth = Some(tensor) } else { rest.push((other, tensor)) }
    }
    let truth = truth.ok_or_else(|| InputError::Content(format!("no array '{name}'")))?;
    // Of x_train and x_test, the one beside y_test.
    if let ([spec], Some(beside)) = (specs, name.strip_prefix("y_").map(|split| format!("x_{split}")))
        && !rest.iter().any(|(other, _)| *other == spec.name)
        && rest.iter().any(|(other, _)| *other == beside)
    {
        rest.retain(|(other, _)| *other == beside);
    }
    Ok(Dataset { bound: bind::arrays(rest, Some(specs))?, labels: truths(&truth)?, origin: format!("array '{name}'") })
}

fn truths(tensor: &Tensor) -> Result<Labels, InputError> {
    if let Data::Strings(strings) = tensor.data() {
        return Ok(Labels::Text(strings.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()));
    }
    let values = tensor.to_f64().ok_or_else(|| InputError::Content("truths are neither numbers nor text".to_owned()))?;
    let row = tensor.shape().get(1..).unwrap_or_default();
    let columns = element_count(row).ok_or_else(|| InputError::Content(format!("the truths have rows of shape {row:?}")))?.max(1);
    let whole = !matches!(tensor.datatype().as_str(), "FP16" | "BF16" | "FP32" | "FP64");
    Ok(Labels::Numbers { values, columns, whole })
}

fn from_table(table: &Table, labels: Option<&str>, specs: &[TensorSpec]) -> Result<Dataset, InputError> {
    let names: Vec<&str> = table.names.iter().map(String::as_str).collect();
    let wanted: Vec<Option<&str>> = match labels {
        // A name with a comma in it comes first.
        Some(labels) if names.contains(&labels) => vec![Some(labels)],
        Some(labels) => labels.split(',').map(|name| Some(name.trim())).collect(),
        None => vec![None],
    };
    let mut columns = Vec::new();
    for wanted in wanted {
        let name = find(&names, wanted, "column", specs)?;
        columns.extend(table.column(name));
    }
    let origin = format!("column {}", bind::names(columns.iter().map(|column| names[*column])));
    let bound = table.bind_without(&columns, Some(specs))?;
    Ok(Dataset { bound, labels: cells(table, &columns)?, origin })
}

fn cells(table: &Table, columns: &[usize]) -> Result<Labels, InputError> {
    let (mut values, mut whole) = (vec![0.0; table.len() * columns.len()], true);
    for (at, column) in columns.iter().enumerate() {
        for (row, cell) in table.cells(*column).enumerate() {
            let Ok(number) = cell.parse::<f64>() else {
                if let [only] = columns {
                    return Ok(Labels::Text(table.cells(*only).map(str::to_owned).collect()));
                }
                return Err(InputError::Content(format!("column '{}': '{cell}' is no number", table.names[*column])));
            };
            whole &= !cell.contains(['.', 'e', 'E']);
            values[row * columns.len() + at] = number;
        }
    }
    Ok(Labels::Numbers { values, columns: columns.len(), whole })
}

#[cfg(test)]
mod tests {
    use modelyard_wire::DataType;

    use super::*;

    fn specs() -> [TensorSpec; 1] {
        [TensorSpec { name: "x".into(), datatype: DataType::Fp32, shape: vec![-1, 2] }]
    }

    #[test]
    fn truths_of_a_table() {
        let table = Table::parse(b"a,b,label\n1,2,cat\n3,4,dog\n").unwrap();
        let found = from_table(&table, None, &specs()).unwrap();
        assert_eq!(found.labels, Labels::Text(vec!["cat".into(), "dog".into()]));
        assert_eq!(found.bound.inputs[0].1.shape(), [2, 2]);
        let table = Table::parse(b"a,b,y,z\n1,2,0,1.5\n3,4,1,2\n").unwrap();
        let found = from_table(&table, Some("y,z"), &specs()).unwrap();
        assert_eq!(found.labels, Labels::Numbers { values: vec![0.0, 1.5, 1.0, 2.0], columns: 2, whole: false });
        assert!(from_table(&table, Some("q"), &specs()).unwrap_err().to_string().contains("no column 'q' for --labels"));
    }

    #[test]
    fn truths_of_arrays() {
        let arrays = vec![
            ("x_train".to_owned(), Tensor::from_f32(vec![3, 2], &[0.0; 6]).unwrap()),
            ("x_test".to_owned(), Tensor::from_f32(vec![1, 2], &[0.0; 2]).unwrap()),
            ("y_test".to_owned(), Tensor::from_i64(vec![1], &[4]).unwrap()),
        ];
        let found = from_arrays(arrays, None, &specs()).unwrap();
        assert_eq!(found.labels, Labels::Numbers { values: vec![4.0], columns: 1, whole: true });
        assert_eq!(found.bound.inputs[0].1.shape(), [1, 2]);
        let endless = Tensor::from_f32(vec![0, usize::MAX, usize::MAX], &[]).unwrap();
        assert!(truths(&endless).unwrap_err().to_string().contains("rows of shape"));
    }

    #[test]
    fn what_is_wrong_with_a_file_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content, words) in [
            ("x.csv", "a,b,label\n1,2,cat\n3,dog,dog\n", "x.csv: line 3, column 'b': 'dog' is no FP32"),
            ("x.csv", "", "x.csv: the table is empty"),
            ("x.npz", "PK", "x.npz: not a .npz file"),
            ("x.txt", "", "x.txt: a dataset is .npz or .csv"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let said = dataset(&path, None, &specs()).unwrap_err().to_string();
            assert!(said.starts_with(words), "{said}");
        }
    }
}
