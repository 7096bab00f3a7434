//! `modelyard fit-preprocess`: the steps before a model, with the statistics of the data that it was trained on.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use modelyard_core::steps::{Datatype, Step, Unknown};

use crate::inputs::Table;

mod column;
mod expect;
mod print;
mod statistics;

use column::{Kind, Numbers};

/// Print the steps that make a model's input of a table's columns
///
/// Reads the data that the model was trained on, and prints preprocess as YAML, with statistics as scikit-learn's SimpleImputer, scalers
/// and encoders compute them. A column whose cells are all numbers is one of numbers; empty cells, NA and nan are missing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The table that the model was trained on: comma-separated, with a header
    #[arg(long, short, value_name = "FILE.csv", help_heading = "Data")]
    data: PathBuf,

    /// The column that the model predicts: it is left out
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    target: Option<String>,

    /// Columns that the model does not take, with commas between them
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', help_heading = "Data")]
    ignore: Vec<String>,

    /// Columns of numbers that are categories, such as postcodes, with commas between them: whole numbers stay numbers (INT64), unless cells
    /// are missing or written in another way, such as 007; those are texts
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', help_heading = "Data")]
    categories: Vec<String>,

    /// How numbers are scaled
    #[arg(long, value_enum, default_value = "standardise", help_heading = "Steps")]
    numeric: Scaling,

    /// What stands for a missing number; a missing text is the most frequent one
    #[arg(long, value_enum, default_value = "mean", help_heading = "Steps")]
    missing: Missing,

    /// How categories are encoded
    #[arg(long, value_enum, default_value = "one-hot", help_heading = "Steps")]
    categorical: Encoding,

    /// What becomes of a category that the data does not have
    #[arg(long, value_enum, default_value = "error", help_heading = "Steps")]
    unknown: Stranger,

    /// Also print what rows are expected to hold, as the data does: numbers within its range, categories that it has, no missing cells
    /// where it has none. refuse refuses other rows, flag answers them with an output NAME_unexpected
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Steps")]
    expect: Option<Otherwise>,

    /// By how much numbers may go beyond the data's range: a part of it
    #[arg(long, value_name = "PART", default_value = "0", requires = "expect", help_heading = "Steps")]
    margin: f64,

    /// The model's input
    #[arg(long, value_name = "NAME", default_value = "input", help_heading = "Steps")]
    to: String,
}

const EXAMPLES: &str = "\
Examples:
  modelyard fit-preprocess --data train.csv --target species
  modelyard fit-preprocess --data train.csv --target paid --numeric robust --missing median --unknown ignore
  modelyard fit-preprocess --data train.csv --target paid --expect flag --margin 0.1

Exit codes: 0 printed; 1 the data cannot be read, or has a column that nothing can be made of; 2 wrong arguments.";

/// How numbers are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Scaling {
    /// To mean 0 and deviation 1
    Standardise,
    /// To the range from 0 to 1
    Minmax,
    /// To median 0 and quartiles 1 apart
    Robust,
    /// Not at all
    None,
}

/// What stands for a missing number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Missing {
    /// The mean of the others
    Mean,
    /// The median of the others
    Median,
    /// NaN, for models that take it
    Keep,
}

/// How categories are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Encoding {
    /// One column of 0 and 1 for each
    OneHot,
    /// Their place in the sorted list
    Ordinal,
}

/// What becomes of an unknown category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Stranger {
    /// The row is refused
    Error,
    /// Zeros for one-hot, -1 for ordinal
    Ignore,
}

/// What becomes of a row that is not as the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Otherwise {
    /// It is refused
    Refuse,
    /// It is answered, and an output of BOOL says so
    Flag,
}

