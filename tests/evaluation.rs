//! Every figure of `modelyard evaluate` against scikit-learn's own, to 1e-9 (tests/evaluation/reference.py writes the table).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use modelyard::evaluation::{self, Average, Classification, Confusion, Figure, Regression};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Reference {
    scikit_learn: String,
    classification: Vec<ClassificationCase>,
    regression: Vec<RegressionCase>,
}

#[derive(Deserialize)]
struct ClassificationCase {
    name: String,
    columns: usize,
    truths: Vec<usize>,
    table: Vec<f64>,
    figures: Value,
}

#[derive(Deserialize)]
struct RegressionCase {
    name: String,
    columns: usize,
    truths: Vec<f64>,
    predictions: Vec<f64>,
    figures: Value,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("evaluation/reference.json")).unwrap()
}

fn close(case: &str, what: &str, found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{case}: {what} is {found}, scikit-learn has none"));
    let tolerance = 1e-9 * expected.abs().max(1.0);
    assert!((found - expected).abs() <= tolerance, "{case}: {what} is {found}, scikit-learn says {expected}");
}

/// Undefined here exactly where scikit-learn refuses or answers NaN.
fn same(case: &str, what: &str, found: &Figure, expected: &Value) {
    match found {
        Ok(value) => close(case, what, *value, expected),
        Err(why) => assert!(expected.is_null(), "{case}: {what} is undefined ({why}), scikit-learn says {expected}"),
    }
}

fn averages(case: &str, what: &str, found: &Classification, expected: &Value) {
    for (name, average) in [("micro", found.micro), ("macro", found.macro_), ("weighted", found.weighted)] {
        let Average { precision, recall, f1 } = average;
        for (index, value) in [precision, recall, f1].into_iter().enumerate() {
            close(case, &format!("{what} {name} {index}"), value, &expected[name][index]);
        }
    }
}

#[test]
fn classifiers_agree_with_scikit_learn() {
    let reference = reference();
    assert_eq!(reference.scikit_learn, "1.9.1");
    assert!(reference.classification.len() >= 15);
    for case in reference.classification {
        let (name, figures) = (case.name.as_str(), &case.figures);
        let predicted = evaluation::argmax(&case.table, case.columns);
        let confusion = Confusion::new(&case.truths, &predicted, case.columns).unwrap();
        assert_eq!(serde_json::to_value(confusion.to_rows()).unwrap(), figures["confusion"], "{name}");
        assert_eq!(serde_json::to_value(confusion.seen()).unwrap(), figures["seen_labels"], "{name}");
        let all: Vec<usize> = (0..case.columns).collect();
        let strict = Classification::new(&confusion, &all);
        averages(name, "all", &strict, &figures["all"]);
        averages(name, "seen", &Classification::new(&confusion, &confusion.seen()), &figures["seen"]);
        close(name, "accuracy", strict.accuracy, &figures["accuracy"]);
        close(name, "balanced accuracy", strict.balanced_accuracy, &figures["balanced_accuracy"]);
        close(name, "matthews", strict.matthews, &figures["matthews"]);
        for one in &strict.per_class {
            let expected = &figures["per_class"][one.class];
            for (index, value) in [one.precision, one.recall, one.f1, one.support as f64].into_iter().enumerate() {
                close(name, &format!("class {} figure {index}", one.class), value, &expected[index]);
            }
        }
        probabilities(&case);
    }
}

fn probabilities(case: &ClassificationCase) {
    let (name, figures, columns) = (case.name.as_str(), &case.figures, case.columns);
    same(name, "log loss", &evaluation::log_loss(&case.truths, &case.table, columns).unwrap(), &figures["log_loss"]);
    let brier = evaluation::brier(&case.truths, &case.table, columns, columns - 1).unwrap();
    close(name, "Brier score", brier, &figures["brier_last"]);
    if columns > 2 {
        let top = evaluation::top_k_accuracy(&case.truths, &case.table, columns, 2).unwrap();
        close(name, "top 2", top, &figures["top_2"]);
        let (mean, weighted) = evaluation::roc_auc_ovr(&case.truths, &case.table, columns);
        same(name, "macro ROC AUC", &mean, &figures["roc_auc_ovr_macro"]);
        same(name, "weighted ROC AUC", &weighted, &figures["roc_auc_ovr_weighted"]);
    }
    ranking(case);
}

fn ranking(case: &ClassificationCase) {
    let (name, figures, last) = (case.name.as_str(), &case.figures, case.columns - 1);
    let positive: Vec<bool> = case.truths.iter().map(|truth| *truth == last).collect();
    let scores: Vec<f64> = case.table.chunks(case.columns).map(|row| row[last]).collect();
    same(name, "ROC AUC", &evaluation::roc_auc(&positive, &scores), &figures["roc_auc_last"]);
    same(name, "average precision", &evaluation::average_precision(&positive, &scores), &figures["average_precision_last"]);
    if let Some(curves) = figures["curves_last"].as_object() {
        curve(name, &evaluation::roc(&positive, &scores).unwrap(), &curves["roc"]);
        let ours = evaluation::precision_recall(&positive, &scores).unwrap();
        curve(name, &ours, &curves["precision_recall"]);
    }
    if let Some(bins) = figures["calibration_last"].as_array().filter(|bins| !bins.is_empty()) {
        let ours = evaluation::calibration(&positive, &scores);
        assert_eq!(ours.len(), bins.len(), "{name}: calibration bins");
        for (bin, expected) in ours.iter().zip(bins) {
            close(name, "bin's mean", bin.predicted, &expected[0]);
            close(name, "bin's share", bin.observed, &expected[1]);
        }
    }
}

fn curve(case: &str, found: &[evaluation::Point], expected: &Value) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{case}: points of a curve");
    for (point, pair) in found.iter().zip(expected) {
        close(case, "abscissa", point.x, &pair[0]);
        close(case, "ordinate", point.y, &pair[1]);
    }
}

#[test]
fn regressors_agree_with_scikit_learn() {
    let cases = reference().regression;
    assert!(cases.len() >= 8);
    for case in cases {
        let found = Regression::new(&case.truths, &case.predictions, case.columns).unwrap();
        let (name, figures) = (case.name.as_str(), &case.figures);
        same(name, "R2", &found.r2, &figures["r2"]);
        for (what, value) in [
            ("mae", found.mae),
            ("mse", found.mse),
            ("rmse", found.rmse),
            ("mape", found.mape),
            ("median_ae", found.median_ae),
            ("max_error", found.max_error),
        ] {
            close(name, what, value, &figures[what]);
        }
    }
}
