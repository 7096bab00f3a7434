//! The confusion matrix: which class was taken for which.

use super::{EvaluationError, same_length};

/// Counts of rows by true class (first index) and predicted class (second index).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// Counts `truths` against `predictions`, both indices below `classes`.
    ///
    /// # Errors
    /// When there are no rows, other numbers of them, or a class of `classes` or above.
    pub fn new(truths: &[usize], predictions: &[usize], classes: usize) -> Result<Self, EvaluationError> {
        same_length(truths.len(), predictions.len())?;
        let mut counts = vec![0; classes * classes];
        for (row, (truth, predicted)) in truths.iter().zip(predictions).enumerate() {
            if let Some(class) = [*truth, *predicted].into_iter().find(|class| *class >= classes) {
                return Err(EvaluationError::Class { row, class, classes });
            }
            counts[truth * classes + predicted] += 1;
        }
        Ok(Self { classes, counts })
    }

    /// The number of classes.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Rows of class `truth` taken for `predicted`.
    #[must_use]
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes + predicted]
    }

    /// Rows of class `class`: its support.
    #[must_use]
    pub fn truths(&self, class: usize) -> u64 {
        (0..self.classes).map(|predicted| self.count(class, predicted)).sum()
    }

    /// Rows taken for `class`.
    #[must_use]
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.classes).map(|truth| self.count(truth, class)).sum()
    }

    /// Rows taken for what they are.
    #[must_use]
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The classes that occur among the truths or the predictions, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<usize> {
        (0..self.classes).filter(|class| self.truths(*class) + self.predicted(*class) > 0).collect()
    }

    /// The matrix as rows, truth by truth.
    #[must_use]
    pub fn to_rows(&self) -> Vec<Vec<u64>> {
        self.counts.chunks(self.classes.max(1)).map(<[u64]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_truths() {
        let confusion = Confusion::new(&[0, 0, 1, 3], &[0, 1, 1, 0], 4).unwrap();
        assert_eq!(confusion.to_rows(), [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]);
        assert_eq!(confusion.seen(), [0, 1, 3]);
        assert_eq!((confusion.correct(), confusion.rows()), (2, 4));
    }

    #[test]
    fn bad_rows_are_named() {
        let message = |truths: &[usize], predictions: &[usize]| Confusion::new(truths, predictions, 2).unwrap_err().to_string();
        assert_eq!(message(&[0, 2], &[0, 0]), "row 1: class 2, but there are 2 classes (0 to 1)");
        assert_eq!(message(&[0], &[]), "1 truths but 0 predictions");
        assert_eq!(message(&[], &[]), "there are no rows to evaluate");
    }
}
