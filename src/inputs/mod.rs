//! Files that people have, as the tensors that a model takes: `.json`, `.npy`, `.npz`, `.csv`, pictures, and made-up data.
//!
//! What a file leaves open (names, datatypes, shapes) comes from the model's own metadata; whatever is changed on the way is said
//! in words, so that a wrong guess is seen.

use std::io::Read;
use std::path::{Path, PathBuf};

use modelyard_wire::json::JsonError;
use modelyard_wire::{DataType, Tensor, TensorError};

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
pub use table::Table;

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
    #[error("input '{name}': element {index} is {value}, which {to} cannot hold (the file has {from})")]
    Cast {
        /// The input.
        name: String,
        /// The element's index in row-major order.
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
    let all: usize = found.iter().product();
    match expected.split_first() {
        Some((_, row)) if row.iter().all(|dim| *dim >= 0) => {
            format!("a row has {} values, the file has {all} in all", row.iter().product::<i64>())
        }
        _ => format!("the model takes {} dimensions, the file has {}", expected.len(), found.len()),
    }
}

/// How files become tensors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading<'a> {
    /// The model's inputs, where a server was asked.
    pub specs: Option<&'a [TensorSpec]>,
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
    let shown = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let located = |error: InputError| match error {
        InputError::Json(error) => InputError::Content(format!("{shown}: {error}")),
        InputError::Content(message) => InputError::Content(format!("{shown}: {message}")),
        other => other,
    };
    match kind(path).as_deref() {
        Some("json") => json::read(&bytes, reading.specs),
        Some("npy") => npy::read_array(&bytes).and_then(|tensor| bind::bare(tensor, reading.specs)),
        Some("npz") => npy::read_arrays(&bytes).and_then(|arrays| bind::arrays(arrays, reading.specs)),
        Some("csv") => Table::parse(&bytes).and_then(|table| table.bind(reading.specs)),
        Some("png" | "jpg" | "jpeg") => picture::read(&shown, &bytes, reading),
        _ => Err(InputError::Kind(path.to_owned())),
    }
    .map_err(located)
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
