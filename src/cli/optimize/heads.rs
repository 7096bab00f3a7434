//! What answers lose without a head: the model is served with an input that leaves heads out, and asked without each of them.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use modelyard_core::api::EngineName;
use modelyard_onnx::proto::ModelProto;
use modelyard_onnx::rewrite::{Mask, attentions, masked};
use modelyard_wire::Tensor;

use super::answers::{Cosine, Requests};
use super::server::Server;
use super::trial::{Trial, bar};
use crate::cli::served::runtime;
use crate::inputs::Named;

/// Requests that are asked without each head, spread over the data.
const REQUESTS: usize = 2;

/// Serves the model and finds by how much answers turn away from its own without each head: 1 less the mean cosine of rows.
pub(super) fn losses(model: &ModelProto, trial: &Trial<'_>) -> anyhow::Result<BTreeMap<String, Vec<f64>>> {
    if attentions(model).0.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (asked, masks) = masked(model);
    let folder = tempfile::tempdir().context("no temporary folder")?;
    modelyard_onnx::write(&asked, &folder.path().join("model.onnx"))?;
    let bar = bar(masks.iter().map(|mask| mask.attention.heads).sum::<usize>() + 1);
    bar.set_message("loading to leave heads out");
    let server = Server::start(&trial.binary()?, folder.path(), EngineName::Auto)
        .context("the model cannot be served with an input that leaves heads out")?;
    bar.inc(1);
    bar.set_message("leaving heads out");
    let runtime = runtime()?;
    let mut metadata = runtime.block_on(server.open())?.metadata().clone();
    metadata.inputs.retain(|spec| masks.iter().all(|mask| mask.input != spec.name));
    let requests = Requests::read(trial.data, trial.labels, &metadata)?;
    let count = requests.count();
    let which: Vec<usize> = (0..REQUESTS.min(count)).map(|number| number * count / REQUESTS.min(count)).collect();
    let rows = requests.batch();
    let ask = |without: Option<(usize, usize)>| -> anyhow::Result<Vec<Vec<Named>>> {
        let mask = |(at, mask): (usize, &Mask)| {
            let head = without.filter(|(of, _)| *of == at).map(|(_, head)| head);
            Ok((mask.input.clone(), Tensor::from_f32(mask.shape(rows), &mask.values(rows, head))?))
        };
        let beside = masks.iter().enumerate().map(mask).collect::<anyhow::Result<Vec<Named>>>()?;
        let mut answers = Vec::new();
        runtime.block_on(requests.send_with(&server, (&which, &beside), |answer| {
            answers.push(answer);
            Ok(())
        }))?;
        Ok(answers)
    };
    let whole = ask(None)?;
    let mut losses = BTreeMap::new();
    for (at, mask) in masks.iter().enumerate() {
        let mut own = Vec::with_capacity(mask.attention.heads);
        for head in 0..mask.attention.heads {
            let mut cosine = Cosine::default();
            for (one, other) in whole.iter().zip(&ask(Some((at, head)))?) {
                cosine.add((one, other), rows)?;
            }
            let loss = 1.0 - cosine.mean();
            if !loss.is_finite() {
                bail!("without head {head} of '{}' the answers are no numbers", mask.attention.name);
            }
            own.push(loss);
            bar.inc(1);
        }
        losses.insert(mask.attention.name.clone(), own);
    }
    bar.finish_and_clear();
    Ok(losses)
}
