//! The trial of a model: before the server takes it in, a child process loads it and runs it once, within bounds on memory and
//! processor time and without a network. What would crash the server, eat its memory or never end does so to the child, and the
//! model's neighbours never notice.
//!
//! The child is this program once more, in a mode that its help does not list ([`child`]). One that a small model has left in good health
//! tries the next that waits, since to start it costs more than most small models. That a model runs is all that is believed of a child
//! which has tried others: whatever else comes of it, the model is tried anew in a child of its own, so what an earlier model left
//! behind cannot be a later one's fault.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use modelyard_core::api::EngineName;

use crate::engine::choice::{Choice, Wanted};

mod bounds;
mod cage;
mod child;
mod memory;
mod places;
mod process;
mod verdict;

pub use child::run;
pub use verdict::{TrialError, Tried};

use child::SMALL;
use places::{Place, Places};
use process::Process;
use verdict::{Allowance, Order, Verdict, judge};

/// Models that one child tries at most.
const MOST_MODELS: u64 = 100;

/// Bytes of memory that the models of one child take together, but for the last.
const MOST_KEPT: u64 = 32 << 20;

/// Processor time of a model in a child that has tried others; one that takes longer is tried alone.
const BRIEF: Duration = Duration::from_secs(2);

/// How long the server waits for such a child.
const BRIEF_PATIENCE: Duration = Duration::from_secs(10);

/// What tries models.
#[derive(Clone)]
pub struct Trial {
    program: PathBuf,
    /// Children that may run at once.
    places: Arc<Places>,
}

impl Trial {
    /// Trials by this program, as many at once as there are threads.
    pub fn by_this_program(threads: usize) -> Self {
        // Another file may have taken the program's name since: this one is what runs.
        Self { program: "/proc/self/exe".into(), places: Arc::new(Places::new(threads)) }
    }

    /// Tries the model at `path`. It may take a quarter of `patience` in processor time, since it is loaded a second time if all is
    /// well, and a machine that is busy takes longer. `None` where the file could not be read: whoever reads it next says why.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub async fn of(&self, model: (&Path, &Wanted), patience: Duration) -> Result<Option<Tried>, TrialError> {
        let (place, child) = self.places.take().await;
        if let Some(child) = child
            && let Some((tried, child)) = after_others(child, model, patience).await
        {
            release(place, child, Some(&tried)).await;
            return Ok(Some(tried));
        }
        let allowance = allowance(patience);
        let mut child = Process::start(&self.program).map_err(TrialError::NoProcess)?;
        let Ok(verdict) = tokio::time::timeout(patience, child.ask(&Order::new(model, allowance))).await else {
            end(child).await;
            return Err(TrialError::Slow);
        };
        let outcome = judge(verdict?, allowance);
        release(place, child, outcome.as_ref().ok().and_then(Option::as_ref)).await;
        outcome
    }
}

fn allowance(patience: Duration) -> Allowance {
    Allowance { seconds: (patience.as_secs() / 4).max(1), bytes: memory::left() }
}

/// Tries a model in a child that has tried others, and gives it back in good health; `None` where the model is to be tried alone, whatever
/// the reason.
async fn after_others(mut child: Process, model: (&Path, &Wanted), patience: Duration) -> Option<(Tried, Process)> {
    // A larger one has its whole allowance at once. Whoever cannot ask for its size finds out why in the child.
    if fs::metadata(model.0).is_ok_and(|about| about.len() > SMALL) {
        end(child).await;
        return None;
    }
    let full = allowance(patience);
    let order = Order::new(model, Allowance { seconds: full.seconds.min(BRIEF.as_secs()), ..full });
    match tokio::time::timeout(patience.min(BRIEF_PATIENCE), child.ask(&order)).await {
        Ok(Ok(Verdict::Runs(tried))) => Some((tried, child)),
        // It has ended.
        Ok(Err(error)) => {
            tracing::debug!(model = %model.0.display(), %error, "trying the model anew, in a process of its own");
            None
        }
        Ok(Ok(_)) | Err(_) => {
            tracing::debug!(model = %model.0.display(), "trying the model anew, in a process of its own");
            end(child).await;
            None
        }
    }
}

/// Leaves the child to a model that waits, if it has not tried or does not keep too much, and the model that it has tried was of a kind
/// that leaves no harm: small, and without ONNX Runtime, whose C++ could. Else it ends.
async fn release(place: Place<'_>, mut child: Process, tried: Option<&Tried>) {
    let harmless = |tried: &&Tried| {
        let Choice { engine, reason } = &tried.choice;
        // There is a reason wherever ONNX Runtime was asked too.
        *engine == EngineName::Tract && reason.is_empty()
    };
    let takes = tried.filter(harmless).and_then(|tried| tried.memory).filter(|bytes| *bytes <= SMALL);
    child.keeps = child.keeps.saturating_add(takes.unwrap_or(u64::MAX));
    let left = if child.tried < MOST_MODELS && child.keeps <= MOST_KEPT { place.leave(child) } else { Some((place, child)) };
    if let Some((_place, child)) = left {
        end(child).await;
    }
}

/// Ends a child, and sees it go. Where that fails it is gone already, or is collected later.
async fn end(child: Process) {
    if let Err(error) = child.end().await {
        tracing::debug!(%error, "cannot end the process that tries models");
    }
}

#[cfg(test)]
mod tests;
