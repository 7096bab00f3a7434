//! How good a model's answers are, as pure arithmetic over truths and predictions: no network, no files, no clock.
//!
//! Every figure has the definition that scikit-learn gives it, its defaults included (`zero_division=0`), since those are the
//! figures that people compare with; a committed table of scikit-learn's own results checks it to 1e-9. Where scikit-learn
//! refuses or answers NaN, the figure here is [`Undefined`] with the reason.

mod calibration;
mod classification;
mod confusion;
mod probability;
mod ranking;
mod regression;

pub use calibration::{Bin, calibration, expected_calibration_error};
pub use classification::{Average, ClassScores, Classification};
pub use confusion::Confusion;
pub use probability::{argmax, brier, log_loss, sums_to_one, top_k_accuracy};
pub use ranking::{Curve, Point, average_precision, precision_recall, roc, roc_auc, roc_auc_ovr};
pub use regression::Regression;

/// A figure, or why there is none.
pub type Figure = Result<f64, Undefined>;

/// Why a figure is not defined for this data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undefined(pub String);

/// Data that no figure can be made of.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvaluationError {
    /// Nothing to evaluate.
    #[error("there are no rows to evaluate")]
    Empty,
    /// One side has more rows than the other.
    #[error("{truths} truths but {predictions} predictions")]
    Length {
        /// Rows of truth.
        truths: usize,
        /// Rows of predictions.
        predictions: usize,
    },
    /// A class index that the model has not.
    #[error("row {row}: class {class}, but there are {classes} classes (0 to {})", classes.saturating_sub(1))]
    Class {
        /// Index of the row.
        row: usize,
        /// The class found.
        class: usize,
        /// How many there are.
        classes: usize,
    },
    /// A table whose size is no multiple of its columns.
    #[error("{values} values do not fill rows of {columns}")]
    Ragged {
        /// Values found.
        values: usize,
        /// Columns declared.
        columns: usize,
    },
    /// A value that is no number.
    #[error("row {row} holds {value}: figures need finite numbers")]
    NotFinite {
        /// Index of the row.
        row: usize,
        /// The value found.
        value: f64,
    },
}

/// Checks that both sides have the same number of rows, and at least one.
fn same_length(truths: usize, predictions: usize) -> Result<(), EvaluationError> {
    match (truths, predictions) {
        (0, 0) => Err(EvaluationError::Empty),
        (a, b) if a == b => Ok(()),
        _ => Err(EvaluationError::Length { truths, predictions }),
    }
}

/// `a / b`, and 0 where `b` is 0: scikit-learn's `zero_division=0`.
fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}
