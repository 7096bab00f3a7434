//! What a model's outputs and a file's truths mean: classes or numbers, and which of them.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use modelyard_wire::{Data, Tensor};

use super::TaskChoice;
use crate::evaluation::argmax;
use crate::inputs::{Labels, Named};

/// What the user said about it.
pub(super) struct Asked<'a> {
    /// The task, or auto.
    pub(super) task: TaskChoice,
    /// The output to compare.
    pub(super) compare: Option<&'a str>,
    /// Whether it is logits.
    pub(super) logits: bool,
    /// Class names by index.
    pub(super) classes: &'a [String],
}

/// Truths and predictions that can be compared.
pub(super) struct Interpreted {
    /// What they are.
    pub(super) task: Task,
    /// What was decided, in words.
    pub(super) notes: Vec<String>,
}

/// Truths and predictions.
pub(super) enum Task {
    /// Class indices below `names.len()`.
    Classes {
        /// Class names by index.
        names: Vec<String>,
        /// The true classes.
        truths: Vec<usize>,
        /// The predicted classes.
        predictions: Vec<usize>,
        /// A probability (or score) for each row and class, where the model gives them.
        scores: Option<Vec<f64>>,
    },
    /// Row-major numbers.
    Numbers {
        /// The true values.
        truths: Vec<f64>,
        /// The predicted values.
        predictions: Vec<f64>,
        /// Values of each row.
        columns: usize,
    },
}

/// Decides what is compared with what.
pub(super) fn interpret(outputs: &[Named], labels: &Labels, asked: &Asked<'_>) -> anyhow::Result<Interpreted> {
    let mut notes = Vec::new();
    let (name, output) = choose(outputs, asked)?;
    if outputs.len() > 1 {
        notes.push(format!("output '{name}' is compared; --compare chooses another"));
    }
    let classification = match asked.task {
        TaskChoice::Classification => true,
        TaskChoice::Regression => false,
        TaskChoice::Auto => {
            let classes = looks_like_classes(output, labels, asked);
            notes.push(format!("taken as {}; --task says otherwise", if classes { "classification" } else { "regression" }));
            classes
        }
    };
    let task = if classification { classes(output, labels, asked, &mut notes) } else { numbers(output, labels) };
    Ok(Interpreted { task: task.with_context(|| format!("output '{name}'"))?, notes })
}

/// A class name that is there twice: rows of the one would be counted as the other's.
pub(super) fn duplicate(names: &[String]) -> Option<&str> {
    let mut seen = BTreeSet::new();
    names.iter().map(String::as_str).find(|name| !seen.insert(*name))
}

fn is_float(tensor: &Tensor) -> bool {
    matches!(tensor.datatype().as_str(), "FP16" | "BF16" | "FP32" | "FP64")
}

fn columns(tensor: &Tensor) -> usize {
    tensor.shape().iter().skip(1).product()
}

fn choose<'a>(outputs: &'a [Named], asked: &Asked<'_>) -> anyhow::Result<(&'a str, &'a Tensor)> {
    let found = match asked.compare {
        Some(wanted) => outputs.iter().find(|(name, _)| name == wanted),
        None => outputs.iter().find(|(_, tensor)| is_float(tensor) && columns(tensor) > 1).or_else(|| outputs.first()),
    };
    match (found, asked.compare) {
        (Some((name, tensor)), _) => Ok((name, tensor)),
        (None, wanted) => {
            let known: Vec<String> = outputs.iter().map(|(name, _)| format!("'{name}'")).collect();
            bail!("--compare '{}': outputs with a row for each row sent are {}", wanted.unwrap_or_default(), known.join(", "))
        }
    }
}

fn looks_like_classes(output: &Tensor, labels: &Labels, asked: &Asked<'_>) -> bool {
    let Labels::Numbers { values, columns: truths, .. } = labels else { return true };
    if !is_float(output) || !asked.classes.is_empty() || asked.logits {
        return true;
    }
    let indices = values.iter().all(|value| value.fract() == 0.0 && *value >= 0.0);
    match columns(output) {
        1 => {
            let shares = output.to_f64().is_some_and(|scores| scores.iter().all(|score| (0.0..=1.0).contains(score)));
            shares && values.iter().all(|value| *value == 0.0 || *value == 1.0)
        }
        wide => indices && (*truths == 1 && values.iter().all(|value| *value < wide as f64) || one_hot(values, *truths)),
    }
}

