//! Engines: what computes. One file (or folder) per engine, each behind the synchronous [`Engine`]; none knows of HTTP, of
//! queues or of other requests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use modelyard_wire::Tensor;

use crate::signature::Signature;

mod catboost;
pub mod choice;
mod dense;
mod ensemble;
mod formats;
mod halves;
mod lightgbm;
mod madeup;
pub mod measure;
mod onnx;
pub mod onnxruntime;
mod quiet;
pub mod sample;
pub mod selfcheck;
pub mod tract;
mod transform;
mod trees;
mod xgboost;

/// What the dimensions of an input without elements may make together, each 0 taken as 1.
const MOST_PLACES: usize = 1 << 24;

pub use measure::{Measured, first_run, measure};
pub use sample::{Proof, SampleError, prove};

/// A loaded model that computes on the calling thread.
pub trait Engine: Send + Sync {
    /// What the model takes and gives.
    fn signature(&self) -> &Signature;

    /// What the file holds.
    fn facts(&self) -> &Facts;

    /// What the model itself takes and gives, where steps stand around it.
    fn within(&self) -> Option<&Signature> {
        None
    }

    /// Runs the model once. `inputs` are in the signature's order and have passed its check; the outputs are in its order too.
    ///
    /// # Errors
    /// See [`RunError`]. After any error the engine is as good as before.
    fn run(&self, inputs: &[Tensor], stop: &Stop) -> Result<Vec<Tensor>, RunError>;
}

/// When a run should end before its end: engines ask between operators.
#[derive(Debug)]
pub struct Stop {
    /// Past it nobody waits for the answer.
    pub deadline: Instant,
    /// Set when the last client that waits has gone.
    pub gone: Arc<AtomicBool>,
}

impl Stop {
    /// A stop at `deadline`.
    pub fn at(deadline: Instant) -> Self {
        Self { deadline, gone: Arc::default() }
    }

    /// Why the run should end now, if it should.
    pub fn reason(&self) -> Option<RunError> {
        if self.gone.load(Ordering::Relaxed) {
            return Some(RunError::Gone);
        }
        (Instant::now() >= self.deadline).then_some(RunError::DeadlineExceeded)
    }
}

/// What a model's file holds, for metadata, `inspect` and logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The platform's name in the Open Inference Protocol, such as `onnx_onnxv1`.
    pub platform: &'static str,
    /// The engine's name: `Dense`, `Trees`, `Tract` or `OnnxRuntime`.
    pub engine: &'static str,
    /// Why it is that engine, in words; empty where there was no choice.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub engine_reason: String,
    /// Operator sets, as `domain version` (the default domain is `ai.onnx`).
    pub opsets: Vec<String>,
    /// Operators and how often each occurs, by name.
    pub operators: std::collections::BTreeMap<String, usize>,
    /// Elements of all initialisers.
    pub parameters: u64,
    /// Bytes of the file and its external data.
    pub bytes: u64,
    /// Who made the file: producer's name and version.
    pub producer: String,
    /// The classes' names, by index, where the file names them; may be empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The outputs that the file makes maps of (`ZipMap`), each with its keys: JSON that has objects writes them so.
    #[serde(skip)]
    pub maps: Vec<(String, Vec<String>)>,
    /// Whether the graph convolves or pools: stacking rows does not pay there.
    pub convolutional: bool,
    /// Whether a row by itself may be answered in another width than among others: rows are then kept together.
    #[serde(skip)]
    pub uneven: bool,
}

/// What keeps a model from running: one operator, tensor or declaration, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The node's name, or its first output where it has none; the tensor's name where no node is at fault.
    pub node: String,
    /// The operator, such as `LSTM`; `input`, `output`, `initializer` or `model` where no operator is at fault.
    pub operator: String,
    /// Why it will not run.
    pub reason: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} '{}': {}", self.operator, self.node, self.reason)
    }
}

impl LoadError {
    /// The refusal for `problems`: the first few in full, then how many more there are.
    fn unsupported(problems: &[Problem]) -> Self {
        const SHOWN: usize = 5;
        let mut text = problems.iter().take(SHOWN).map(Problem::to_string).collect::<Vec<_>>().join("; ");
        if problems.len() > SHOWN {
            text += &format!("; and {} more", problems.len() - SHOWN);
        }
        Self::Unsupported(text)
    }
}

