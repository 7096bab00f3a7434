//! Where the streams of an HTTP/2 connection run.
//!
//! Most requests of a tiny model are answered without waiting for anything, and a task for each costs more than some of their models.
//! So a connection that brings its requests one by one has each run at once, within the connection's own task, and only what has to
//! wait becomes a task. One that brings many in one read has a task for each: their answers then leave in one write.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};

use hyper::rt::Executor;

/// Runs the streams of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Arc<Arrivals>);

/// Streams that came in one poll of the connection.
#[derive(Debug, Default)]
struct Arrivals {
    before: AtomicU32,
    now: AtomicU32,
}

impl Streams {
    /// The connection is about to be polled.
    pub(super) fn next_poll(&self) {
        let now = self.0.now.swap(0, Ordering::Relaxed);
        // A poll that only writes says nothing about how requests come.
        if now > 0 {
            self.0.before.store(now, Ordering::Relaxed);
        }
    }

    fn come_one_by_one(&self) -> bool {
        let before = self.0.before.load(Ordering::Relaxed);
        self.0.now.fetch_add(1, Ordering::Relaxed) == 0 && before <= 1
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        if !self.come_one_by_one() {
            tokio::spawn(stream);
            return;
        }
        let mut stream = Box::pin(stream);
        // Nobody has to be woken: what waits is polled once more, as a task.
        let polled =
            catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()));
        // A panic ends its own stream, as it would end its own task; the panic hook has told of it.
        if polled.unwrap_or_default() {
            tokio::spawn(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tokio::sync::oneshot;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    /// A stream that says when it has run.
    fn stream(ran: &Arc<AtomicBool>) -> impl Future<Output = ()> + Send + use<> {
        let ran = Arc::clone(ran);
        async move { ran.store(true, Ordering::Relaxed) }
    }

    #[test]
    fn one_that_comes_alone_runs_at_once_and_the_others_of_a_read_as_tasks() {
        let streams = Streams::default();
        let [first, second, third, fourth]: [Arc<AtomicBool>; 4] = Default::default();
        let has_run = |one: &Arc<AtomicBool>| one.load(Ordering::Relaxed);
        runtime().block_on(async {
            streams.next_poll();
            streams.execute(stream(&first));
            assert!(has_run(&first));
            streams.execute(stream(&second));
            assert!(!has_run(&second), "the second of one read");
            streams.next_poll();
            streams.next_poll();
            streams.execute(stream(&third));
            assert!(!has_run(&third), "the read before brought two");
            tokio::task::yield_now().await;
            assert!(has_run(&second) && has_run(&third));
            streams.next_poll();
            streams.execute(stream(&fourth));
            assert!(has_run(&fourth), "they come one by one again");
        });
    }

    #[test]
    fn one_that_has_to_wait_goes_on_as_a_task() {
        let (streams, done) = (Streams::default(), Arc::<AtomicBool>::default());
        let (say, hear) = oneshot::channel::<()>();
        let then = stream(&done);
        runtime().block_on(async {
            streams.execute(async move {
                hear.await.unwrap();
                then.await;
            });
            tokio::task::yield_now().await;
            assert!(!done.load(Ordering::Relaxed));
            say.send(()).unwrap();
            tokio::task::yield_now().await;
            assert!(done.load(Ordering::Relaxed));
        });
    }

    #[test]
    fn one_that_panics_ends_alone() {
        let (streams, done) = (Streams::default(), Arc::<AtomicBool>::default());
        runtime().block_on(async {
            streams.execute(async { panic!("as asked") });
            streams.next_poll();
            streams.execute(stream(&done));
        });
        assert!(done.load(Ordering::Relaxed));
    }
}
