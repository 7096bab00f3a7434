//! `modelyard optimize`: a smaller or faster model, and what that costs, measured before anything is written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use modelyard_onnx::store::Store;

use super::stdout::Output;

mod answers;
mod heads;
mod ranges;
mod report;
mod server;
mod trial;
mod variants;
mod verdict;

use report::Report;
use trial::Trial;
use variants::Asked;

/// Make a model smaller or faster, and measure what it costs before writing it
///
/// Always done, without a change in answers: constants gathered, idle nodes and what no output needs removed, equal nodes and weights
/// shared, batch normalisation put into convolutions, trees rid of what makes no difference. The other rewrites change answers: with --data
/// the model is served before and after, on this machine and by each engine that is there, and what came of it is printed. Nothing is written
/// where the figure falls below --min-accuracy, or where the model became slower.
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

    /// Compute matrix products (static: convolutions too) in INT8, activations as well as weights
    #[arg(long, value_enum, help_heading = "Rewrites", conflicts_with = "weights")]
    quantize: Option<Quantize>,

    /// With --quantize static: ranges hold this share of an activation's values, in percent; what lies beyond is cut off
    #[arg(long, value_name = "PERCENT", default_value = "100", help_heading = "Rewrites", value_parser = percent, requires = "quantize")]
    percentile: f64,

    /// Remove this share of all heads of attention, those that count least: by what --data's answers lose without each, else by their weights
    #[arg(long, value_name = "SHARE", help_heading = "Rewrites", value_parser = share)]
    prune_heads: Option<f64>,

    /// Remove this share of each layer's channels, those that count least: rows of dense layers, filters of convolutions
    #[arg(long, value_name = "SHARE", help_heading = "Rewrites", value_parser = share)]
    prune_channels: Option<f64>,

    /// Set this share of each weight's values to zero, the smallest: 0.5 for half (a compressed file gets smaller, not a run shorter)
    #[arg(long, value_name = "SHARE", help_heading = "Rewrites", value_parser = share)]
    prune: Option<f64>,

    /// Round the leaves of trees to what so many bits hold, and merge what became equal
    #[arg(long, value_name = "BITS", help_heading = "Rewrites", value_parser = clap::value_parser!(u32).range(2..=16))]
    leaves: Option<u32>,

    /// Rows whose truth is known (.npz or .csv), to measure on; --quantize static takes its ranges from their inputs
    #[arg(long, short, value_name = "FILE", help_heading = "Measuring")]
    data: Option<PathBuf>,

    /// The array or column of truths [default: labels, label, y, target, ...]
    #[arg(long, value_name = "NAME", help_heading = "Measuring", requires = "data")]
    labels: Option<String>,

    /// The figure of `modelyard evaluate` that counts, or cosine: how alike answers are to the original's, for which no truth is needed
    /// [default: accuracy, or r2 of numbers]
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

/// How activations become INT8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Quantize {
    /// In the range that each run finds
    Dynamic,
    /// In ranges that --data shows
    Static,
}

const EXAMPLES: &str = "\
Examples:
  modelyard optimize model.onnx -o small.onnx
  modelyard optimize model.onnx -o small.onnx --weights f16 --data heldout.npz --min-accuracy 0.92
  modelyard optimize model.onnx -o narrow.onnx --prune-channels 0.25 --data heldout.npz --min-accuracy 0.92
  modelyard optimize embed.onnx -o fewer.onnx --prune-heads 0.25 --data tokens.npz --metric cosine --min-accuracy 0.95
  modelyard optimize model.onnx -o int8.onnx --quantize static --percentile 99.9 --data heldout.npz
  modelyard optimize forest.onnx -o small.onnx --leaves 8 --data heldout.csv --labels price --metric r2
  modelyard optimize embed.onnx -o int8.onnx --quantize dynamic --data tokens.npz --metric cosine --min-accuracy 0.99

Exit codes: 0 written; 1 not written, with the reason; 2 wrong arguments.";

/// A share of everything: more than none, and not all.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err(format!("expected a number between 0 and 1, found '{text}'")),
    }
}

/// Most of everything, or all.
fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (50.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err(format!("expected a number from 50 to 100, found '{text}'")),
    }
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
        if self.quantize == Some(Quantize::Static) && self.data.is_none() {
            return Err(super::usage::Usage::new(
                "--quantize static takes the ranges of activations from --data, which is not given",
            )
            .into());
        }
        let folder = self.out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut store = Store::within(folder);
        let trial = self.data.as_deref().map(|data| self.trial(data));
        let asked = Asked {
            heads: self.prune_heads,
            channels: self.prune_channels,
            prune: self.prune,
            leaves: self.leaves,
            weights: self.weights,
            quantize: self.quantize,
            percentile: self.percentile,
        };
        let variants = variants::make(&self.model, &asked, (&mut store, trial.as_ref()))?;
        let measured = match &trial {
            Some(trial) => trial::measure(trial, &variants)?,
            None => Vec::new(),
        };
        let mut report = Report::new(&self.model, &self.out, &variants, measured);
        report.refusal = verdict::refusal(&report.rows, self.min_accuracy);
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

    fn trial<'a>(&'a self, data: &'a Path) -> Trial<'a> {
        Trial {
            data,
            labels: self.labels.as_deref(),
            metric: self.metric.as_deref(),
            server: self.server_bin.as_deref(),
            source: &self.model,
        }
    }
}
