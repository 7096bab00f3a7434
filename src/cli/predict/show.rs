//! An answer for people: the likeliest classes with bars, or what the tensors hold.

use std::fmt::Write as _;

use anyhow::Context;
use modelyard_wire::{Data, Tensor};

use crate::cli::stdout;
use crate::client::Answer;

/// What is shown.
pub(super) struct Shown<'a> {
    /// The answer.
    pub(super) answer: &'a Answer,
    /// What each row is called.
    pub(super) rows: &'a [String],
    /// Class names by index; may be empty.
    pub(super) classes: &'a [String],
    /// Classes to show of each row.
    pub(super) top: usize,
}

/// Cells of a full bar.
const BAR: usize = 24;

/// Prints the answer on stdout.
pub(super) fn print(shown: &Shown<'_>) -> anyhow::Result<()> {
    stdout::print(&render(shown)).context("cannot write the answer")
}

fn render(shown: &Shown<'_>) -> String {
    let mut out = String::new();
    let several = shown.answer.outputs.len() > 1;
    for (name, tensor) in &shown.answer.outputs {
        match Scores::of(tensor, shown.classes) {
            Some(scores) => {
                if several {
                    let _ = writeln!(out, "{name}:");
                }
                ranking(&mut out, shown, &scores);
            }
            None => summary(&mut out, name, tensor),
        }
    }
    out
}

/// A score for each class and row.
struct Scores {
    values: Vec<f64>,
    classes: usize,
    /// Whether each row is a distribution.
    probabilities: bool,
}

impl Scores {
    /// A float tensor `[N, K]` whose rows are distributions, or are as many as there are class names.
    fn of(tensor: &Tensor, classes: &[String]) -> Option<Self> {
        let [_, columns] = *tensor.shape() else { return None };
        let values =
            tensor.to_f64().filter(|_| tensor.datatype().as_str().contains("FP") || tensor.datatype().as_str() == "BF16")?;
        // Half precision keeps three digits of a sum.
        let whole = |row: &[f64]| row.iter().all(|p| (0.0..=1.0).contains(p)) && (row.iter().sum::<f64>() - 1.0).abs() < 5e-3;
        let probabilities = columns > 1 && values.chunks(columns).all(whole);
        (columns > 1 && (probabilities || columns == classes.len())).then_some(Self { values, classes: columns, probabilities })
    }
}

fn ranking(out: &mut String, shown: &Shown<'_>, scores: &Scores) {
    let rows = scores.values.chunks(scores.classes);
    let names: Vec<String> =
        (0..scores.classes).map(|class| shown.classes.get(class).cloned().unwrap_or_else(|| class.to_string())).collect();
    let width = |texts: &[String]| texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let (class_width, row_width) = (width(&names), width(shown.rows));
    let single_line = shown.top == 1;
    for (index, row) in rows.enumerate() {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
        let title = shown.rows.get(index).cloned().unwrap_or_else(|| format!("row {index}"));
        if !single_line {
            let _ = writeln!(out, "{title}");
        }
        for class in order.into_iter().take(shown.top) {
            let (name, score) = (&names[class], row[class]);
            let lead = if single_line { format!("{title:row_width$}") } else { String::new() };
            if scores.probabilities {
                let _ = writeln!(out, "{lead}  {name:class_width$}  {}  {:5.1} %", bar(score), score * 100.0);
            } else {
                let _ = writeln!(out, "{lead}  {name:class_width$}  {score:>12.6}");
            }
        }
    }
}

/// A bar of eighths of a cell.
fn bar(share: f64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if eighths / 8 < BAR {
        bar.push(EIGHTHS[eighths % 8]);
    }
    let filled = bar.chars().count();
    bar.extend(std::iter::repeat_n(' ', BAR - filled));
    bar
}

/// Datatype, shape, the first elements, and the range.
fn summary(out: &mut String, name: &str, tensor: &Tensor) {
    const SHOWN: usize = 10;
    let _ = write!(out, "{name}  {} {:?}", tensor.datatype(), tensor.shape());
    let values = tensor.to_f64();
    let elements: Vec<String> = match (tensor.data(), &values) {
        (Data::Strings(strings), _) => {
            strings.iter().take(SHOWN).map(|text| format!("{:?}", String::from_utf8_lossy(text))).collect()
        }
        (Data::Raw(_), Some(values)) => values.iter().take(SHOWN).map(|value| number(*value)).collect(),
        (Data::Raw(_), None) => Vec::new(),
    };
    let more = if tensor.len() > SHOWN { format!(", ... {} more", tensor.len() - SHOWN) } else { String::new() };
    let _ = writeln!(out, "\n  {}{more}", elements.join(", "));
    if let Some(values) = values.filter(|values| values.len() > SHOWN) {
        let (low, high) =
            values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), one| (low.min(*one), high.max(*one)));
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let _ = writeln!(out, "  least {}, mean {}, greatest {}", number(low), number(mean), number(high));
    }
}

/// Six significant digits, without a tail of zeros.
fn number(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e15 || !value.is_finite() {
        return format!("{value}");
    }
    if !(1e-4..1e6).contains(&value.abs()) {
        return format!("{value:.5e}");
    }
    let digits = (5 - value.abs().log10().floor() as i32).clamp(0, 10) as usize;
    format!("{value:.digits$}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(tensor: Tensor, classes: &[&str], top: usize) -> String {
        let answer = Answer { version: None, outputs: vec![("y".into(), tensor)] };
        let classes: Vec<String> = classes.iter().map(|name| (*name).to_owned()).collect();
        render(&Shown { answer: &answer, rows: &["a.png".to_owned(), "b.png".to_owned()], classes: &classes, top })
    }

    #[test]
    fn classes_are_ranked() {
        let tensor = Tensor::from_f32(vec![2, 3], &[0.25, 0.5, 0.25, 1.0, 0.0, 0.0]).unwrap();
        let text = rendered(tensor.clone(), &["cat", "dog", "bird"], 1);
        assert_eq!(text, "a.png  dog   ████████████               50.0 %\nb.png  cat   ████████████████████████  100.0 %\n");
        assert!(rendered(tensor, &[], 2).starts_with("a.png\n  1  ████████████"));
    }

    #[test]
    fn tensors_are_summed_up() {
        let tensor = Tensor::from_f32(vec![2], &[1.0, 0.123_456_78]).unwrap();
        assert_eq!(rendered(tensor, &[], 5), "y  FP32 [2]\n  1, 0.123457\n");
        let many = Tensor::from_i64(vec![12], &(0..12).collect::<Vec<_>>()).unwrap();
        assert_eq!(
            rendered(many, &[], 5),
            "y  INT64 [12]\n  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 2 more\n  least 0, mean 5.5, greatest 11\n"
        );
    }
}
