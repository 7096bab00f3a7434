//! Models served on this machine for as long as they are measured, each by a server of its own for each engine, in turns.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use modelyard_core::api::EngineName;
use serde_json::Value;

use super::answers::{Cosine, Requests};
use super::report::Column;
use super::server::{NAME, Server};
use super::variants::Variant;
use crate::cli::inspect::find_server;
use crate::cli::served::runtime;
use crate::inputs::Named;

/// What is measured, and with what.
pub(super) struct Trial<'a> {
    pub(super) data: &'a Path,
    pub(super) labels: Option<&'a str>,
    pub(super) metric: Option<&'a str>,
    pub(super) server: Option<&'a Path>,
    /// The file that the models come from.
    pub(super) source: &'a Path,
}

/// What came of one model with one engine.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Ran(Measured),
    /// The engine does not serve it, for this reason.
    Failed(String),
}

impl Outcome {
    pub(super) const fn ran(&self) -> Option<&Measured> {
        match self {
            Self::Ran(measured) => Some(measured),
            Self::Failed(_) => None,
        }
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// The figure's name.
    pub(super) metric: String,
    /// Its value.
    pub(super) figure: f64,
    /// Of a run of the engine, the mean of the best turn.
    pub(super) microseconds: f64,
}

/// Each model is measured so often, in turns with the others, so that what disturbs the machine meets all.
const TURNS: usize = 3;
/// The figure that is not `modelyard evaluate`'s.
const COSINE: &str = "cosine";
/// Requests that answers are compared by.
const COMPARED: usize = 16;
/// Where the server's image has ONNX Runtime, and the variable that names it elsewhere.
const LIBRARY: (&str, &str) = ("/usr/local/lib/libonnxruntime.so", "MODELYARD_ORT_LIB");

impl Trial<'_> {
    /// The server's binary.
    pub(super) fn binary(&self) -> anyhow::Result<PathBuf> {
        self.server.map_or_else(find_server, |binary| Ok(binary.to_owned()))
    }
}

/// The engines that are here: those within the server, and ONNX Runtime where its library is.
fn engines() -> Vec<(&'static str, EngineName)> {
    let there = std::env::var_os(LIBRARY.1).is_some_and(|path| !path.is_empty()) || Path::new(LIBRARY.0).exists();
    let mut engines = vec![("Tract", EngineName::Tract)];
    engines.extend(there.then_some(("OnnxRuntime", EngineName::OnnxRuntime)));
    engines
}

/// A model with an engine: served, or why not.
struct Place {
    served: Result<Server, String>,
    /// Runs of the engine so far, and the nanoseconds that they took.
    before: (u64, u64),
    best: Option<Measured>,
}

