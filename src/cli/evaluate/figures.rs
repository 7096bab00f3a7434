//! All figures of one evaluation, by name.

use crate::evaluation::{self, Bin, ClassScores, Classification, Confusion, Curve, Figure, Regression, Undefined, argmax};

use super::interpret::{Interpreted, Task};
use super::send::Sent;

/// What was measured.
pub(super) struct Evaluation {
    /// The model.
    pub(super) model: String,
    /// Its version, where the protocol tells.
    pub(super) version: Option<String>,
    /// `classification` or `regression`.
    pub(super) task: &'static str,
    /// Rows sent.
    pub(super) rows: usize,
    /// Every figure, by the name that --fail-under takes.
    pub(super) metrics: Vec<(&'static str, Figure)>,
    /// What a classifier has more.
    pub(super) classes: Option<Classes>,
    /// What a regressor has more.
    pub(super) numbers: Option<Numbers>,
    /// Rows of a request, and requests in flight.
    pub(super) batch: (usize, usize),
}

/// A classifier's figures by class.
pub(super) struct Classes {
    /// Names by index.
    pub(super) names: Vec<String>,
    /// Precision, recall and F1 of each class that counts.
    pub(super) scores: Vec<ClassScores>,
    /// The confusion matrix.
    pub(super) confusion: Confusion,
    /// The curves of each class that has any (of the second one alone, where there are two).
    pub(super) curves: Vec<ClassCurves>,
    /// Confidence against correctness (against the second class, where there are two).
    pub(super) calibration: Vec<Bin>,
}

/// The curves of one class against the rest.
pub(super) struct ClassCurves {
    /// The class.
    pub(super) class: usize,
    /// ROC.
    pub(super) roc: Curve,
    /// Area below it.
    pub(super) roc_auc: f64,
    /// Precision over recall.
    pub(super) precision_recall: Curve,
    /// Average precision.
    pub(super) average_precision: f64,
}

/// A regressor's rows.
pub(super) struct Numbers {
    /// The true values.
    pub(super) truths: Vec<f64>,
    /// The predicted values.
    pub(super) predictions: Vec<f64>,
}

impl Evaluation {
    /// Computes every figure.
    pub(super) fn new(model: &str, interpreted: Interpreted, sent: Sent, all_classes: bool) -> anyhow::Result<Self> {
        let mut evaluation = Self {
            model: model.to_owned(),
            version: sent.version.clone(),
            task: "regression",
            rows: 0,
            metrics: Vec::new(),
            classes: None,
            numbers: None,
            batch: (sent.batch, sent.concurrency),
        };
        match interpreted.task {
            Task::Numbers { truths, predictions, columns } => {
                evaluation.rows = truths.len() / columns.max(1);
                evaluation.metrics = regression(&Regression::new(&truths, &predictions, columns)?);
                evaluation.numbers = Some(Numbers { truths, predictions });
            }
            Task::Classes { names, truths, predictions, scores } => {
                (evaluation.task, evaluation.rows) = ("classification", truths.len());
                let confusion = Confusion::new(&truths, &predictions, names.len())?;
                let counted = if all_classes { (0..names.len()).collect() } else { confusion.seen() };
                let figures = Classification::new(&confusion, &counted);
                evaluation.metrics = classification(&figures);
                let mut classes =
                    Classes { names, scores: figures.per_class, confusion, curves: Vec::new(), calibration: Vec::new() };
                if let Some(table) = scores {
                    evaluation.metrics.extend(probabilities(&truths, &table, &mut classes)?);
                }
                evaluation.classes = Some(classes);
            }
        }
        evaluation.metrics.extend(speed(&sent, evaluation.rows));
        Ok(evaluation)
    }

