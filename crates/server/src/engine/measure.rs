//! How long a model runs, measured at load: whether rows should be stacked or fanned out, and whether a run is shorter than
//! the hop to another thread, are decided by it.

use std::time::{Duration, Instant};

use modelyard_wire::Tensor;

use super::madeup::{Fill, example, shapes};
use super::{Engine, RunError, Stop};

/// The whole measurement takes no longer than this, but for the plan or operator that crosses it.
const BUDGET: Duration = Duration::from_millis(200);

/// How long the first run may take: whoever waits for it has a bound of its own.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs per batch size, where they fit into the budget. The least counts: everything else is noise of the machine.
const RUNS: usize = 20;

/// Runs after which those that took [`SETTLED`] together are enough for [`measure`]: longer ones differ less from one another.
const FEW: usize = 4;

/// What runs of one batch size take together at least, where they are not [`RUNS`].
const SETTLED: Duration = Duration::from_millis(2);

/// How long one run takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// With one row; or of a model that is not batched, with its free dimensions 1. `None` where the model could not be tried.
    pub one: Option<Duration>,
    /// With eight rows; `None` for a model that is not batched, that refused, or is too slow to be run again.
    pub eight: Option<Duration>,
}

/// Runs the model on made-up inputs, free dimensions other than the batch being 1.
pub fn measure(engine: &dyn Engine) -> Measured {
    let end = Instant::now() + BUDGET;
    let Some(one) = fastest(engine, 1, (SETTLED, Instant::now() + BUDGET / 2)) else { return Measured::default() };
    let batched = engine.signature().batched;
    // Eight rows cost up to eight times one, and a plan first.
    let affordable = one.saturating_mul(8) < BUDGET / 2;
    let eight = if batched && affordable { fastest(engine, 8, (SETTLED, end)) } else { None };
    Measured { one: Some(one), eight }
}

/// The shortest time of one row, as far as `budget` lets it be found; `None` where the model could not be tried.
pub(super) fn one_row(engine: &dyn Engine, budget: Duration) -> Option<Duration> {
    fastest(engine, 1, (budget, Instant::now() + budget))
}

/// What the engine itself fails of, where it answers no made-up inputs; `None` where it does, or blames them.
pub(super) fn fault(engine: &dyn Engine) -> Option<String> {
    let (specs, shapes) = (&engine.signature().inputs, shapes(engine.signature(), 1)?);
    let mut fault = None;
    for fill in [Fill::Zero, Fill::One] {
        match engine.run(&example(specs, &shapes, fill), &Stop::at(Instant::now() + PATIENCE)) {
            Ok(_) => return None,
            Err(RunError::Internal(said)) => fault = Some(said),
            Err(_) => {}
        }
    }
    fault
}

/// Runs the model once, with one row and then with two: whatever comes of it.
pub fn first_run(engine: &dyn Engine) {
    for rows in [1, 2] {
        if let Some(shapes) = shapes(engine.signature(), rows) {
            let inputs = example(&engine.signature().inputs, &shapes, Fill::Zero);
            drop(engine.run(&inputs, &Stop::at(Instant::now() + PATIENCE)));
        }
    }
}

/// The shortest of several runs; the first, which may build a plan, only counts alone. Few are enough once they took `settled`.
fn fastest(engine: &dyn Engine, rows: usize, (settled, end): (Duration, Instant)) -> Option<Duration> {
    let (specs, shapes) = (&engine.signature().inputs, shapes(engine.signature(), rows)?);
    // Zeros are refused by divisions, ones by tables of one row.
    [Fill::Zero, Fill::One].into_iter().find_map(|fill| repeat(engine, &example(specs, &shapes, fill), (settled, end)))
}

/// A model that is still running when the time is up took at least that long, which is all that matters of it.
fn repeat(engine: &dyn Engine, inputs: &[Tensor], (settled, end): (Duration, Instant)) -> Option<Duration> {
    let stop = Stop::at(end);
    let (mut least, mut runs, mut took) = (None, 0, Duration::ZERO);
    let is_enough = |runs, took| runs > RUNS || (runs > FEW && took >= settled);
    while least.is_none() || (!is_enough(runs, took) && Instant::now() < end) {
        let begun = Instant::now();
        let result = engine.run(inputs, &stop);
        let spent = begun.elapsed();
        match result {
            Ok(_) => least = Some(least.map_or(spent, |least: Duration| least.min(spent))),
            Err(RunError::DeadlineExceeded) => return least.or(Some(spent)),
            Err(_) => return None,
        }
        runs += 1;
        took += spent;
    }
    least
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::Facts;
    use crate::signature::Signature;

    /// Answers after a millisecond at least, and counts.
    struct Slow {
        signature: Signature,
        facts: Facts,
        runs: AtomicUsize,
    }

    impl Engine for Slow {
        fn signature(&self) -> &Signature {
            &self.signature
        }

        fn facts(&self) -> &Facts {
            &self.facts
        }

        fn run(&self, _: &[Tensor], _: &Stop) -> Result<Vec<Tensor>, RunError> {
            self.runs.fetch_add(1, Ordering::Relaxed);
            let end = Instant::now() + Duration::from_millis(1);
            while Instant::now() < end {}
            Ok(Vec::new())
        }
    }

    #[test]
    fn runs_that_take_long_are_few() {
        for (settled, runs) in [(SETTLED, FEW + 1), (Duration::MAX, RUNS + 1)] {
            let signature = Signature { inputs: Vec::new(), outputs: Vec::new(), batched: false };
            let engine = Slow { signature, facts: Facts::default(), runs: AtomicUsize::new(0) };
            let least = repeat(&engine, &[], (settled, Instant::now() + PATIENCE)).unwrap();
            assert!(least >= Duration::from_millis(1));
            assert_eq!(engine.runs.into_inner(), runs);
        }
    }
}
