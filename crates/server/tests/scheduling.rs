//! The lane before the engine: answers are never mixed, queues are bounded, late and abandoned work is never run.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join_all, poll_immediate};
use modelyard_core::server_config::{BatchingConfig, ModelConfig};
use modelyard_server::engine::{Engine, Facts, RunError, Stop};
use modelyard_server::fault::{Code, Fault};
use modelyard_server::infer::{Answer, Call, Measured, Model, Rows, Scheduling};
use modelyard_server::signature::{Signature, TensorSpec};
use modelyard_wire::{DataType, Tensor};
use parking_lot::{Condvar, Mutex};
use proptest::prelude::*;

/// Doubles its input; refuses data with a -1 in it; runs only while its gate is open.
struct Doubler {
    signature: Signature,
    facts: Facts,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
    runs: AtomicUsize,
    rows: Mutex<Vec<usize>>,
    waiting: Mutex<usize>,
    came: Condvar,
}

impl Gate {
    fn close(&self) {
        *self.closed.lock() = true;
    }

    fn open(&self) {
        *self.closed.lock() = false;
        self.opened.notify_all();
    }

    /// Blocks until a run stands before the gate.
    fn await_run(&self) {
        let mut waiting = self.waiting.lock();
        while *waiting == 0 {
            assert!(!self.came.wait_for(&mut waiting, Duration::from_secs(20)).timed_out(), "no run came");
        }
    }

    fn pass(&self) {
        *self.waiting.lock() += 1;
        self.came.notify_all();
        let mut closed = self.closed.lock();
        while *closed {
            self.opened.wait(&mut closed);
        }
        drop(closed);
        *self.waiting.lock() -= 1;
        self.runs.fetch_add(1, Ordering::SeqCst);
    }
}

impl Engine for Doubler {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], _: &Stop) -> Result<Vec<Tensor>, RunError> {
        self.gate.pass();
        self.gate.rows.lock().push(inputs[0].shape()[0]);
        let values = inputs[0].to_f64().unwrap();
        if values.contains(&-1.0) {
            return Err(RunError::InvalidData("a -1 in the data".to_owned()));
        }
        let doubled: Vec<i64> = values.iter().map(|value| *value as i64 * 2).collect();
        Ok(vec![Tensor::from_i64(inputs[0].shape().to_vec(), &doubled).unwrap()])
    }
}

struct Options {
    threads: usize,
    queue_length: usize,
    batching: Option<(u32, Duration)>,
    measured: Measured,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1, queue_length: 10_000, batching: None, measured: Measured::default() }
    }
}

fn model(options: Options) -> (Arc<Model>, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let spec = |name: &str| TensorSpec { name: name.to_owned(), datatype: DataType::Int64, shape: vec![-1, -1] };
    let signature = Signature { inputs: vec![spec("x")], outputs: vec![spec("y")], batched: true };
    let engine = Doubler { signature, facts: Facts::default(), gate: Arc::clone(&gate) };
    let config = ModelConfig {
        name: "m".into(),
        uri: "file:x".into(),
        sha256: None,
        version: 1,
        classes: vec![],
        authorization_env: None,
        credentials_env: None,
    };
    let scheduling = Scheduling {
        threads: options.threads,
        queue_length: options.queue_length,
        batching: options.batching.map(|(max_size, max_delay)| BatchingConfig { max_size, max_delay }),
        request_timeout: Duration::from_secs(30),
    };
    (Model::new(&config, Box::new(engine), &scheduling, options.measured).unwrap(), gate)
}

fn call(shape: [usize; 2], values: &[i64]) -> Call {
    let now = Instant::now();
    Call::new(vec![Tensor::from_i64(shape.to_vec(), values).unwrap()], now, now)
}

fn one(value: i64) -> Call {
    call([1, 1], &[value])
}

