//! The sessions of a model. A session runs one request at a time, so there are as many as threads, or as few as the weights, which
//! each has for itself, leave room for; the rest of the threads help within a run. The first is opened at load, others when requests
//! come that would wait for one.

use std::sync::Arc;

use ort::session::{NoSelectedOutputs, RunOptions, Session};
use parking_lot::{Condvar, Mutex};

use super::{Source, refusal};
use crate::engine::{LoadError, RunError, Stop};
use crate::signature::TensorSpec;

pub(super) type Options = RunOptions<NoSelectedOutputs>;

/// An arena whose last large run needed this many times what one needs now is shrunk.
const SHRINK_BELOW: usize = 4;

/// The sessions of a model.
pub(super) struct Pool {
    source: Source,
    /// Sessions at most.
    most: usize,
    /// Threads of each.
    threads: usize,
    state: Mutex<State>,
    given_back: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Runner>,
    opened: usize,
}

/// One session, and how it is run.
pub(super) struct Runner {
    pub(super) session: Session,
    plain: Arc<Options>,
    /// After a run with these the arena holds no more than what is in use.
    shrinking: Arc<Options>,
    /// Bytes of the largest inputs since the arena was last shrunk.
    peak: usize,
}

impl Pool {
    /// At most `most` sessions, whose runs use as many `threads` each.
    pub(super) fn new(source: Source, most: usize, threads: usize) -> Self {
        Self { source, most, threads: threads.max(1), state: Mutex::default(), given_back: Condvar::new() }
    }

    /// Opens the first session, and asks it for its outputs.
    ///
    /// # Errors
    /// See [`Source::open`].
    pub(super) fn describe(
        &self,
        outputs: impl FnOnce(&Session) -> Option<Vec<TensorSpec>>,
    ) -> Result<Option<Vec<TensorSpec>>, LoadError> {
        let runner = self.open()?;
        let found = outputs(&runner.session);
        let mut state = self.state.lock();
        state.opened += 1;
        state.idle.push(runner);
        Ok(found)
    }

    /// A session that nobody uses: an idle one, a new one, or after some waiting one that was given back.
    ///
    /// # Errors
    /// When the stop's deadline passes first; [`RunError::Internal`] when no session can be opened.
    pub(super) fn take(&self, stop: &Stop) -> Result<Runner, RunError> {
        let mut state = self.state.lock();
        loop {
            if let Some(runner) = state.idle.pop() {
                return Ok(runner);
            }
            if state.opened < self.most {
                state.opened += 1;
                drop(state);
                return self.open().map_err(|error| {
                    self.forget();
                    RunError::Internal(error.to_string())
                });
            }
            if let Some(reason) = stop.reason() {
                return Err(reason);
            }
            self.given_back.wait_until(&mut state, stop.deadline);
        }
    }

    /// Gives a session back.
    pub(super) fn give(&self, runner: Runner) {
        self.state.lock().idle.push(runner);
        self.given_back.notify_one();
    }

    /// Ends a session that may be spoilt.
    pub(super) fn lose(&self, runner: Runner) {
        drop(runner);
        self.forget();
    }

    /// There is room for another.
    fn forget(&self) {
        self.state.lock().opened -= 1;
        self.given_back.notify_one();
    }

    fn open(&self) -> Result<Runner, LoadError> {
        let session = self.source.open(self.threads)?;
        let options = || -> ort::Result<(Options, Options)> {
            let mut shrinking = RunOptions::new()?;
            shrinking.set("memory.enable_memory_arena_shrinkage", "cpu:0")?;
            Ok((RunOptions::new()?, shrinking))
        };
        let (plain, shrinking) = options().map_err(|error| refusal(&error))?;
        Ok(Runner { session, plain: Arc::new(plain), shrinking: Arc::new(shrinking), peak: 0 })
    }
}

impl Runner {
    /// The options of a run whose inputs have so many bytes. One that is far smaller than an earlier one gives the earlier one's
    /// memory back.
    pub(super) fn options(&mut self, size: usize) -> Arc<Options> {
        if size.saturating_mul(SHRINK_BELOW) < self.peak {
            self.peak = size;
            return Arc::clone(&self.shrinking);
        }
        self.peak = self.peak.max(size);
        Arc::clone(&self.plain)
    }
}
