//! Files that people have, as the tensors that a model takes: `.json`, `.npy`, `.npz`, `.csv`, pictures, and made-up data.
//!
//! What a file leaves open (names, datatypes, shapes) comes from the model's own metadata; whatever is changed on the way is said
//! in words, so that a wrong guess is seen.

use std::io::Read;
use std::path::{Path, PathBuf};

use modelyard_wire::json::JsonError;
use modelyard_wire::{DataType, Tensor, TensorError, element_count};

use crate::client::TensorSpec;

mod bind;
mod cast;
mod dataset;
mod fit;
mod json;
mod npy;
mod picture;
mod stack;
mod synthetic;
mod table;

pub use bind::Bound;
pub use cast::cast;
pub use dataset::{Dataset, Labels, dataset};
pub use fit::{fit, fits};
pub use npy::{read_arrays, write_npy, write_npz};
pub use picture::Scale;
pub use stack::{slice_rows, stack};
pub use synthetic::{Fill, synthetic};
pub use table::{MISSING, Table};

/// A tensor with the name of the input that takes it.
pub type Named = (String, Tensor);

/// A file that no request can be made of.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its format is not known.
    #[error("{}: unknown kind of file; expected .json, .npy, .npz, .csv, .png, .jpg", .0.display())]
    Kind(PathBuf),
    /// Its content is not of its format.
    #[error("{0}")]
    Content(String),
    /// Its JSON is broken.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A tensor that contradicts itself.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A value that the model's datatype cannot hold.
    #[error("input '{name}': row {row}, element {index} is {value}, which {to} cannot hold (the file has {from})")]
    Cast {
        /// The input.
        name: String,
        /// The row.
        row: usize,
        /// The element's index in the row.
        index: usize,
        /// The value, in words.
        value: String,
        /// The file's datatype.
        from: DataType,
        /// The model's datatype.
        to: DataType,
    },
    /// A shape that the model does not take.
    #[error("input '{name}': shape {found:?} does not fit {expected:?} (-1 is any size): {}", explain_shape(found, expected))]
    Shape {
        /// The input.
        name: String,
        /// The file's shape.
        found: Vec<usize>,
        /// The model's shape.
        expected: Vec<i64>,
    },
    /// The file leaves open what only the model's metadata tells, and there is none.
    #[error("{0}; ask a running server (--url), or give a file that says it (an inference request in JSON)")]
    NeedsModel(String),
}

/// Says which number of values is the wrong one.
fn explain_shape(found: &[usize], expected: &[i64]) -> String {
    let row = expected.get(1..).and_then(|row| row.iter().map(|dim| usize::try_from(*dim).ok()).collect::<Option<Vec<_>>>());
    match row {
        Some(row) => {
            let row = element_count(&row).map(|row| format!("{row} values"));
            let all = element_count(found).map(|all| format!("{all} in all"));
            format!("a row has {}, found {}", counted(row), counted(all))
        }
        None => format!("expected {} dimensions, found {}", expected.len(), found.len()),
    }
}

fn counted(count: Option<String>) -> String {
    count.unwrap_or_else(|| "more than can be counted".to_owned())
}

/// How files become tensors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading<'a> {
    /// The model's inputs, where a server was asked.
    pub specs: Option<&'a [TensorSpec]>,
    /// The model's outputs, likewise: a request may ask for some of them.
    pub outputs: Option<&'a [TensorSpec]>,
    /// How a picture's values become the model's.
    pub scale: Scale,
    /// Whether a picture's light and dark are swapped.
    pub invert: bool,
}

/// Reads the tensors of a file (`-` is standard input, JSON).
///
/// # Errors
/// See [`InputError`].
pub fn read(path: &Path, reading: Reading<'_>) -> Result<Bound, InputError> {
    let bytes = contents(path)?;
    let shown = shown(path);
    match kind(path).as_deref() {
        Some("json") => json::read(&bytes, reading),
        Some("npy") => npy::read_array(&bytes).and_then(|tensor| bind::bare(tensor, reading.specs)),
        Some("npz") => npy::read_arrays(&bytes).and_then(|arrays| bind::arrays(arrays, reading.specs)),
        Some("csv") => Table::parse(&bytes).and_then(|table| table.bind(reading.specs)),
        Some("png" | "jpg" | "jpeg") => picture::read(&shown, &bytes, reading),
        _ => Err(InputError::Kind(path.to_owned())),
    }
    .map_err(|error| located(&shown, error))
}

/// A file's name in messages.
fn shown(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// An error about a file's content, with the file's name.
fn located(file: &str, error: InputError) -> InputError {
    match error {
        InputError::Json(error) => InputError::Content(format!("{file}: {error}")),
        InputError::Content(message) => InputError::Content(format!("{file}: {message}")),
        other => other,
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, InputError> {
    let outcome = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    outcome.map_err(|source| InputError::Read { path: path.to_owned(), source })
}

fn kind(path: &Path) -> Option<String> {
    if path.as_os_str() == "-" {
        return Some("json".to_owned());
    }
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_that_does_not_fit_is_explained_however_large() {
        let most = 4_294_967_295;
        for (found, expected, words) in [
            (vec![1, 2], &[-1, 784][..], "a row has 784 values, found 2 in all"),
            (vec![most, most, 784], &[-1, 784], "a row has 784 values, found more than can be counted"),
            (vec![1, 2], &[-1, i64::MAX, i64::MAX], "a row has more than can be counted, found 2 in all"),
            (vec![1, 2, 3], &[-1, -1], "expected 2 dimensions, found 3"),
            (vec![1], &[], "expected 0 dimensions, found 1"),
        ] {
            let error = InputError::Shape { name: "pixels".to_owned(), found, expected: expected.to_vec() };
            let said = error.to_string();
            assert!(said.starts_with("input 'pixels': shape [") && said.ends_with(words), "{said}");
        }
    }
}
