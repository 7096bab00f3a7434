//! Figures of how a score ranks the rows of a class before the others: ROC and precision-recall curves, and the areas below.
//!
//! Definitions: scikit-learn's `roc_curve`, `roc_auc_score` (`multi_class='ovr'`), `precision_recall_curve` and
//! `average_precision_score`.

use super::{Figure, Undefined, sums_to_one};

/// One point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Abscissa: false-positive rate (ROC) or recall (precision-recall).
    pub x: f64,
    /// Ordinate: true-positive rate (ROC) or precision (precision-recall).
    pub y: f64,
    /// The score from which on a row counts as positive.
    pub threshold: f64,
}

/// A curve, by falling threshold.
pub type Curve = Vec<Point>;

/// Rows at or above each distinct score: `(positives, negatives, score)`, by falling score.
fn ladder(positive: &[bool], scores: &[f64]) -> Vec<(f64, f64, f64)> {
    let mut order: Vec<usize> = (0..scores.len().min(positive.len())).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let (mut hits, mut misses) = (0.0, 0.0);
    let mut steps: Vec<(f64, f64, f64)> = Vec::new();
    for row in order {
        if positive[row] {
            hits += 1.0
        } else {
            misses += 1.0
        }
        match steps.last_mut() {
            // Adding 0.0 makes -0.0 and 0.0 one score.
            Some(last) if last.2 + 0.0 == scores[row] + 0.0 => *last = (hits, misses, last.2),
            _ => steps.push((hits, misses, scores[row])),
        }
    }
    steps
}

/// The ROC curve, from (0, 0) to (1, 1). Points that lie on a straight line are kept.
///
/// # Errors
/// [`Undefined`] where all rows are positive or none is, or a score is not finite.
pub fn roc(positive: &[bool], scores: &[f64]) -> Result<Curve, Undefined> {
    finite(scores)?;
    let steps = ladder(positive, scores);
    let (hits, misses) = steps.last().map_or((0.0, 0.0), |last| (last.0, last.1));
    if hits == 0.0 || misses == 0.0 {
        let which = if hits == 0.0 { "no row is of the class" } else { "every row is of the class" };
        return Err(Undefined(format!("{which}: ROC AUC needs both")));
    }
    let start = Point { x: 0.0, y: 0.0, threshold: f64::INFINITY };
    let point = |(tp, fp, threshold): &(f64, f64, f64)| Point { x: fp / misses, y: tp / hits, threshold: *threshold };
    Ok(std::iter::once(start).chain(steps.iter().map(point)).collect())
}

/// Area below the ROC curve: the chance that a row of the class scores above another, ties counting half.
///
/// # Errors
/// As [`roc`].
pub fn roc_auc(positive: &[bool], scores: &[f64]) -> Figure {
    let curve = roc(positive, scores)?;
    Ok(curve.windows(2).map(|pair| (pair[1].x - pair[0].x) * f64::midpoint(pair[0].y, pair[1].y)).sum())
}

/// The precision-recall curve by falling threshold. Where no row is positive, recall is 1 throughout, as scikit-learn says.
///
/// # Errors
/// [`Undefined`] where a score is not finite.
pub fn precision_recall(positive: &[bool], scores: &[f64]) -> Result<Curve, Undefined> {
    finite(scores)?;
    let steps = ladder(positive, scores);
    let hits = steps.last().map_or(0.0, |last| last.0);
    let point = |(tp, fp, threshold): &(f64, f64, f64)| Point {
        x: if hits == 0.0 { 1.0 } else { tp / hits },
        y: tp / (tp + fp),
        threshold: *threshold,
    };
    let start = Point { x: 0.0, y: 1.0, threshold: f64::INFINITY };
    Ok(std::iter::once(start).chain(steps.iter().map(point)).collect())
}

/// Average precision: precision summed over the steps of recall.
///
/// # Errors
/// As [`precision_recall`].
pub fn average_precision(positive: &[bool], scores: &[f64]) -> Figure {
    let curve = precision_recall(positive, scores)?;
    Ok(curve.windows(2).map(|pair| (pair[1].x - pair[0].x) * pair[1].y).sum())
}

/// One-versus-rest ROC AUC of a table of probabilities: `(macro, weighted)`.
///
/// Equal to scikit-learn's `roc_auc_score(y, p, multi_class='ovr', average=..., labels=range(columns))`: a class without rows
/// makes the macro mean undefined and weighs nothing in the weighted one.
///
/// # Errors
/// [`Undefined`] each, with the class.
pub fn roc_auc_ovr(truths: &[usize], table: &[f64], columns: usize) -> (Figure, Figure) {
    if !sums_to_one(table, columns) {
        let reason =
            Undefined("the outputs do not sum to 1 over the classes: one-versus-rest ROC AUC needs probabilities".into());
        return (Err(reason.clone()), Err(reason));
    }
    let one = |class: usize| {
        let positive: Vec<bool> = truths.iter().map(|truth| *truth == class).collect();
        let scores: Vec<f64> = table.chunks(columns).map(|row| row[class]).collect();
        roc_auc(&positive, &scores).map_err(|why| Undefined(format!("class {class}: {why}")))
    };
    let areas: Vec<Figure> = (0..columns).map(one).collect();
    let mean = areas.iter().cloned().sum::<Figure>().map(|sum| sum / columns as f64);
    let weigh = |class: usize| truths.iter().filter(|truth| **truth == class).count() as f64;
    let weighted = areas
        .into_iter()
        .enumerate()
        .filter(|(class, _)| weigh(*class) > 0.0)
        .map(|(class, area)| area.map(|area| area * weigh(class)))
        .sum::<Figure>()
        .map(|sum| sum / truths.len() as f64);
    (mean, weighted)
}

fn finite(scores: &[f64]) -> Result<(), Undefined> {
    match scores.iter().find(|score| !score.is_finite()) {
        Some(score) => Err(Undefined(format!("a score is {score}: ranking needs finite numbers"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_class_alone_is_undefined() {
        assert_eq!(roc_auc(&[true, true], &[0.1, 0.2]).unwrap_err().0, "every row is of the class: ROC AUC needs both");
        assert_eq!(roc_auc(&[false], &[0.1]).unwrap_err().0, "no row is of the class: ROC AUC needs both");
    }

    proptest! {
        /// The area equals the share of well-ordered pairs (Mann and Whitney's U), counted one by one.
        #[test]
        fn area_counts_pairs(rows in prop::collection::vec((any::<bool>(), 0_i8..6), 2..40)) {
            let (positive, scores): (Vec<bool>, Vec<f64>) = rows.iter().map(|(one, score)| (*one, f64::from(*score))).unzip();
            let side = |want: bool| rows.iter().filter(move |row| row.0 == want).map(|row| row.1);
            let pairs: Vec<f64> = side(true)
                .flat_map(|a| side(false).map(move |b| if a > b { 1.0 } else if a == b { 0.5 } else { 0.0 }))
                .collect();
            match roc_auc(&positive, &scores) {
                Ok(area) => prop_assert!((area - pairs.iter().sum::<f64>() / pairs.len() as f64).abs() < 1e-12),
                Err(_) => prop_assert!(pairs.is_empty()),
            }
        }
    }
}
