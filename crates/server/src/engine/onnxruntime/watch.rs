//! Who stops runs: one thread for all, which looks every few milliseconds whether a run's deadline has passed or its client has gone,
//! and tells ONNX Runtime. It stops between two operators, as tract does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Once};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::pool::Options;
use crate::engine::Stop;

/// How often runs are looked at.
const TICK: Duration = Duration::from_millis(5);

/// The thread goes to sleep when there was no run for this long; waking it costs a request some microseconds.
const AWAKE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Watch {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    runs: Vec<Run>,
    next: u64,
    asleep: bool,
}

struct Run {
    id: u64,
    deadline: Instant,
    gone: Arc<AtomicBool>,
    options: Arc<Options>,
    stopped: bool,
}

/// A run that is watched.
pub(super) struct Watched {
    id: u64,
}

static WATCH: LazyLock<Watch> = LazyLock::new(Watch::default);
static STARTED: Once = Once::new();

/// From now on until [`Watched::end`] the run with these options is stopped when `stop` says so.
pub(super) fn enter(stop: &Stop, options: &Arc<Options>) -> Watched {
    STARTED.call_once(|| {
        let started = std::thread::Builder::new().name("onnxruntime-watch".to_owned()).spawn(|| WATCH.run());
        if let Err(error) = started {
            tracing::warn!(%error, "no thread to stop runs with: they go on to their end");
        }
    });
    let mut state = WATCH.state.lock();
    let id = state.next;
    state.next += 1;
    let (gone, options) = (Arc::clone(&stop.gone), Arc::clone(options));
    state.runs.push(Run { id, deadline: stop.deadline, gone, options, stopped: false });
    if state.asleep {
        WATCH.woken.notify_one();
    }
    Watched { id }
}

impl Watched {
    /// The run has ended. Whether it was stopped: then its options say so until they are told otherwise.
    pub(super) fn end(self) -> bool {
        let stopped = self.take();
        std::mem::forget(self);
        stopped
    }

    fn take(&self) -> bool {
        let mut state = WATCH.state.lock();
        let at = state.runs.iter().position(|run| run.id == self.id);
        at.is_some_and(|at| state.runs.swap_remove(at).stopped)
    }
}

impl Drop for Watched {
    /// A run that panicked is watched no longer.
    fn drop(&mut self) {
        self.take();
    }
}

impl Watch {
    fn run(&self) {
        let mut state = self.state.lock();
        let mut busy = Instant::now();
        loop {
            let now = Instant::now();
            if state.runs.is_empty() {
                if now.duration_since(busy) > AWAKE {
                    state.asleep = true;
                    self.woken.wait(&mut state);
                    state.asleep = false;
                    busy = Instant::now();
                    continue;
                }
            } else {
                busy = now;
            }
            for run in state.runs.iter_mut().filter(|run| !run.stopped) {
                if now >= run.deadline || run.gone.load(Ordering::Relaxed) {
                    run.stopped = true;
                    if let Err(error) = run.options.terminate() {
                        tracing::warn!(%error, "ONNX Runtime does not stop a run");
                    }
                }
            }
            self.woken.wait_for(&mut state, TICK);
        }
    }
}