fn one_hot(values: &[f64], columns: usize) -> bool {
    columns > 1 && values.chunks(columns).all(|row| row.iter().sum::<f64>() == 1.0 && row.iter().all(|v| *v == 0.0 || *v == 1.0))
}

fn numbers(output: &Tensor, labels: &Labels) -> anyhow::Result<Task> {
    let Labels::Numbers { values, columns: wide, .. } = labels else { bail!("a regressor's truths are numbers, found text") };
    let predictions = output.to_f64().context("a regressor's output is numbers, found text")?;
    if columns(output) != *wide {
        bail!(
            "the output has {} a row, the truths have {}: --compare names another output, --task classification takes scores of \
             classes",
            in_values(columns(output)),
            in_values(*wide)
        );
    }
    Ok(Task::Numbers { truths: values.clone(), predictions, columns: *wide })
}

fn in_values(count: usize) -> String {
    if count == 1 { "1 value".to_owned() } else { format!("{count} values") }
}

fn classes(output: &Tensor, labels: &Labels, asked: &Asked<'_>, notes: &mut Vec<String>) -> anyhow::Result<Task> {
    if !is_float(output) {
        return named_classes(output, labels, asked);
    }
    let scores = output.to_f64().context("scores are numbers")?;
    let wide = columns(output);
    let (scores, wide) = match (wide, asked.logits) {
        (0, _) => bail!("has no scores"),
        (1, logits) => (two_columns(&scores, logits)?, 2),
        (_, true) => (softmax(&scores, wide), wide),
        (_, false) => (scores, wide),
    };
    let names = class_names(wide, labels, asked, notes)?;
    let truths = truths(labels, &names)?;
    Ok(Task::Classes { truths, predictions: argmax(&scores, wide), scores: Some(scores), names })
}

/// `p` as `[1 - p, p]`.
fn two_columns(scores: &[f64], logits: bool) -> anyhow::Result<Vec<f64>> {
    let share = |score: &f64| if logits { 1.0 / (1.0 + (-score).exp()) } else { *score };
    if let Some(score) = scores.iter().map(share).find(|score| !(0.0..=1.0).contains(score)) {
        bail!("{score} is no probability; is the output logits (--logits), or are numbers predicted (--task regression)?");
    }
    Ok(scores.iter().map(share).flat_map(|p| [1.0 - p, p]).collect())
}

fn softmax(logits: &[f64], wide: usize) -> Vec<f64> {
    let mut shares = Vec::with_capacity(logits.len());
    for row in logits.chunks(wide) {
        let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = row.iter().map(|one| (one - greatest).exp()).sum();
        shares.extend(row.iter().map(|one| (one - greatest).exp() / total));
    }
    shares
}

/// The classes' names: told, or the truths' own in order (as scikit-learn orders them), or indices.
fn class_names(wide: usize, labels: &Labels, asked: &Asked<'_>, notes: &mut Vec<String>) -> anyhow::Result<Vec<String>> {
    if !asked.classes.is_empty() {
        if asked.classes.len() != wide {
            bail!("{} class names, but {wide} scores a row", asked.classes.len());
        }
        return Ok(asked.classes.to_vec());
    }
    let Labels::Text(texts) = labels else { return Ok((0..wide).map(|class| class.to_string()).collect()) };
    let seen: BTreeSet<&String> = texts.iter().collect();
    if seen.len() != wide {
        bail!(
            "the truths are {} names and the output has {wide} scores a row: name the classes in the output's order with --classes \
             (or model.classes in the deployment)",
            seen.len()
        );
    }
    let names: Vec<String> = seen.into_iter().cloned().collect();
    notes.push(format!("classes taken in alphabetical order: {}; --classes says otherwise", names.join(", ")));
    Ok(names)
}

