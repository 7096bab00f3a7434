//! Figures of a regressor: row-major tables, one row per sample, one column per target; several targets are averaged alike.
//!
//! Definitions: scikit-learn's `mean_absolute_error`, `root_mean_squared_error`, `r2_score` (`force_finite`),
//! `mean_absolute_percentage_error`, `median_absolute_error` and `max_error`, each with `multioutput='uniform_average'`.

use super::{EvaluationError, Figure, Undefined, same_length};

/// The figures of a regressor.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// Mean absolute error.
    pub mae: f64,
    /// Mean squared error.
    pub mse: f64,
    /// Root of the mean squared error, target by target.
    pub rmse: f64,
    /// Coefficient of determination; undefined for fewer than two rows.
    pub r2: Figure,
    /// Mean absolute percentage error as a ratio (0.1 is 10 %); a truth of 0 counts as 2.2e-16.
    pub mape: f64,
    /// Median absolute error.
    pub median_ae: f64,
    /// The largest absolute error (over all targets).
    pub max_error: f64,
}

impl Regression {
    /// The figures of `predictions` against `truths`, both of `columns` targets.
    ///
    /// # Errors
    /// When the tables differ in length, are empty or hold what is no finite number.
    pub fn new(truths: &[f64], predictions: &[f64], columns: usize) -> Result<Self, EvaluationError> {
        if columns == 0 || !truths.len().is_multiple_of(columns) {
            return Err(EvaluationError::Ragged { values: truths.len(), columns });
        }
        same_length(truths.len() / columns, predictions.len() / columns)?;
        if !predictions.len().is_multiple_of(columns) {
            return Err(EvaluationError::Ragged { values: predictions.len(), columns });
        }
        for table in [truths, predictions] {
            if let Some(at) = table.iter().position(|value| !value.is_finite()) {
                return Err(EvaluationError::NotFinite { row: at / columns, value: table[at] });
            }
        }
        let targets: Vec<Target> = (0..columns).map(|column| Target::new(truths, predictions, (column, columns))).collect();
        let mean = |pick: fn(&Target) -> f64| targets.iter().map(pick).sum::<f64>() / columns as f64;
        let r2 = match truths.len() / columns {
            1 => Err(Undefined("R2 needs two rows or more".to_owned())),
            _ => Ok(mean(|one| one.r2)),
        };
        Ok(Self {
            mae: mean(|one| one.mae),
            mse: mean(|one| one.mse),
            rmse: mean(|one| one.mse.sqrt()),
            r2,
            mape: mean(|one| one.mape),
            median_ae: mean(|one| one.median_ae),
            max_error: targets.iter().map(|one| one.max_error).fold(0.0, f64::max),
        })
    }
}

/// The figures of one target.
struct Target {
    mae: f64,
    mse: f64,
    r2: f64,
    mape: f64,
    median_ae: f64,
    max_error: f64,
}

impl Target {
    fn new(truths: &[f64], predictions: &[f64], (column, columns): (usize, usize)) -> Self {
        let truth = || truths.iter().skip(column).step_by(columns).copied();
        let errors: Vec<f64> =
            truth().zip(predictions.iter().skip(column).step_by(columns)).map(|(a, b)| (a - b).abs()).collect();
        let rows = errors.len() as f64;
        let centre = truth().sum::<f64>() / rows;
        let residual: f64 = errors.iter().map(|one| one * one).sum();
        let spread: f64 = truth().map(|one| (one - centre).powi(2)).sum();
        let r2 = match (residual == 0.0, spread == 0.0) {
            (true, true) => 1.0,
            (false, true) => 0.0,
            _ => 1.0 - residual / spread,
        };
        Self {
            mae: errors.iter().sum::<f64>() / rows,
            mse: residual / rows,
            r2,
            mape: truth().zip(&errors).map(|(truth, error)| error / truth.abs().max(f64::EPSILON)).sum::<f64>() / rows,
            max_error: errors.iter().copied().fold(0.0, f64::max),
            median_ae: median(errors),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] }
}
