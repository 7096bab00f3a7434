//! Limits that turn a figure into an exit code.

use std::str::FromStr;

use anyhow::bail;

use super::TaskChoice;
use super::figures::{CLASSIFICATION, Evaluation, REGRESSION, SPEED};
use crate::cli::usage::Usage;

/// A figure and the value that it must keep.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limit {
    metric: String,
    value: f64,
}

/// Figures that are better the smaller they are.
const SMALLER_IS_BETTER: [&str; 13] = [
    "log_loss",
    "brier",
    "calibration_error",
    "mae",
    "mse",
    "rmse",
    "mape",
    "median_ae",
    "max_error",
    "latency_p50_ms",
    "latency_p90_ms",
    "latency_p99_ms",
    "latency_max_ms",
];

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (metric, value) = text.split_once('=').ok_or("expected METRIC=VALUE, such as accuracy=0.92")?;
        let value: f64 = value.trim().parse().map_err(|_| format!("'{value}' is no number"))?;
        if value.is_nan() { Err("NaN is no limit".to_owned()) } else { Ok(Self { metric: metric.trim().to_owned(), value }) }
    }
}

/// Refuses, before a request is sent, limits of figures that there are not, and those on the wrong side, which no good model could
/// keep.
pub(super) fn check(task: TaskChoice, under: &[Limit], over: &[Limit]) -> Result<(), Usage> {
    let (of, known) = match task {
        TaskChoice::Classification => ("a classification", [&CLASSIFICATION[..], &SPEED].concat()),
        TaskChoice::Regression => ("a regression", [&REGRESSION[..], &SPEED].concat()),
        TaskChoice::Auto => ("an evaluation", [&CLASSIFICATION[..], &REGRESSION, &SPEED].concat()),
    };
    for (flag, limit) in under.iter().map(|one| ("--fail-under", one)).chain(over.iter().map(|one| ("--fail-over", one))) {
        if !known.contains(&limit.metric.as_str()) {
            return Err(Usage::new(format!("{flag} {}: no such figure of {of}; there are {}", limit.metric, known.join(", "))));
        }
    }
    if let Some(limit) = under.iter().find(|limit| SMALLER_IS_BETTER.contains(&limit.metric.as_str())) {
        return Err(Usage::new(format!("--fail-under {}: smaller is better of this figure; use --fail-over", limit.metric)));
    }
    if let Some(limit) = over.iter().find(|limit| !SMALLER_IS_BETTER.contains(&limit.metric.as_str())) {
        return Err(Usage::new(format!("--fail-over {}: greater is better of this figure; use --fail-under", limit.metric)));
    }
    Ok(())
}

/// What each broken limit says.
pub(super) fn broken(evaluation: &Evaluation, under: &[Limit], over: &[Limit]) -> anyhow::Result<Vec<String>> {
    let mut reasons = Vec::new();
    for (limit, is_over) in under.iter().map(|limit| (limit, false)).chain(over.iter().map(|limit| (limit, true))) {
        let Limit { metric, value } = limit;
        let Some(figure) = evaluation.metric(metric) else {
            let known: Vec<&str> = evaluation.metrics.iter().map(|(name, _)| *name).collect();
            bail!("no figure '{metric}' of this {}; there are {}", evaluation.task, known.join(", "));
        };
        match figure {
            Err(why) => reasons.push(format!("{metric} is undefined: {why}")),
            Ok(found) if is_over && found > value => reasons.push(format!("{metric} is {found}, above {value}")),
            Ok(found) if !is_over && found < value => reasons.push(format!("{metric} is {found}, below {value}")),
            Ok(_) => {}
        }
    }
    Ok(reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_their_side_checked() {
        let accuracy: Limit = "accuracy=0.9".parse().unwrap();
        assert_eq!(accuracy, Limit { metric: "accuracy".into(), value: 0.9 });
        let loss: Limit = "log_loss = 0.3".parse().unwrap();
        let auto = TaskChoice::Auto;
        assert!(check(auto, std::slice::from_ref(&accuracy), std::slice::from_ref(&loss)).is_ok());
        assert!(check(auto, &[loss], &[]).unwrap_err().to_string().contains("use --fail-over"));
        assert!(check(auto, &[], std::slice::from_ref(&accuracy)).unwrap_err().to_string().contains("use --fail-under"));
        let unknown: Limit = "acuracy=0.9".parse().unwrap();
        let words = check(auto, std::slice::from_ref(&unknown), &[]).unwrap_err().to_string();
        assert!(words.starts_with("--fail-under acuracy: no such figure of an evaluation; there are accuracy, "), "{words}");
        let words = check(TaskChoice::Regression, &[], &[unknown]).unwrap_err().to_string();
        assert!(words.starts_with("--fail-over acuracy: no such figure of a regression; there are mae, "), "{words}");
        assert!(words.ends_with(", rows_per_second") && !words.contains(" accuracy"), "{words}");
        assert!(check(TaskChoice::Regression, &[accuracy], &[]).is_err());
        // Each name of the one list is on the other.
        let all = [&CLASSIFICATION[..], &REGRESSION, &SPEED].concat();
        assert!(SMALLER_IS_BETTER.iter().all(|name| all.contains(name)));
        for wrong in ["accuracy", "accuracy=high", "accuracy=NaN"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }
}