/// Each truth's index among `names`.
fn truths(labels: &Labels, names: &[String]) -> anyhow::Result<Vec<usize>> {
    let unknown = |row: usize, label: &str| {
        let known: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
        anyhow::anyhow!(
            "row {row}: the truth '{label}' is none of the {} classes ({}): --classes names them in the output's order, --compare names \
             another output",
            names.len(),
            known.join(", ")
        )
    };
    match labels {
        Labels::Text(texts) => texts
            .iter()
            .enumerate()
            .map(|(row, text)| {
                let mut called = (0..names.len()).filter(|at| names[*at] == *text);
                match (called.next(), called.next()) {
                    (Some(first), Some(second)) => {
                        bail!("row {row}: classes {first} and {second} are both called '{text}': write indices as truths")
                    }
                    (first, _) => first.ok_or_else(|| unknown(row, text)),
                }
            })
            .collect(),
        Labels::Numbers { values, columns: 1, .. } => values
            .iter()
            .enumerate()
            .map(|(row, value)| {
                let text = value.to_string();
                // A class called '7' is meant before the class at index 7.
                let named = names.iter().position(|name| *name == text);
                let index = || (value.fract() == 0.0 && (0.0..names.len() as f64).contains(value)).then_some(*value as usize);
                named.or_else(index).ok_or_else(|| unknown(row, &text))
            })
            .collect(),
        Labels::Numbers { values, columns, .. } if *columns == names.len() && one_hot(values, *columns) => {
            Ok(argmax(values, *columns))
        }
        Labels::Numbers { columns, .. } => {
            bail!("{columns} truths a row are neither one class nor one-hot over {} classes", names.len())
        }
    }
}

/// Classes that the model names outright, as text or integers.
fn named_classes(output: &Tensor, labels: &Labels, asked: &Asked<'_>) -> anyhow::Result<Task> {
    if columns(output) != 1 {
        bail!("{} values a row are no class", columns(output));
    }
    let predicted: Vec<String> = match (output.data(), output.to_f64()) {
        (Data::Strings(texts), _) => texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect(),
        (_, Some(values)) => values.iter().map(|value| in_words(*value, asked, labels)).collect(),
        (_, None) => bail!("neither text nor numbers"),
    };
    let truths: Vec<String> = match labels {
        Labels::Text(texts) => texts.clone(),
        Labels::Numbers { values, columns: 1, .. } => values.iter().map(|value| in_words(*value, asked, labels)).collect(),
        Labels::Numbers { columns, .. } => bail!("{columns} truths a row, but one class a row"),
    };
    let mut names = asked.classes.to_vec();
    let seen: BTreeSet<&String> = predicted.iter().chain(&truths).collect();
    let mut more: Vec<String> = seen.into_iter().filter(|name| !names.contains(name)).cloned().collect();
    // Numbers in the order of numbers.
    more.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    });
    names.extend(more);
    let index = |all: &[String]| all.iter().filter_map(|text| names.iter().position(|name| name == text)).collect();
    Ok(Task::Classes { truths: index(&truths), predictions: index(&predicted), scores: None, names })
}