    /// The figure called `name`.
    pub(super) fn metric(&self, name: &str) -> Option<&Figure> {
        self.metrics.iter().find(|(known, _)| *known == name).map(|(_, figure)| figure)
    }
}

/// The names of a classifier's figures; some depend on how many classes there are.
pub(super) const CLASSIFICATION: [&str; 20] = [
    "accuracy",
    "balanced_accuracy",
    "mcc",
    "precision_micro",
    "precision_macro",
    "precision_weighted",
    "recall_micro",
    "recall_macro",
    "recall_weighted",
    "f1_micro",
    "f1_macro",
    "f1_weighted",
    "log_loss",
    "roc_auc",
    "average_precision",
    "brier",
    "roc_auc_ovr_macro",
    "roc_auc_ovr_weighted",
    "top_5_accuracy",
    "calibration_error",
];
/// The names of a regressor's figures.
pub(super) const REGRESSION: [&str; 7] = ["mae", "mse", "rmse", "r2", "mape", "median_ae", "max_error"];
/// The names of the figures of speed.
pub(super) const SPEED: [&str; 5] = ["latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "latency_max_ms", "rows_per_second"];

type Metrics = Vec<(&'static str, Figure)>;

fn regression(figures: &Regression) -> Metrics {
    vec![
        ("mae", Ok(figures.mae)),
        ("mse", Ok(figures.mse)),
        ("rmse", Ok(figures.rmse)),
        ("r2", figures.r2.clone()),
        ("mape", Ok(figures.mape)),
        ("median_ae", Ok(figures.median_ae)),
        ("max_error", Ok(figures.max_error)),
    ]
}

fn classification(figures: &Classification) -> Metrics {
    let Classification { accuracy, balanced_accuracy, matthews, micro, macro_, weighted, .. } = figures;
    [
        ("accuracy", *accuracy),
        ("balanced_accuracy", *balanced_accuracy),
        ("mcc", *matthews),
        ("precision_micro", micro.precision),
        ("precision_macro", macro_.precision),
        ("precision_weighted", weighted.precision),
        ("recall_micro", micro.recall),
        ("recall_macro", macro_.recall),
        ("recall_weighted", weighted.recall),
        ("f1_micro", micro.f1),
        ("f1_macro", macro_.f1),
        ("f1_weighted", weighted.f1),
    ]
    .map(|(name, value)| (name, Ok(value)))
    .to_vec()
}

/// Figures of the scores themselves; the curves and the calibration go into `classes`.
fn probabilities(truths: &[usize], table: &[f64], classes: &mut Classes) -> anyhow::Result<Metrics> {
    let wide = classes.names.len();
    let mut metrics = vec![("log_loss", evaluation::log_loss(truths, table, wide)?)];
    let proper = table.iter().all(|value| (0.0..=1.0).contains(value));
    let no_calibration = || Undefined("the outputs are no probabilities (0 to 1); are they logits? (--logits)".to_owned());
    let column = |class: usize| -> (Vec<bool>, Vec<f64>) {
        (truths.iter().map(|truth| *truth == class).collect(), table.chunks(wide).map(|row| row[class]).collect())
    };
    if wide == 2 {
        let (positive, scores) = column(1);
        metrics.push(("roc_auc", evaluation::roc_auc(&positive, &scores)));
        metrics.push(("average_precision", evaluation::average_precision(&positive, &scores)));
        metrics.push(("brier", if proper { Ok(evaluation::brier(truths, table, 2, 1)?) } else { Err(no_calibration()) }));
        classes.calibration = if proper { evaluation::calibration(&positive, &scores) } else { Vec::new() };
    } else {
        let (mean, weighted) = evaluation::roc_auc_ovr(truths, table, wide);
        metrics.push(("roc_auc_ovr_macro", by_name(mean, &classes.names)));
        metrics.push(("roc_auc_ovr_weighted", by_name(weighted, &classes.names)));
        if wide > 5 {
            metrics.push(("top_5_accuracy", Ok(evaluation::top_k_accuracy(truths, table, wide, 5)?)));
        }
        let correct: Vec<bool> = argmax(table, wide).iter().zip(truths).map(|(named, truth)| named == truth).collect();
        let confidence: Vec<f64> = table.chunks(wide).map(|row| row.iter().copied().fold(f64::MIN, f64::max)).collect();
        classes.calibration = if proper { evaluation::calibration(&correct, &confidence) } else { Vec::new() };
    }
    let error = evaluation::expected_calibration_error(&classes.calibration);
    metrics.push(("calibration_error", if proper { Ok(error) } else { Err(no_calibration()) }));
    let drawn = if wide == 2 { 1..2 } else { 0..wide };
    classes.curves = drawn.filter_map(|class| curves(class, column(class))).collect();
    Ok(metrics)
}

/// Names the class in the reason of an undefined figure.
fn by_name(figure: Figure, names: &[String]) -> Figure {
    figure.map_err(|undefined| {
        let named = undefined.0.strip_prefix("class ").and_then(|rest| rest.split_once(':'));
        let name = named.and_then(|(index, why)| Some((names.get(index.parse::<usize>().ok()?)?, why)));
        name.map_or_else(|| undefined.clone(), |(name, why)| Undefined(format!("class '{name}':{why}")))
    })
}

fn curves(class: usize, (positive, scores): (Vec<bool>, Vec<f64>)) -> Option<ClassCurves> {
    Some(ClassCurves {
        class,
        roc: evaluation::roc(&positive, &scores).ok()?,
        roc_auc: evaluation::roc_auc(&positive, &scores).ok()?,
        precision_recall: evaluation::precision_recall(&positive, &scores).ok()?,
        average_precision: evaluation::average_precision(&positive, &scores).ok()?,
    })
}

/// The requests' latency and the rows' throughput.
fn speed(sent: &Sent, rows: usize) -> Metrics {
    let percentile = |share: f64| {
        let rank = (share * sent.latencies.len() as f64).ceil() as usize;
        Ok(sent.latencies[rank.clamp(1, sent.latencies.len()) - 1] * 1e3)
    };
    vec![
        ("latency_p50_ms", percentile(0.5)),
        ("latency_p90_ms", percentile(0.9)),
        ("latency_p99_ms", percentile(0.99)),
        ("latency_max_ms", percentile(1.0)),
        ("rows_per_second", Ok(rows as f64 / sent.elapsed)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(task: Task) -> BTreeSet<&'static str> {
        let sent = Sent { version: None, outputs: Vec::new(), latencies: vec![0.1], elapsed: 1.0, batch: 1, concurrency: 1 };
        let evaluation = Evaluation::new("m", Interpreted { task, notes: Vec::new() }, sent, true).unwrap();
        evaluation.metrics.iter().map(|(name, _)| *name).collect()
    }

    fn classes(count: usize) -> Task {
        let table = (0..count * count).map(|at| if at % (count + 1) == 0 { 1.0 } else { 0.0 }).collect();
        let (truths, names) = ((0..count).collect::<Vec<_>>(), (0..count).map(|class| class.to_string()).collect());
        Task::Classes { names, predictions: truths.clone(), truths, scores: Some(table) }
    }

    #[test]
    fn the_lists_of_names_are_those_of_the_figures() {
        let listed = |names: &[&'static str]| names.iter().chain(&SPEED).copied().collect::<BTreeSet<_>>();
        let both = names(classes(2)).union(&names(classes(6))).copied().collect();
        assert_eq!(listed(&CLASSIFICATION), both);
        let numbers = Task::Numbers { truths: vec![1.0, 2.0], predictions: vec![1.0, 2.0], columns: 1 };
        assert_eq!(listed(&REGRESSION), names(numbers));
    }
}
