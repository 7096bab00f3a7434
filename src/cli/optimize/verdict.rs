//! Whether a result is worth having.

use super::report::Row;
use super::trial::Outcome;

/// Runs vary by some percent from one to the next: this much slower is slower.
const SLOWER: f64 = 1.1;

/// Why the last of the models is not worth having beside the first, where they were measured and it is not: an engine no longer runs it,
/// or answers worse than asked, or the quickest engine takes longer.
pub(super) fn refusal(rows: &[Row], least: Option<f64>) -> Option<String> {
    let ([first, ..], [.., last]) = (rows, rows) else { return None };
    for ((engine, before), (_, after)) in first.outcomes.iter().zip(&last.outcomes) {
        match (before, after) {
            (Outcome::Ran(_), Outcome::Failed(why)) => return Some(format!("{engine} does not run it any more: {why}")),
            (_, Outcome::Ran(after)) => {
                if let Some(least) = least.filter(|least| after.figure.is_nan() || after.figure < *least) {
                    let which = if last.outcomes.len() > 1 { format!(" with {engine}") } else { String::new() };
                    return Some(format!("{} is {:.6}{which}, below {least}", after.metric, after.figure));
                }
            }
            (Outcome::Failed(_), Outcome::Failed(_)) => {}
        }
    }
    let (before, after) = (quickest(first)?, quickest(last)?);
    let ratio = after.1 / before.1;
    let which = if last.outcomes.len() > 1 { format!(", {} after {} before", after.0, before.0) } else { String::new() };
    (ratio > SLOWER).then(|| format!("a run takes {ratio:.2} times as long as the original's{which}"))
}

/// The engine that runs a model quickest, and the microseconds of a run.
pub(super) fn quickest(row: &Row) -> Option<(&'static str, f64)> {
    let ran = row.outcomes.iter().filter_map(|(engine, outcome)| Some((*engine, outcome.ran()?.microseconds)));
    ran.min_by(|one, other| one.1.total_cmp(&other.1))
}

#[cfg(test)]
mod tests {
    use super::super::trial::Measured;
    use super::*;

    fn row(tract: Result<(f64, f64), &str>, other: Result<(f64, f64), &str>) -> Row {
        let outcome = |found: Result<(f64, f64), &str>| match found {
            Ok((figure, microseconds)) => Outcome::Ran(Measured { metric: "accuracy".into(), figure, microseconds }),
            Err(why) => Outcome::Failed(why.to_owned()),
        };
        Row::told(vec![("Tract", outcome(tract)), ("OnnxRuntime", outcome(other))])
    }

    #[test]
    fn the_quickest_engine_decides_and_each_must_answer_well() {
        let before = || row(Ok((0.9, 100.0)), Ok((0.9, 50.0)));
        for (after, least, words) in [
            (row(Ok((0.9, 300.0)), Ok((0.9, 40.0))), Some(0.9), None),
            (row(Ok((0.9, 52.0)), Ok((0.9, 80.0))), None, None),
            (row(Ok((0.9, 90.0)), Ok((0.9, 60.0))), None, Some("1.20 times as long")),
            (row(Ok((0.1, 40.0)), Ok((0.9, 40.0))), Some(0.8), Some("accuracy is 0.100000 with Tract, below 0.8")),
            (row(Ok((f64::NAN, 40.0)), Ok((0.9, 40.0))), Some(0.8), Some("accuracy is NaN with Tract")),
            (row(Err("no such operator"), Ok((0.9, 40.0))), None, Some("Tract does not run it any more: no such operator")),
        ] {
            let found = refusal(&[before(), after], least);
            assert_eq!(found.is_some(), words.is_some(), "{found:?}");
            assert!(words.is_none_or(|words| found.as_ref().is_some_and(|found| found.contains(words))), "{found:?}");
        }
        let neither = || row(Err("never"), Ok((0.9, 50.0)));
        assert_eq!(refusal(&[neither(), neither()], Some(0.9)), None, "what it did not run before is no loss");
    }
}