/// A class index by its name, where there are names; `3`, not `3.0`.
fn in_words(value: f64, asked: &Asked<'_>, labels: &Labels) -> String {
    let named = value.fract() == 0.0 && value >= 0.0 && matches!(labels, Labels::Text(_) | Labels::Numbers { .. });
    match asked.classes.get(value as usize) {
        Some(name) if named => name.clone(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn asked(classes: &[String]) -> Asked<'_> {
        Asked { task: TaskChoice::Auto, compare: None, logits: false, classes }
    }

    fn whole(values: &[f64]) -> Labels {
        Labels::Numbers { values: values.to_vec(), columns: 1, whole: true }
    }

    fn text(values: &[&str]) -> Labels {
        Labels::Text(values.iter().map(|one| (*one).to_owned()).collect())
    }

    fn output(tensor: Tensor) -> Vec<Named> {
        vec![("y".to_owned(), tensor)]
    }

    fn classes_of(outputs: &[Named], labels: &Labels, names: &[String]) -> (Vec<String>, Vec<usize>, Vec<usize>) {
        match interpret(outputs, labels, &asked(names)).unwrap().task {
            Task::Classes { names, truths, predictions, .. } => (names, truths, predictions),
            Task::Numbers { .. } => panic!("taken as numbers"),
        }
    }

    #[test]
    fn scores_and_truths_of_every_form() {
        let scores = output(Tensor::from_f32(vec![2, 3], &[0.1, 0.8, 0.1, 0.6, 0.2, 0.2]).unwrap());
        let names: Vec<String> = ["cat", "dog", "ox"].map(str::to_owned).to_vec();
        for labels in [whole(&[1.0, 2.0]), text(&["dog", "ox"])] {
            assert_eq!(classes_of(&scores, &labels, &names), (names.clone(), vec![1, 2], vec![1, 0]));
        }
        let one_hot = Labels::Numbers { values: vec![0.0, 1.0, 0.0, 0.0, 0.0, 1.0], columns: 3, whole: true };
        assert_eq!(classes_of(&scores, &one_hot, &[]).1, [1, 2]);
        let two = output(Tensor::from_f32(vec![2, 1], &[0.2, 0.9]).unwrap());
        assert_eq!(classes_of(&two, &whole(&[0.0, 1.0]), &[]), (vec!["0".into(), "1".into()], vec![0, 1], vec![0, 1]));
        let named = output(Tensor::strings(vec![2], vec![Bytes::from_static(b"ox"), Bytes::from_static(b"cat")]).unwrap());
        assert_eq!(classes_of(&named, &text(&["ox", "dog"]), &[]), (names, vec![2, 1], vec![2, 0]));
        let indices = output(Tensor::from_i64(vec![3], &[10, 9, 2]).unwrap());
        let found = classes_of(&indices, &whole(&[10.0, 2.0, 2.0]), &[]);
        assert_eq!(found, (vec!["2".into(), "9".into(), "10".into()], vec![2, 0, 0], vec![2, 1, 0]));
    }

    #[test]
    fn numbers_are_told_from_classes() {
        let prices = output(Tensor::from_f32(vec![2, 1], &[0.2, 0.9]).unwrap());
        for labels in [whole(&[10.0, 1.0]), whole(&[0.5, 1.0])] {
            assert!(matches!(interpret(&prices, &labels, &asked(&[])).unwrap().task, Task::Numbers { .. }));
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let scores = output(Tensor::from_f32(vec![2, 3], &[0.1, 0.8, 0.1, 0.6, 0.2, 0.2]).unwrap());
        let message = |labels: &Labels, names: &[String]| {
            let asked = Asked { task: TaskChoice::Classification, ..asked(names) };
            format!("{:#}", interpret(&scores, labels, &asked).err().unwrap())
        };
        assert!(message(&whole(&[0.0, 3.0]), &[]).contains("row 1: the truth '3' is none of the 3 classes (0, 1, 2)"));
        assert!(message(&text(&["a", "b"]), &[]).contains("the truths are 2 names and the output has 3 scores a row"));
        assert!(message(&whole(&[0.0, 1.0]), &["a".into()]).contains("1 class names, but 3 scores a row"));
        // ImageNet has two cranes and two maillots.
        let cranes = ["crane", "ox", "crane"].map(str::to_owned);
        assert!(
            message(&text(&["ox", "crane"]), &cranes).contains("row 1: classes 0 and 2 are both called 'crane': write indices")
        );
        assert_eq!(classes_of(&scores, &whole(&[2.0, 0.0]), &cranes), (cranes.to_vec(), vec![2, 0], vec![1, 0]));
        let numbers = Asked { task: TaskChoice::Regression, ..asked(&[]) };
        assert_eq!(
            format!("{:#}", interpret(&scores, &whole(&[0.0, 1.0]), &numbers).err().unwrap()),
            "output 'y': the output has 3 values a row, the truths have 1 value: --compare names another output, --task \
             classification takes scores of classes"
        );
    }
}
