//! `modelyard evaluate`: how good a served model is, measured where it is served.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::number::whole;
use super::served::{Served, runtime};
use super::stdout::Output;
use super::usage::Usage;
use crate::inputs::{self, Dataset};

mod figures;
mod interpret;
mod limits;
mod print;
mod report;
mod send;

use figures::Evaluation;
use limits::Limit;

/// Measure a served model against data whose truth is known
///
/// Sends the rows in batches over the network and compares the answers with the truths. Every figure is defined as in
/// scikit-learn; one that this data leaves undefined is null, with the reason.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("namespace", |namespace| namespace.short('n')))]
pub struct Arguments {
    #[command(flatten)]
    served: Served,

    /// .npz (arrays by input name) or .csv (a column per input, or the columns of the only input)
    #[arg(long, short, value_name = "FILE", help_heading = "Data")]
    data: PathBuf,

    /// The array or column of truths; several columns with commas between them [default: labels, label, y, target, ...]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    labels: Option<String>,

    /// Class names by index, where the server does not tell them: cat,dog,bird
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Data")]
    classes: Vec<String>,

    /// The first ROWS rows only
    #[arg(long, value_name = "ROWS", help_heading = "Data", value_parser = whole(1..=u32::MAX), allow_negative_numbers = true)]
    limit: Option<u32>,

    /// What is predicted
    #[arg(long, value_enum, default_value = "auto", help_heading = "Figures")]
    task: TaskChoice,

    /// The output to compare [default: the one of probabilities, else the first]
    #[arg(long, value_name = "NAME", help_heading = "Figures")]
    compare: Option<String>,

    /// The output is logits: take their softmax (their sigmoid, of a single one) first
    #[arg(long, help_heading = "Figures")]
    logits: bool,

    /// Average over all of the model's classes, not only those that occur in the truths or the predictions
    #[arg(long, help_heading = "Figures")]
    all_classes: bool,

    /// Rows of one request
    #[arg(long, value_name = "ROWS", default_value = "64", help_heading = "Requests", value_parser = whole(1..=u32::MAX), allow_negative_numbers = true)]
    batch_size: u32,

    /// Requests in flight
    #[arg(long, value_name = "N", default_value = "4", help_heading = "Requests", value_parser = whole(1..=1024_u32), allow_negative_numbers = true)]
    concurrency: u32,

    /// How the figures are printed
    #[arg(long, short, value_enum, default_value = "table", help_heading = "Output")]
    output: Output,

    /// Also write a page with the confusion matrix and the curves, for a browser
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    report: Option<PathBuf>,

    /// Exit 1 where the figure is below the value: accuracy=0.92 (repeatable)
    #[arg(long, value_name = "METRIC=VALUE", help_heading = "Output")]
    fail_under: Vec<Limit>,

    /// Exit 1 where the figure is above the value: log_loss=0.3, latency_p99_ms=20 (repeatable)
    #[arg(long, value_name = "METRIC=VALUE", help_heading = "Output")]
    fail_over: Vec<Limit>,
}

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TaskChoice {
    /// As truths and outputs suggest; the choice is said
    Auto,
    /// Classes
    Classification,
    /// Numbers
    Regression,
}

const EXAMPLES: &str = "\
Examples:
  modelyard evaluate mnist --data heldout.npz
  modelyard evaluate mnist --data heldout.npz --fail-under accuracy=0.92 --report report.html
  modelyard evaluate mnist --data heldout.npz --cluster
  modelyard evaluate iris --data iris.csv --labels species -o json
  modelyard evaluate houses --data houses.csv --labels price --task regression --fail-under r2=0.8

Exit codes: 0 measured, and every limit kept; 1 a limit broken, or not measured, with the reason; 2 wrong arguments.";

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        limits::check(self.task, &self.fail_under, &self.fail_over)?;
        if let Some(name) = interpret::duplicate(&self.classes) {
            return Err(
                Usage::new(format!("--classes: '{name}' is written twice; expected a name of its own for each class")).into()
            );
        }
        if self.report.as_deref().is_some_and(|path| path.as_os_str() == "-") {
            return Err(Usage::new("--report -: expected a file, such as report.html; the figures are on standard output").into());
        }
        let evaluation = runtime()?.block_on(self.measure())?;
        match self.output {
            Output::Table => print::table(&evaluation)?,
            Output::Json => print::json(&evaluation)?,
        }
        if let Some(path) = &self.report {
            std::fs::write(path, report::page(&evaluation)).with_context(|| format!("cannot write {}", path.display()))?;
            crate::cli::say(format_args!("report: {}", path.display()));
        }
        let broken = limits::broken(&evaluation, &self.fail_under, &self.fail_over)?;
        broken.iter().for_each(|reason| crate::cli::say(format_args!("failed: {reason}")));
        Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn measure(&self) -> anyhow::Result<Evaluation> {
        let (served, _way) = self.served.reach().await?;
        let session = served.open().await?;
        let metadata = Arc::new(session.metadata().clone());
        let classes = if self.classes.is_empty() { &metadata.classes } else { &self.classes };
        if let Some(name) = interpret::duplicate(classes).filter(|_| self.task != TaskChoice::Regression) {
            bail!("the server calls two classes '{name}'; name each on its own with --classes");
        }
        let dataset = inputs::dataset(&self.data, self.labels.as_deref(), &rows_free(&metadata.inputs))?;
        dataset.bound.notes.iter().for_each(|note| crate::cli::say(format_args!("{note}")));
        let dataset = self.limited(dataset)?;
        let rows = dataset.labels.len();
        if rows == 0 {
            bail!("{} has no rows", self.data.display());
        }
        crate::cli::say(format_args!("{rows} rows of {}; the truth is {}", self.data.display(), dataset.origin));
        let fixed = metadata.inputs.iter().filter_map(|spec| spec.shape.first()).find(|dim| **dim > 0);
        let plan = send::Plan {
            served: &served,
            inputs: &dataset.bound.inputs,
            rows,
            batch: fixed.and_then(|dim| usize::try_from(*dim).ok()).unwrap_or(self.batch_size as usize),
            concurrency: self.concurrency as usize,
        };
        let sent = send::send(&plan, &metadata).await?;
        let asked = interpret::Asked { task: self.task, compare: self.compare.as_deref(), logits: self.logits, classes };
        let interpreted = interpret::interpret(&sent.outputs, &dataset.labels, &asked)?;
        interpreted.notes.iter().for_each(|note| crate::cli::say(format_args!("{note}")));
        Evaluation::new(&self.served.model, interpreted, sent, self.all_classes)
    }

    fn limited(&self, mut dataset: Dataset) -> anyhow::Result<Dataset> {
        if let Some(limit) = self.limit {
            let limit = limit as usize;
            for (_, tensor) in &mut dataset.bound.inputs {
                *tensor = inputs::slice_rows(tensor, 0, limit)?;
            }
            dataset.labels.truncate(limit);
        }
        Ok(dataset)
    }
}

/// The inputs with any number of rows: those of a fixed number are sent in batches of it.
fn rows_free(specs: &[crate::client::TensorSpec]) -> Vec<crate::client::TensorSpec> {
    let mut specs = specs.to_vec();
    specs.iter_mut().filter_map(|spec| spec.shape.first_mut()).for_each(|dim| *dim = -1);
    specs
}
