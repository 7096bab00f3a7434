//! `modelyard optimize`: a smaller model, and what that costs, measured before anything is written.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use modelyard_onnx::proto::ModelProto;
use modelyard_onnx::rewrite::Step;

use super::stdout::Output;

mod report;
mod trial;

use report::{Report, Row};
use trial::Trial;

/// Make a model smaller or faster, and measure what it costs before writing it
///
/// Always done, without a change in answers: constants gathered, idle nodes and what no output needs removed, equal nodes and weights
/// shared, batch normalisation put into convolutions. --weights and --prune change the weights: with --data the model is served before
/// and after, on this machine, and what came of it is printed. Nothing is written where the figure falls below --min-accuracy, or where the
/// model became slower.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The ONNX file; what it keeps in files beside it comes along
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,

    /// Where to write the result
    #[arg(long, short, value_name = "OUT.onnx")]
    out: PathBuf,

    /// How weights are kept in the file; they are FP32 again when the model is loaded
    #[arg(long, value_enum, default_value = "f32", help_heading = "Rewrites")]
    weights: Weights,

    /// Set this share of each weight's values to zero, the smallest: 0.5 for half (a compressed file gets smaller, not a run shorter)
    #[arg(long, value_name = "SHARE", help_heading = "Rewrites", value_parser = share)]
    prune: Option<f64>,

    /// Rows whose truth is known (.npz or .csv), to measure on
    #[arg(long, short, value_name = "FILE", help_heading = "Measuring")]
    data: Option<PathBuf>,

    /// The array or column of truths [default: labels, label, y, target, ...]
    #[arg(long, value_name = "NAME", help_heading = "Measuring", requires = "data")]
    labels: Option<String>,

    /// The figure of `modelyard evaluate` that counts [default: accuracy, or r2 of numbers]
    #[arg(long, value_name = "METRIC", help_heading = "Measuring", requires = "data")]
    metric: Option<String>,

    /// Write nothing where the figure is below
    #[arg(long, value_name = "VALUE", help_heading = "Measuring", requires = "data")]
    min_accuracy: Option<f64>,

    /// Write the result even so
    #[arg(long)]
    force: bool,

    /// How the report is printed
    #[arg(long, value_enum, default_value = "table", help_heading = "Output")]
    report: Output,

    /// The modelyard-server to measure with [default: the one beside this program, else on PATH]
    #[arg(long, value_name = "FILE", help_heading = "Measuring")]
    server_bin: Option<PathBuf>,
}

/// How weights are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Weights {
    /// As they are
    F32,
    /// Half the size; three digits
    F16,
    /// A quarter of the size; a scale for each output channel
    Int8,
}

const EXAMPLES: &str = "\
Examples:
  modelyard optimize model.onnx -o small.onnx
  modelyard optimize model.onnx -o small.onnx --weights f16 --data heldout.npz --min-accuracy 0.92
  modelyard optimize model.onnx -o sparse.onnx --prune 0.5 --data heldout.csv --labels species \\
    --metric f1_macro --min-accuracy 0.9

Exit codes: 0 written; 1 not written, with the reason; 2 wrong arguments.";

/// A share of everything: more than none, and not all.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err(format!("expected a number between 0 and 1, found '{text}'")),
    }
}

/// A model after a rewrite.
struct Variant {
    name: &'static str,
    changed: usize,
    model: ModelProto,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.model.is_dir() {
            bail!("{} is a folder; name the .onnx file in it", self.model.display());
        }
        let variants = self.variants()?;
        let measured = match &self.data {
            Some(data) => Some(trial::measure(&self.trial(data), &variants)?),
            None => None,
        };
        let mut report = Report::new(&self.model, &self.out, &variants, measured);
        report.refusal = self.refusal(&report.rows);
        let written = report.refusal.is_none() || self.force;
        if written && let Some(last) = variants.last() {
            modelyard_onnx::write(&last.model, &self.out)
                .with_context(|| format!("nothing was written to {}", self.out.display()))?;
        }
        report.written = written;
        match self.report {
            Output::Table => super::stdout::print(&report.table())?,
            Output::Json => super::stdout::print(&report.json())?,
        }
        Ok(if written { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The model as it is, and after each step.
    fn variants(&self) -> anyhow::Result<Vec<Variant>> {
        let mut model = modelyard_onnx::read(&self.model)?;
        let mut variants = vec![Variant { name: "original", changed: 0, model: model.clone() }];
        let mut changed = 0;
        for step in Step::EXACT {
            changed += step.apply(&mut model)?;
        }
        variants.push(Variant { name: "clean", changed, model: model.clone() });
        let weights = match self.weights {
            Weights::F32 => None,
            Weights::F16 => Some(Step::Half),
            Weights::Int8 => Some(Step::Int8),
        };
        for step in self.prune.map(Step::Prune).into_iter().chain(weights) {
            let changed = step.apply(&mut model).with_context(|| format!("{} is not possible", step.name()))?;
            if changed == 0 {
                bail!(
                    "{}: the model has no weights that it applies to: FP32 of 256 values or more, in MatMul, Gemm or Conv",
                    step.name()
                );
            }
            variants.push(Variant { name: step.name(), changed, model: model.clone() });
        }
        Ok(variants)
    }

    fn trial<'a>(&'a self, data: &'a std::path::Path) -> Trial<'a> {
        Trial {
            data,
            labels: self.labels.as_deref(),
            metric: self.metric.as_deref(),
            server: self.server_bin.as_deref(),
            source: &self.model,
        }
    }

    /// Why the result is not worth having, where it was measured and is not.
    fn refusal(&self, rows: &[Row]) -> Option<String> {
        /// Runs vary by some percent from one to the next: this much slower is slower.
        const SLOWER: f64 = 1.1;
        let ([first, ..], [.., last]) = (rows, rows) else { return None };
        let (before, after) = (first.measured.as_ref()?, last.measured.as_ref()?);
        if let Some(least) = self.min_accuracy.filter(|least| after.figure < *least) {
            return Some(format!("{} is {:.6}, below {least}", after.metric, after.figure));
        }
        let ratio = after.microseconds / before.microseconds;
        (ratio > SLOWER).then(|| format!("a run takes {ratio:.2} times as long as the original's"))
    }
}