fn values(answer: Result<Answer, Fault>) -> Result<Vec<f64>, Code> {
    answer.map(|answer| answer.outputs[0].to_f64().unwrap()).map_err(|fault| fault.code)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[derive(Clone, Debug)]
struct Request {
    rows: usize,
    width: usize,
    poisoned: bool,
    abandoned: bool,
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let request = (1_usize..5, 1_usize..4, prop::bool::weighted(0.15), prop::bool::weighted(0.2));
    prop::collection::vec(
        request.prop_map(|(rows, width, poisoned, abandoned)| Request { rows, width, poisoned, abandoned }),
        1..40,
    )
}

/// Sends every request before the gate opens; what each that stayed sent and got.
async fn send_all(model: &Arc<Model>, gate: &Gate, requests: &[Request]) -> Vec<(bool, Vec<i64>, Result<Vec<f64>, Code>)> {
    let mut waiting = Vec::new();
    for (id, request) in requests.iter().enumerate() {
        let count = request.rows * request.width;
        let mut data: Vec<i64> = (0..count).map(|index| (id * 1000 + index) as i64).collect();
        if request.poisoned {
            data[count / 2] = -1;
        }
        let call = call([request.rows, request.width], &data);
        let mut answer = Box::pin(model.infer(call));
        assert!(poll_immediate(&mut answer).await.is_none(), "it is queued, and the gate is closed");
        if !request.abandoned {
            waiting.push(async move { (request.poisoned, data, values(answer.await)) });
        }
    }
    gate.open();
    join_all(waiting).await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Random shapes, poisoned data and clients that leave: each that stays gets its own answer, whoever shared its run.
    #[test]
    fn answers_are_never_mixed(requests in requests(), threads in 1_usize..4, limit in 1_u32..12) {
        let (model, gate) = model(Options { threads, batching: Some((limit, Duration::from_millis(1))), ..Options::default() });
        gate.close();
        let outcomes = runtime().block_on(send_all(&model, &gate, &requests));
        prop_assert_eq!(outcomes.len(), requests.iter().filter(|request| !request.abandoned).count());
        for (poisoned, data, outcome) in outcomes {
            let expected: Vec<f64> = data.iter().map(|value| (*value * 2) as f64).collect();
            prop_assert_eq!(outcome, if poisoned { Err(Code::InvalidArgument) } else { Ok(expected) });
        }
        let widest = requests.iter().map(|request| request.rows).max().unwrap().max(limit as usize);
        prop_assert!(gate.rows.lock().iter().all(|rows| *rows <= widest));
    }
}

#[test]
fn requests_share_a_run() {
    let (model, gate) = model(Options { batching: Some((8, Duration::from_secs(20))), ..Options::default() });
    let answers = runtime().block_on(join_all((0..8).map(|id| model.infer(one(id)))));
    for (id, answer) in answers.into_iter().enumerate() {
        assert_eq!(values(answer), Ok(vec![id as f64 * 2.0]));
    }
    assert_eq!(*gate.rows.lock(), [8], "eight single rows filled one batch, without waiting for the delay");
}

#[test]
fn a_full_queue_refuses_and_takes_again() {
    let (model, gate) = model(Options { queue_length: 2, ..Options::default() });
    gate.close();
    runtime().block_on(async {
        let mut running = Box::pin(model.infer(one(0)));
        assert!(poll_immediate(&mut running).await.is_none());
        gate.await_run();
        let mut waiting: Vec<_> = (1..3).map(|id| Box::pin(model.infer(one(id)))).collect();
        for one in &mut waiting {
            assert!(poll_immediate(one).await.is_none());
        }
        assert_eq!(model.queue_length(), 2);
        assert_eq!(values(model.infer(one(9)).await), Err(Code::Unavailable));
        gate.open();
        assert_eq!(values(running.await), Ok(vec![0.0]));
        for (id, one) in waiting.into_iter().enumerate() {
            assert_eq!(values(one.await), Ok(vec![(id + 1) as f64 * 2.0]));
        }
    });
}

#[test]
fn priority_goes_first_and_equals_keep_their_order() {
    let (model, gate) = model(Options::default());
    gate.close();
    runtime().block_on(async {
        let mut running = Box::pin(model.infer(one(0)));
        assert!(poll_immediate(&mut running).await.is_none());
        gate.await_run();
        let asked = [(2, 0), (3, 2), (4, 1), (5, 0), (6, 1), (7, u64::MAX)];
        let mut waiting: Vec<_> = asked
            .into_iter()
            .map(|(rows, priority)| Box::pin(model.infer(Call { priority, ..call([rows, 1], &vec![0; rows]) })))
            .collect();
        for one in &mut waiting {
            assert!(poll_immediate(one).await.is_none());
        }
        gate.open();
        assert!(running.await.is_ok() && join_all(waiting).await.into_iter().all(|answer| answer.is_ok()));
    });
    assert_eq!(*gate.rows.lock(), [1, 4, 6, 3, 7, 2, 5], "rows tell the requests apart");
}

#[test]
fn runs_are_counted_by_their_size() {
    let (model, _gate) = model(Options::default());
    runtime().block_on(async {
        for (rows, times) in [(3, 2), (1, 1)] {
            for _ in 0..times {
                assert!(model.infer(call([rows, 1], &vec![0; rows])).await.is_ok());
            }
        }
    });
    let runs: Vec<_> = model.metrics.runs().into_iter().map(|runs| (runs.rows, runs.count)).collect();
    assert_eq!(runs, [(1, 1), (3, 2)]);
}

#[test]
fn late_and_abandoned_work_is_never_run() {
    let (model, gate) = model(Options::default());
    gate.close();
    runtime().block_on(async {
        let mut running = Box::pin(model.infer(one(0)));
        assert!(poll_immediate(&mut running).await.is_none());
        gate.await_run();
        let late = Call { timeout: Some(Duration::from_millis(5)), ..one(1) };
        let answer = values(model.infer(late).await);
        assert_eq!(answer, Err(Code::DeadlineExceeded), "answered at its deadline, while the engine is busy");
        let mut abandoned = Box::pin(model.infer(one(2)));
        assert!(poll_immediate(&mut abandoned).await.is_none());
        drop(abandoned);
        gate.open();
        assert_eq!(values(running.await), Ok(vec![0.0]));
        assert_eq!(values(model.infer(one(3)).await), Ok(vec![6.0]));
    });
    assert_eq!(gate.runs.load(Ordering::SeqCst), 2, "only the first and the last ran");
}

#[test]
fn a_deadline_that_has_passed_is_not_even_queued() {
    let (model, gate) = model(Options::default());
    let call = Call { timeout: Some(Duration::ZERO), ..one(1) };
    assert_eq!(values(runtime().block_on(model.infer(call))), Err(Code::DeadlineExceeded));
    assert_eq!(gate.runs.load(Ordering::SeqCst), 0);
}

#[test]
fn rows_that_cost_more_in_company_are_fanned_out() {
    let measured = Measured { one: Some(Duration::from_millis(1)), eight: Some(Duration::from_millis(9)) };
    // Often, since one part used to take the others away with it when it was the first to be done; each time a model of its own,
    // since one that has learnt how fast it is runs inline.
    for _ in 0..200 {
        let (model, gate) = model(Options { threads: 2, measured, ..Options::default() });
        assert_eq!(model.policy.rows, Rows::FanOut);
        let answer = runtime().block_on(model.infer(call([5, 2], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])));
        assert_eq!(values(answer), Ok((0..10).map(|value| f64::from(value) * 2.0).collect()));
        assert_eq!(*gate.rows.lock(), [1; 5]);
    }
}

#[test]
fn a_model_is_gone_once_its_last_request_is() {
    let (model, gate) = model(Options::default());
    gate.close();
    runtime().block_on(async {
        let mut gone = Box::pin(model.gone());
        let mut running = Box::pin(async move { model.infer(one(4)).await });
        assert!(poll_immediate(&mut running).await.is_none());
        assert!(poll_immediate(&mut gone).await.is_none(), "a request holds it");
        gate.open();
        assert_eq!(values(running.await), Ok(vec![8.0]));
        gone.await;
    });
}
