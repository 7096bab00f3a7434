//! Figures of a classifier that need its probabilities: a row-major table, one row per sample, one column per class.

use std::cmp::Ordering;

use super::{EvaluationError, Figure, Undefined, same_length};

/// The column of the largest value of each row; the lowest index wins a tie, as with NumPy's `argmax`.
#[must_use]
pub fn argmax(table: &[f64], columns: usize) -> Vec<usize> {
    let larger =
        |row: &[f64]| (0..row.len()).rev().max_by(|a, b| row[*a].partial_cmp(&row[*b]).unwrap_or(Ordering::Equal)).unwrap_or(0);
    table.chunks(columns.max(1)).map(larger).collect()
}

/// Whether every row sums to 1 as far as NumPy's `allclose` asks (8 digits of absolute, 5 of relative tolerance).
#[must_use]
pub fn sums_to_one(table: &[f64], columns: usize) -> bool {
    table.chunks(columns.max(1)).all(|row| (1.0 - row.iter().sum::<f64>()).abs() <= 1e-8 + 1e-5 * row.iter().sum::<f64>().abs())
}

/// Cross-entropy in nats: the mean of `-ln p(true class)`, with p clipped to `[eps, 1 - eps]` of `f64`.
///
/// Equal to scikit-learn's `log_loss(y, p.astype(float64), labels=range(columns))`. Like it since version 1.5, rows that do not
/// sum to 1 are taken as they are. (On a `float32` array scikit-learn clips at the coarser 1.2e-7.)
///
/// # Errors
/// [`Undefined`] where a value is no probability, or there is only one class.
pub fn log_loss(truths: &[usize], table: &[f64], columns: usize) -> Result<Figure, EvaluationError> {
    check(truths, table, columns)?;
    if columns < 2 {
        return Ok(Err(Undefined("log loss needs two classes or more".to_owned())));
    }
    if let Some(value) = table.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        return Ok(Err(Undefined(format!("{value} is no probability (0 to 1); are the outputs logits?"))));
    }
    let clipped = |p: f64| p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    let total: f64 = truths.iter().zip(table.chunks(columns)).map(|(truth, row)| -clipped(row[*truth]).ln()).sum();
    Ok(Ok(total / truths.len() as f64))
}

/// Brier score of the probability of `class`: the mean of `(p - [row is of the class])^2`.
///
/// # Errors
/// When table and truths do not fit.
pub fn brier(truths: &[usize], table: &[f64], columns: usize, class: usize) -> Result<f64, EvaluationError> {
    check(truths, table, columns)?;
    let square = |(truth, row): (&usize, &[f64])| (row[class] - f64::from(u8::from(*truth == class))).powi(2);
    Ok(truths.iter().zip(table.chunks(columns)).map(square).sum::<f64>() / truths.len() as f64)
}

/// Share of rows whose true class is among the `k` most likely. Of equal scores the highest index comes first, as in
/// scikit-learn's `top_k_accuracy_score`.
///
/// # Errors
/// When table and truths do not fit.
pub fn top_k_accuracy(truths: &[usize], table: &[f64], columns: usize, k: usize) -> Result<f64, EvaluationError> {
    check(truths, table, columns)?;
    let hit = |(truth, row): &(&usize, &[f64])| {
        let own = row[**truth];
        let before = (0..columns).filter(|at| row[*at] > own || (row[*at] == own && at > truth)).count();
        before < k
    };
    Ok(truths.iter().zip(table.chunks(columns)).filter(hit).count() as f64 / truths.len() as f64)
}

fn check(truths: &[usize], table: &[f64], columns: usize) -> Result<(), EvaluationError> {
    if columns == 0 || !table.len().is_multiple_of(columns) {
        return Err(EvaluationError::Ragged { values: table.len(), columns });
    }
    same_length(truths.len(), table.len() / columns)?;
    if let Some((row, class)) = truths.iter().enumerate().find(|(_, class)| **class >= columns) {
        return Err(EvaluationError::Class { row, class: *class, classes: columns });
    }
    match table.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(EvaluationError::NotFinite { row: at / columns, value: table[at] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lowest_index() {
        assert_eq!(argmax(&[0.5, 0.5, 0.1, 0.9], 2), [0, 1]);
    }

    #[test]
    fn logits_have_no_log_loss() {
        let undefined = log_loss(&[0], &[2.0, -1.0], 2).unwrap().unwrap_err();
        assert_eq!(undefined.to_string(), "2 is no probability (0 to 1); are the outputs logits?");
        assert!(log_loss(&[0], &[f64::NAN, 0.0], 2).is_err());
    }
}
