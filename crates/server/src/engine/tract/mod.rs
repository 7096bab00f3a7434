//! tract: ONNX in pure Rust.

use std::path::Path;

use modelyard_wire::Tensor;

use super::{Engine, Facts, LoadError, RunError, Stop};
use crate::signature::Signature;

/// A model that tract runs.
pub struct Tract {
    signature: Signature,
    facts: Facts,
}

impl Tract {
    /// Loads an `.onnx` file.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Err(LoadError::Unsupported(path.display().to_string()))
    }
}

impl Engine for Tract {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, _inputs: &[Tensor], _stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        Err(RunError::Internal(String::new()))
    }
}
