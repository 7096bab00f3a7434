//! The ranges of activations that data shows: the model is served with them as further outputs, and asked.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use modelyard_core::api::EngineName;
use modelyard_onnx::proto::ModelProto;
use modelyard_onnx::rewrite::{Ranges, activations, watched};

use super::answers::Requests;
use super::server::Server;
use super::trial::{Trial, bar};
use crate::cli::served::runtime;

/// Requests that ranges are taken from, spread over the data.
const REQUESTS: usize = 16;

/// Values of one activation in one request that a percentile is taken of.
const SAMPLED: usize = 1 << 16;

/// Serves the model and finds the ranges of all activations that it needs, which hold `percent` of their values.
pub(super) fn find(model: &ModelProto, trial: &Trial<'_>, percent: f64) -> anyhow::Result<Ranges> {
    let names = activations(model);
    if names.is_empty() {
        return Ok(Ranges::new());
    }
    let (shown, outputs) = watched(model, &names);
    let folder = tempfile::tempdir().context("no temporary folder")?;
    modelyard_onnx::write(&shown, &folder.path().join("model.onnx"))?;
    let bar = bar(REQUESTS + 1);
    bar.set_message("loading for calibration");
    let server = Server::start(&trial.binary()?, folder.path(), EngineName::Auto)
        .context("the model cannot be served with its activations as outputs")?;
    bar.inc(1);
    bar.set_message("calibrating");
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    let runtime = runtime()?;
    let metadata = runtime.block_on(server.open())?.metadata().clone();
    let requests = Requests::read(trial.data, trial.labels, &metadata)?;
    let count = requests.count();
    let which: Vec<usize> = (0..REQUESTS.min(count)).map(|number| number * count / REQUESTS.min(count)).collect();
    runtime.block_on(requests.send(&server, &which, |answer| {
        for (output, tensor) in answer {
            let Some((_, name)) = outputs.iter().find(|(shown, _)| *shown == output) else { continue };
            let values = tensor.to_f64().with_context(|| format!("activation '{name}' is no numbers"))?;
            seen.entry(name).or_default().add(&values).with_context(|| format!("activation '{name}'"))?;
        }
        bar.inc(1);
        Ok(())
    }))?;
    bar.finish_and_clear();
    if let Some(name) = names.iter().find(|name| !seen.contains_key(name.as_str())) {
        bail!("the server does not answer with activation '{name}'");
    }
    Ok(seen.into_iter().map(|(name, seen)| (name.to_owned(), seen.range(percent))).collect())
}

/// What was seen of one activation.
#[derive(Debug)]
struct Seen {
    least: f32,
    greatest: f32,
    sample: Vec<f32>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { least: f32::INFINITY, greatest: f32::NEG_INFINITY, sample: Vec::new() }
    }
}

impl Seen {
    fn add(&mut self, values: &[f64]) -> anyhow::Result<()> {
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            bail!("it is {value} for a row of the data, which no range holds");
        }
        for value in values {
            self.least = self.least.min(*value as f32);
            self.greatest = self.greatest.max(*value as f32);
        }
        let stride = values.len().div_ceil(SAMPLED).max(1);
        self.sample.extend(values.iter().step_by(stride).map(|value| *value as f32));
        Ok(())
    }

    /// The middle `percent` of the values.
    fn range(mut self, percent: f64) -> (f32, f32) {
        if percent >= 100.0 || self.sample.is_empty() {
            return (self.least, self.greatest);
        }
        self.sample.sort_by(f32::total_cmp);
        let last = self.sample.len() - 1;
        let beyond = ((1.0 - percent / 100.0) / 2.0 * last as f64) as usize;
        (self.sample[beyond], self.sample[last - beyond])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_leaves_out_both_ends() {
        let seen = || {
            let mut seen = Seen::default();
            seen.add(&(0..=1000).map(f64::from).collect::<Vec<_>>()).unwrap();
            seen.add(&[-5000.0]).unwrap();
            seen
        };
        assert_eq!(seen().range(100.0), (-5000.0, 1000.0));
        assert_eq!(seen().range(99.0), (4.0, 995.0));
        assert!(seen().add(&[f64::NAN]).unwrap_err().to_string().contains("NaN"));
    }
}
