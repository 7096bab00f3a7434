//! Figures of a classifier that need only the classes it named.
//!
//! Definitions: scikit-learn's `precision_recall_fscore_support(..., zero_division=0)`, `accuracy_score`,
//! `balanced_accuracy_score` and `matthews_corrcoef`.

use super::{Confusion, ratio};

/// Precision, recall and F1 of one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// The class's index.
    pub class: usize,
    /// Of the rows taken for it, the share that were.
    pub precision: f64,
    /// Of its rows, the share that were found.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// Its rows.
    pub support: u64,
}

/// Precision, recall and F1 over classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    /// Averaged precision.
    pub precision: f64,
    /// Averaged recall.
    pub recall: f64,
    /// Averaged F1 (not the F1 of the averages).
    pub f1: f64,
}

/// The figures of a classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// Share of rows named right.
    pub accuracy: f64,
    /// Mean recall over the classes that have rows.
    pub balanced_accuracy: f64,
    /// Matthews' correlation coefficient (Gorodkin's R_K for more than two classes); 0 where it is 0/0.
    pub matthews: f64,
    /// One entry per class asked for.
    pub per_class: Vec<ClassScores>,
    /// Over all decisions.
    pub micro: Average,
    /// Each class counts alike.
    pub macro_: Average,
    /// Each class counts by its rows.
    pub weighted: Average,
}

impl Classification {
    /// The figures over `classes`, as scikit-learn's `labels=`: [`Confusion::seen`] is its default (a class that neither occurs
    /// nor is named counts in no average), all of the model's classes are the stricter choice (it counts as 0).
    #[must_use]
    pub fn new(confusion: &Confusion, classes: &[usize]) -> Self {
        let per_class: Vec<_> = classes.iter().map(|class| scores(confusion, *class)).collect();
        let total =
            |count: fn(&Confusion, usize) -> u64| classes.iter().map(|class| count(confusion, *class)).sum::<u64>() as f64;
        let (hits, named, there) =
            (total(|all, class| all.count(class, class)), total(Confusion::predicted), total(Confusion::truths));
        let micro = Average { precision: ratio(hits, named), recall: ratio(hits, there), f1: ratio(2.0 * hits, named + there) };
        let support: Vec<f64> = per_class.iter().map(|one| one.support as f64).collect();
        Self {
            accuracy: ratio(confusion.correct() as f64, confusion.rows() as f64),
            balanced_accuracy: balanced_accuracy(confusion),
            matthews: matthews(confusion),
            micro,
            macro_: average(&per_class, &vec![1.0; per_class.len()]),
            weighted: average(&per_class, &support),
            per_class,
        }
    }
}

fn scores(confusion: &Confusion, class: usize) -> ClassScores {
    let (hits, named, support) = (confusion.count(class, class) as f64, confusion.predicted(class), confusion.truths(class));
    let (named, there) = (named as f64, support as f64);
    ClassScores {
        class,
        precision: ratio(hits, named),
        recall: ratio(hits, there),
        f1: ratio(2.0 * hits, named + there),
        support,
    }
}

fn average(per_class: &[ClassScores], weights: &[f64]) -> Average {
    let all: f64 = weights.iter().sum();
    let mean = |pick: fn(&ClassScores) -> f64| {
        ratio(per_class.iter().zip(weights).map(|(one, weight)| pick(one) * weight).sum::<f64>(), all)
    };
    Average { precision: mean(|one| one.precision), recall: mean(|one| one.recall), f1: mean(|one| one.f1) }
}

fn balanced_accuracy(confusion: &Confusion) -> f64 {
    let recalls: Vec<f64> = (0..confusion.classes())
        .filter(|class| confusion.truths(*class) > 0)
        .map(|class| confusion.count(class, class) as f64 / confusion.truths(class) as f64)
        .collect();
    ratio(recalls.iter().sum(), recalls.len() as f64)
}

fn matthews(confusion: &Confusion) -> f64 {
    let rows = confusion.rows() as f64;
    let dot = |a: fn(&Confusion, usize) -> u64, b: fn(&Confusion, usize) -> u64| -> f64 {
        (0..confusion.classes()).map(|class| a(confusion, class) as f64 * b(confusion, class) as f64).sum()
    };
    let covariance = confusion.correct() as f64 * rows - dot(Confusion::truths, Confusion::predicted);
    let predicted = rows * rows - dot(Confusion::predicted, Confusion::predicted);
    let truths = rows * rows - dot(Confusion::truths, Confusion::truths);
    ratio(covariance, (predicted * truths).sqrt())
}
