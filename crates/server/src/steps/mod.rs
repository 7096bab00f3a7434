//! Steps before and after a model: pure functions over columns, put around an engine as an engine. Clients see the columns that
//! go in and come out; lanes and batches see one model that takes those.
//!
//! Loading compiles the list: names become slots, datatypes and widths are checked against the model's signature, and what only
//! renames, selects or drops costs nothing later. Each step treats each row by itself, so rows of several requests may run
//! together as they may without steps.

use std::path::Path;

use modelyard_core::steps::Step;
use modelyard_wire::DataType;

mod boxes;
mod buckets;
mod bytes;
mod cast;
mod categories;
mod classes;
mod column;
mod compile;
mod concat;
mod expect;
mod image;
mod numbers;
mod pool;
mod scope;
mod stepped;
mod texts;
mod tokens;

pub use stepped::wrap;

use column::{Refused, Table};

/// What a step does to each request.
trait Action: Send + Sync {
    /// Changes the columns.
    ///
    /// # Errors
    /// A row that cannot be treated.
    fn run(&self, table: &mut Table) -> Result<(), Refused>;
}

/// What a step is compiled to; `None` where nothing is left to do for a request.
type Compiled = Option<Box<dyn Action>>;

/// Steps around a model.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// Before it.
    pub before: &'a [Step],
    /// After it.
    pub after: &'a [Step],
    /// Names of its classes, for steps that name none.
    pub classes: &'a [String],
    /// Where the model lies, for what lies beside it.
    pub folder: Option<&'a Path>,
}

impl Around<'_> {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }
}

/// Steps that do not fit each other, or the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// One step.
    #[error("{list}[{at}] ({op}): {message}")]
    Step {
        /// `preprocess` or `postprocess`.
        list: &'static str,
        /// Its place in the list.
        at: usize,
        /// Its operation.
        op: &'static str,
        /// Which column, what was found and what was expected.
        message: String,
    },
    /// What they leave, all together.
    #[error("{list}: {message}")]
    Result {
        /// `preprocess` or `postprocess`.
        list: &'static str,
        /// Which column, what was found and what was expected.
        message: String,
    },
    /// The model's rows are not free.
    #[error(
        "preprocess and postprocess need a model whose every input and output begins with one free batch dimension; this one's do \
         not: export the model with a dynamic first dimension"
    )]
    NoRows,
}

/// The datatype of that name.
fn datatype(named: modelyard_core::steps::Datatype) -> Result<DataType, String> {
    named.as_str().parse().map_err(|error| format!("{error}"))
}

const fn is_float(datatype: DataType) -> bool {
    matches!(datatype, DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64)
}

#[cfg(test)]
mod tests;
