//! A dataset through a served model, batch by batch, several in flight.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use modelyard_wire::Tensor;

use crate::cli::served::Served;
use crate::client::{Answer, ClientError, Metadata, ModelName, Session, Target};
use crate::inputs::{self, Named};

/// What is sent, and how.
pub(super) struct Plan<'a> {
    /// The model.
    pub(super) served: &'a Served,
    /// The inputs, all rows.
    pub(super) inputs: &'a [Named],
    /// Rows of each.
    pub(super) rows: usize,
    /// Rows of a request.
    pub(super) batch: usize,
    /// Requests in flight.
    pub(super) concurrency: usize,
}

/// What came back.
pub(super) struct Sent {
    /// The version that answered, where the protocol tells.
    pub(super) version: Option<String>,
    /// The outputs, all rows.
    pub(super) outputs: Vec<Named>,
    /// Seconds of each request, in rising order.
    pub(super) latencies: Vec<f64>,
    /// Seconds in all.
    pub(super) elapsed: f64,
    /// Rows of a request.
    pub(super) batch: usize,
    /// Requests in flight.
    pub(super) concurrency: usize,
}

/// How often a full server is asked again, and the first pause between.
const RETRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(100);

/// Sends every batch; the first failure that patience does not cure ends it.
pub(super) async fn send(plan: &Plan<'_>, metadata: &Arc<Metadata>) -> anyhow::Result<Sent> {
    let batches = plan.rows.div_ceil(plan.batch);
    let workers = plan.concurrency.min(batches);
    let (give, take) = tokio::sync::mpsc::unbounded_channel();
    let take = Arc::new(tokio::sync::Mutex::new(take));
    for index in 0..batches {
        let (from, to) = (index * plan.batch, ((index + 1) * plan.batch).min(plan.rows));
        let slice = |(name, tensor): &Named| Ok((name.clone(), inputs::slice_rows(tensor, from, to)?));
        let inputs = plan.inputs.iter().map(slice).collect::<Result<Vec<_>, inputs::InputError>>()?;
        give.send((index, from, to, inputs)).ok();
    }
    drop(give);
    let bar = progress(plan.rows);
    let target = plan.served.target()?;
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let take = Arc::clone(&take);
        let (bar, name, mut session) = (bar.clone(), plan.served.name(), reopened(&target, plan.served, metadata));
        tasks.spawn(async move {
            let mut answers = Vec::new();
            loop {
                let Some((index, from, to, inputs)) = take.lock().await.recv().await else { return anyhow::Ok(answers) };
                let sent = Instant::now();
                let answer = patient(&mut session, &inputs)
                    .await
                    .with_context(|| format!("model '{}', rows {from} to {}", name.name, to - 1))?;
                answers.push((index, answer, sent.elapsed().as_secs_f64()));
                bar.inc((to - from) as u64);
            }
        });
    }
    let mut answers = Vec::with_capacity(batches);
    while let Some(joined) = tasks.join_next().await {
        answers.extend(joined.context("a request's task ended")??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    bar.finish_and_clear();
    answers.sort_by_key(|(index, _, _)| *index);
    collect(plan, answers, elapsed)
}

fn reopened(target: &Target, served: &Served, metadata: &Arc<Metadata>) -> Session {
    let model = ModelName { name: served.model.clone(), version: served.model_version.clone() };
    Session::with_metadata(target, served.protocol, &model, (Metadata::clone(metadata), served.timeout))
}

/// Asks again, ever later, while the server says that it is full.
async fn patient(session: &mut Session, inputs: &[Named]) -> Result<Answer, ClientError> {
    for attempt in 0..RETRIES {
        match session.infer(inputs).await {
            Err(ClientError::Refused { status, .. }) if matches!(status.as_str(), "503" | "429" | "UNAVAILABLE") => {
                tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
            }
            outcome => return outcome,
        }
    }
    session.infer(inputs).await
}

fn progress(rows: usize) -> ProgressBar {
    // Hidden by itself where stderr is no terminal.
    let bar = ProgressBar::new(rows as u64);
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} rows  {rate}  {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = out.write_str(&rate(state.per_sec()));
    }));
    bar
}

/// Whole rows a second: more digits are noise.
fn rate(rows: f64) -> String {
    format!("{rows:.0} rows/s")
}

fn collect(plan: &Plan<'_>, answers: Vec<(usize, Answer, f64)>, elapsed: f64) -> anyhow::Result<Sent> {
    let mut latencies: Vec<f64> = answers.iter().map(|(_, _, seconds)| *seconds).collect();
    latencies.sort_by(f64::total_cmp);
    let version = answers.first().and_then(|(_, answer, _)| answer.version.clone());
    let outputs = inputs::stack(answers.into_iter().map(|(_, answer, _)| answer.outputs).collect())?;
    let rows = |tensor: &Tensor| tensor.shape().first().copied();
    let outputs: Vec<Named> = outputs.into_iter().filter(|(_, tensor)| rows(tensor) == Some(plan.rows)).collect();
    if outputs.is_empty() {
        bail!("no output of model '{}' has a row for each of the {} rows sent", plan.served.model, plan.rows);
    }
    Ok(Sent { version, outputs, latencies, elapsed, batch: plan.batch, concurrency: plan.concurrency })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_whole() {
        assert_eq!(rate(4_463.712_6), "4464 rows/s");
    }
}
