//! The threads on which models are loaded.

use std::time::Duration;

use tokio::sync::oneshot;

use super::NotLoaded;
use crate::engine::onnxruntime;

/// Runs what may block on a thread of its own, which ends with it: the allocator gives back more of what an ended thread
/// has left behind than of what a pooled one may want again (measured: 68 MB instead of 95 after 100 MB were unloaded).
///
/// An engine cannot be stopped while it plans. One that is not done in time goes on in its thread, and what comes of it is dropped.
pub(super) async fn blocking<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> Result<T, NotLoaded> + Send + 'static,
) -> Result<T, NotLoaded> {
    let (sender, outcome) = oneshot::channel();
    // The outcome of a load that nobody waits for any more has no use.
    let run = move || {
        give_way();
        drop(sender.send(work()));
    };
    std::thread::Builder::new().name("loader".to_owned()).spawn(run).map_err(NotLoaded::Thread)?;
    tokio::time::timeout(patience, outcome).await.map_err(|_| NotLoaded::Slow(patience))??
}

/// How far a load stands back: a tenth of a thread's share where both want the same core (sched(7)).
pub(crate) const NICENESS: i32 = 10;

/// Lets threads that serve go before this one. Elsewhere than on Linux niceness is a process's. Where ONNX Runtime's library is at hand, a
/// load may open it, and it may make threads of its own that serve: they would be as nice for good. It is only looked for here, since
/// opening it costs more than loading most models.
fn give_way() {
    if cfg!(target_os = "linux")
        && !onnxruntime::is_at_hand()
        && let Err(error) = rustix::process::nice(NICENESS)
    {
        tracing::debug!(%error, "a load takes its full share of the processor");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::LOAD_TIMEOUT;

    #[tokio::test]
    async fn a_model_that_the_engine_is_never_done_with_fails_in_time() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let never = move || Ok(held.recv().is_ok());
        let error = blocking(Duration::from_millis(5), never).await.unwrap_err();
        assert_eq!((error.reason(), error.to_string().contains("--load-timeout")), ("ModelUnsupported", true));
        drop(hold);
        assert!(blocking(LOAD_TIMEOUT, || Ok(true)).await.unwrap());
    }
}