/// Serves all models at once by each engine, and evaluates one after the other, [`TURNS`] times.
pub(super) fn measure(trial: &Trial<'_>, variants: &[Variant]) -> anyhow::Result<Vec<Column>> {
    let binary = trial.binary()?;
    let engines = engines();
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let bar = bar(variants.len() * engines.len() * (TURNS + 1));
    let mut places: Vec<Vec<Place>> = engines.iter().map(|_| Vec::new()).collect();
    for (number, variant) in variants.iter().enumerate() {
        let own = folder.path().join(number.to_string());
        std::fs::create_dir(&own).with_context(|| format!("cannot make {}", own.display()))?;
        modelyard_onnx::write(&variant.model, &own.join("model.onnx"))?;
        for ((name, engine), places) in engines.iter().zip(&mut places) {
            bar.set_message(format!("loading {} in {name}", variant.name));
            let served = Server::start(&binary, &own, *engine);
            // One that nobody can serve is no model; an engine that cannot is a result.
            let served = served.with_context(|| format!("{} after '{}'", trial.source.display(), variant.name));
            let served = served.map_err(|error| format!("{error:#}"));
            places.push(Place { served, before: (0, 0), best: None });
            bar.inc(1);
        }
    }
    if let Some(why) = hopeless(&places) {
        bail!("{why}");
    }
    for turn in 0..TURNS {
        for ((engine, _), places) in engines.iter().zip(&mut places) {
            round(trial, variants, (places, &bar, turn)).with_context(|| format!("with {engine}"))?;
        }
    }
    bar.finish_and_clear();
    let outcome = |place: Place| match (place.served, place.best) {
        (Err(why), _) => Ok(Outcome::Failed(why)),
        (Ok(_), Some(best)) => Ok(Outcome::Ran(best)),
        (Ok(_), None) => bail!("nothing was measured"),
    };
    let column = |((name, _), places): (&(&'static str, EngineName), Vec<Place>)| {
        Ok((*name, places.into_iter().map(outcome).collect::<anyhow::Result<Vec<_>>>()?))
    };
    engines.iter().zip(places).map(column).collect()
}

/// Why nothing can be measured: no engine serves the original.
fn hopeless(places: &[Vec<Place>]) -> Option<String> {
    let first = || places.iter().filter_map(|places| places.first());
    let failed = || first().filter_map(|place| place.served.as_ref().err());
    (failed().count() == first().count()).then(|| failed().cloned().collect::<Vec<_>>().join("; "))
}

/// One turn of an engine over all models.
fn round(
    trial: &Trial<'_>,
    variants: &[Variant],
    (places, bar, turn): (&mut [Place], &ProgressBar, usize),
) -> anyhow::Result<()> {
    let mut originals: Option<Vec<Vec<Named>>> = None;
    for (place, variant) in places.iter_mut().zip(variants) {
        bar.set_message(format!("measuring {}", variant.name));
        if let Ok(server) = &place.served {
            let found = if trial.metric == Some(COSINE) { alike(trial, server, &mut originals) } else { evaluate(trial, server) };
            let (metric, figure) = found.with_context(|| format!("'{}' cannot be measured", variant.name))?;
            let now = server.runs()?;
            let (runs, nanoseconds) = (now.0 - place.before.0, now.1 - place.before.1);
            place.before = now;
            if runs == 0 {
                bail!("the server tells of no run");
            }
            let microseconds = nanoseconds as f64 / runs as f64 / 1e3;
            if turn == 0 || place.best.as_ref().is_none_or(|best| microseconds < best.microseconds) {
                place.best = Some(Measured { metric, figure, microseconds });
            }
        }
        bar.inc(1);
    }
    Ok(())
}

/// A bar for so many steps of work.
pub(super) fn bar(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps as u64).with_style(style)
}

/// Runs `modelyard evaluate` on the data; the figure's name and value.
fn evaluate(trial: &Trial<'_>, server: &Server) -> anyhow::Result<(String, f64)> {
    let own = std::env::current_exe().context("where is this binary?")?;
    let mut command = Command::new(own);
    let url = server.target().url();
    command.args(["evaluate", NAME, "--url", &url, "-o", "json", "--concurrency", "1", "--data"]).arg(trial.data);
    if let Some(labels) = trial.labels {
        command.args(["--labels", labels]);
    }
    let ran = command.stdin(Stdio::null()).output().context("cannot run modelyard evaluate")?;
    if !ran.status.success() {
        bail!("{}", String::from_utf8_lossy(&ran.stderr).trim().trim_start_matches("error: "));
    }
    let evaluation: Value = serde_json::from_slice(&ran.stdout).context("the evaluation is not understood")?;
    let metric = trial.metric.unwrap_or(if evaluation["task"] == "regression" { "r2" } else { "accuracy" });
    let Some(figure) = evaluation["metrics"][metric].as_f64() else {
        let known: Vec<&str> = evaluation["metrics"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        bail!("there is no figure '{metric}' here; there are {}, {COSINE}", known.join(", "));
    };
    Ok((metric.to_owned(), figure))
}

/// How alike the answers are to the original's, which are kept as they come.
fn alike(trial: &Trial<'_>, server: &Server, originals: &mut Option<Vec<Vec<Named>>>) -> anyhow::Result<(String, f64)> {
    let runtime = runtime()?;
    let metadata = runtime.block_on(server.open())?.metadata().clone();
    let requests = Requests::read(trial.data, trial.labels, &metadata)?;
    let which: Vec<usize> = (0..requests.count().min(COMPARED)).collect();
    let mut answers = Vec::new();
    runtime.block_on(requests.send(server, &which, |answer| {
        answers.push(answer);
        Ok(())
    }))?;
    let mut cosine = Cosine::default();
    let originals = originals.get_or_insert_with(|| answers.clone());
    for (original, answer) in originals.iter().zip(&answers) {
        cosine.add((original, answer), requests.batch())?;
    }
    Ok((COSINE.to_owned(), cosine.mean()))
}