/// Why a file is not a model that this engine runs.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is sound, and the engine would answer wrongly or not at all; the message says which operator and why.
    #[error("unsupported model: {0}")]
    Unsupported(String),
    /// The file is not a sound model.
    #[error("invalid model: {0}")]
    Invalid(String),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why a run gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The data cannot be computed with (an index out of range, a division by zero, shapes that do not fit): the client's fault.
    #[error("{0}")]
    InvalidData(String),
    /// The same, of one row: a value that a step does not take.
    #[error("column '{column}', row {row}: {message}")]
    InvalidRow {
        /// Its index within the run, from 0.
        row: usize,
        /// The column.
        column: String,
        /// What was found, and what was expected.
        message: String,
    },
    /// The deadline passed between two operators.
    #[error("the deadline passed while the model ran")]
    DeadlineExceeded,
    /// Nobody waits for the answer any more.
    #[error("the client has gone")]
    Gone,
    /// The engine's fault.
    #[error("{0}")]
    Internal(String),
}

impl RunError {
    /// The same, of a run whose rows begin after `rows` others of its request.
    pub(crate) fn after(self, rows: usize) -> Self {
        match self {
            Self::InvalidRow { row, column, message } => Self::InvalidRow { row: row + rows, column, message },
            other => other,
        }
    }

    /// Refuses a request without rows. Other dimensions may be 0: a decoder's past is, before its first token. Those beside a 0 cost the
    /// client no byte, and engines work and memory, so they are bounded.
    fn check_empty(signature: &Signature, inputs: &[Tensor]) -> Result<(), Self> {
        for (spec, tensor) in signature.inputs.iter().zip(inputs).filter(|(_, tensor)| tensor.is_empty()) {
            let shape = tensor.shape();
            if signature.batched && shape.first() == Some(&0) {
                return Err(Self::empty(&spec.name, shape));
            }
            let places = shape.iter().try_fold(1_usize, |all, size| all.checked_mul((*size).max(1)));
            if places.is_none_or(|places| places > MOST_PLACES) {
                return Err(Self::InvalidData(format!(
                    "input '{}' is empty: shape {shape:?} has no elements; expected other dimensions of at most {MOST_PLACES} together",
                    spec.name
                )));
            }
        }
        Ok(())
    }

    /// Input `name` has no elements.
    fn empty(name: &str, shape: &[usize]) -> Self {
        Self::InvalidData(format!("input '{name}' is empty: shape {shape:?} has no elements"))
    }
}

/// Loads the model at `path`: an `.onnx` file (its external data beside it), or a file of XGBoost's, LightGBM's or CatBoost's, told
/// by its content. What computes it is [`choice`]'s to say.
///
/// # Errors
/// See [`LoadError`].
pub fn load(path: &Path) -> Result<Box<dyn Engine>, LoadError> {
    Ok(choice::load(path, &choice::Wanted::default())?.engine)
}

/// Reads and checks a file without running it: see [`tract::examine`]. A file of another format is whole or is not.
///
/// # Errors
/// See [`LoadError`].
pub fn examine(path: &Path) -> Result<tract::Examined, LoadError> {
    if let Some(trees) = formats::booster(path, None)? {
        let (facts, signature) = (trees.facts().clone(), Some(trees.signature().clone()));
        return Ok(tract::Examined { facts, signature, problems: Vec::new() });
    }
    tract::examine(path)
}

#[cfg(test)]
mod tests {
    use modelyard_wire::DataType;

    use super::*;
    use crate::signature::TensorSpec;

    #[test]
    fn an_input_without_elements_has_rows_and_no_boundless_dimensions() {
        let refused = |shape: &[usize], batched: bool| {
            let spec = TensorSpec { name: "past".to_owned(), datatype: DataType::Fp32, shape: vec![-1; shape.len()] };
            let past = Tensor::new(DataType::Fp32, shape.to_vec(), bytes::Bytes::new()).unwrap();
            let signature = Signature { inputs: vec![spec], outputs: Vec::new(), batched };
            RunError::check_empty(&signature, &[past]).err().map(|error| error.to_string())
        };
        assert_eq!(refused(&[2, 12, 0, 64], true), None);
        assert_eq!(refused(&[0, 12], false), None);
        assert!(refused(&[0, 12], true).unwrap().contains("input 'past' is empty"));
        for shape in [[1, 0, 1 << 40], [1, 1 << 25, 0], [1 << 13, 1 << 12, 0]] {
            assert!(refused(&shape, true).unwrap().contains("at most 16777216 together"), "{shape:?}");
        }
    }
}