/// Categories of one column at most: more would be no categories, and no YAML that anyone reads.
const MOST_CATEGORIES: usize = 1000;

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// The data cannot be read, or a column is nothing that steps are made of.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let shown = self.data.display();
        let bytes = std::fs::read(&self.data).with_context(|| format!("--data: cannot read {shown}"))?;
        let table = Table::parse(&bytes).with_context(|| format!("--data {shown}"))?;
        let columns = self.columns(&table)?;
        for note in notes(&columns) {
            super::say(format_args!("note: {note}"));
        }
        let steps = self.steps(columns)?;
        super::stdout::print(&print::yaml(&steps, &heading(&self.data, &table)))?;
        Ok(ExitCode::SUCCESS)
    }

    fn steps(&self, columns: Vec<(String, Kind)>) -> anyhow::Result<Vec<Step>> {
        let mut steps = Vec::new();
        declare(&columns, &mut steps);
        if let Some(otherwise) = self.expect {
            steps.append(&mut self.rules(&columns, otherwise)?);
        }
        let mut encoded = Vec::new();
        self.scale(&columns, &mut steps)?;
        for (name, kind) in &columns {
            match kind {
                Kind::Numbers(_) => {}
                Kind::Whole(known) => {
                    let known: Vec<f64> = known.iter().map(|one| *one as f64).collect();
                    encoded.push(self.encode(name, known, Vec::new())?);
                }
                Kind::Texts(texts) => {
                    encoded.push(self.encode(name, Vec::new(), texts.categories())?);
                    if texts.missing() > 0 {
                        let (columns, texts) = (vec![name.clone()], vec![texts.most_frequent()]);
                        steps.push(Step::Fill { columns, values: Vec::new(), texts });
                    }
                }
            }
        }
        steps.append(&mut encoded);
        let columns = columns.into_iter().map(|(name, _)| name).collect();
        steps.push(Step::Concat { columns, to: vec![self.to.clone()], datatype: None });
        for step in &steps {
            step.check().with_context(|| format!("{} of these columns", step.op()))?;
        }
        Ok(steps)
    }

    /// The columns that the model takes, in the table's order.
    fn columns(&self, table: &Table) -> anyhow::Result<Vec<(String, Kind)>> {
        let flags = [("--target", self.target.as_slice()), ("--ignore", &self.ignore), ("--categories", &self.categories)];
        for (flag, names) in flags {
            if let Some(name) = names.iter().find(|name| table.column(name).is_none()) {
                bail!("{flag}: the table has no column '{name}'; it has {}", table.names.join(", "));
            }
        }
        let left_out = |name: &String| self.target.as_ref() == Some(name) || self.ignore.contains(name);
        let kept = table.names.iter().enumerate().filter(|(_, name)| !left_out(name));
        let kinds = kept.map(|(at, name)| {
            let kind = Kind::of(table.cells(at), self.categories.contains(name));
            kind.map(|kind| (name.clone(), kind)).map_err(|why| anyhow::anyhow!("column '{name}': {why}"))
        });
        let kinds = kinds.collect::<anyhow::Result<Vec<_>>>()?;
        if kinds.is_empty() {
            bail!("no column is left: --target and --ignore leave out all of them");
        }
        Ok(kinds)
    }

    /// Missing numbers are filled in, then all are scaled: as a pipeline of scikit-learn's fits, the scales are those of the filled.
    fn scale(&self, columns: &[(String, Kind)], steps: &mut Vec<Step>) -> anyhow::Result<()> {
        let mut numbers: Vec<(String, Numbers)> = Vec::new();
        for (name, kind) in columns {
            if let Kind::Numbers(one) = kind {
                numbers.push((name.clone(), one.clone()));
            }
        }
        let (mut filled, mut values) = (Vec::new(), Vec::new());
        for (name, one) in numbers.iter_mut().filter(|(_, one)| one.missing() > 0) {
            let value = match self.missing {
                Missing::Mean => one.mean(),
                Missing::Median => one.median(),
                Missing::Keep => continue,
            };
            one.fill(value);
            filled.push(name.clone());
            values.push(value);
        }
        if !filled.is_empty() {
            steps.push(Step::Fill { columns: filled, values, texts: Vec::new() });
        }
        let columns: Vec<String> = numbers.iter().map(|(name, _)| name.clone()).collect();
        if columns.is_empty() {
            return Ok(());
        }
        let each = |statistic: fn(&Numbers) -> f64| numbers.iter().map(|(_, one)| statistic(one)).collect::<Vec<f64>>();
        match self.numeric {
            Scaling::Standardise => {
                steps.push(Step::Standardise { columns, mean: each(Numbers::mean), scale: each(Numbers::deviation) });
            }
            Scaling::Robust => {
                steps.push(Step::Robust { columns, center: each(Numbers::median), scale: each(Numbers::spread) });
            }
            Scaling::Minmax => {
                steps.push(Step::MinMax { columns, min: each(Numbers::least), max: each(Numbers::most), low: None, high: None });
            }
            Scaling::None => {}
        }
        Ok(())
    }

    /// The step that encodes a column of these categories, numbers or texts.
    fn encode(&self, name: &str, values: Vec<f64>, texts: Vec<String>) -> anyhow::Result<Step> {
        let (found, what) = if texts.is_empty() { (values.len(), "numbers") } else { (texts.len(), "texts") };
        few(name, found, what)?;
        let ignored = self.unknown == Stranger::Ignore;
        let columns = vec![name.to_owned()];
        Ok(match self.categorical {
            Encoding::OneHot => {
                let unknown = ignored.then_some(Unknown::Ignore);
                Step::OneHot { columns, values, texts, unknown }
            }
            Encoding::Ordinal => {
                let (unknown, unknown_value) = (ignored.then_some(Unknown::Value), ignored.then_some(-1));
                Step::Ordinal { columns, values, texts, unknown, unknown_value }
            }
        })
    }
}

/// So many categories are some.
fn few(name: &str, found: usize, what: &str) -> anyhow::Result<()> {
    if found > MOST_CATEGORIES {
        bail!("column '{name}' has {found} different {what}; expected {MOST_CATEGORIES} at most: leave it out with --ignore");
    }
    Ok(())
}

/// What the user may not expect of the columns.
fn notes(columns: &[(String, Kind)]) -> Vec<String> {
    let note = |(name, kind): &(String, Kind)| match kind {
        Kind::Texts(texts) if texts.numeric() => {
            let example = texts.most_frequent();
            Some(format!(
                "column '{name}': its numbers are taken as texts, since cells are missing or not written as whole numbers are; requests \
                 send them as they are in the table, as texts (BYTES): \"{example}\""
            ))
        }
        _ => None,
    };
    columns.iter().filter_map(note).collect()
}

/// What clients send: the columns of numbers, then those of whole numbers that are categories, then those of texts.
fn declare(columns: &[(String, Kind)], steps: &mut Vec<Step>) {
    type Is = fn(&Kind) -> bool;
    let kinds: [(Is, Option<Datatype>); 3] = [
        (|kind| matches!(kind, Kind::Numbers(_)), None),
        (|kind| matches!(kind, Kind::Whole(_)), Some(Datatype::Int64)),
        (|kind| matches!(kind, Kind::Texts(_)), Some(Datatype::Bytes)),
    ];
    for (is, datatype) in kinds {
        let columns: Vec<String> = columns.iter().filter(|(_, kind)| is(kind)).map(|(name, _)| name.clone()).collect();
        if !columns.is_empty() {
            steps.push(Step::Input { columns, datatype, width: None });
        }
    }
}

/// Where the numbers come from.
fn heading(data: &Path, table: &Table) -> String {
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    format!("Fitted on {} rows of {}.", table.len(), name.replace(char::is_control, " "))
}

#[cfg(test)]
mod tests;
