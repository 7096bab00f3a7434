//! Lets an operator write only while it surely leads.
//!
//! Whether one leads is asked when a reconcile begins; a process that was stopped in the middle of one, or whose calls hang, goes on later
//! than that. So every write is asked again on its way out, by the time of the last renewal: two operators never write at once.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use kube::client::Body;
use parking_lot::Mutex;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

/// The paths of what the fence itself depends on.
const LEASES: &str = "/apis/coordination.k8s.io/";

/// Until when writes may leave.
#[derive(Clone, Default)]
pub(super) struct Fence {
    open: Arc<Mutex<Open>>,
}

#[derive(Clone, Copy, Default)]
enum Open {
    #[default]
    No,
    Until(Instant),
    Always,
}

/// A write was stopped.
#[derive(Debug, thiserror::Error)]
#[error("not written: this operator does not lead any more")]
struct Fenced;

impl Fence {
    /// Writes may leave until then.
    pub(super) fn open_until(&self, until: Instant) {
        *self.open.lock() = Open::Until(until);
    }

    /// Nobody else could write.
    pub(super) fn open_always(&self) {
        *self.open.lock() = Open::Always;
    }

    /// No write leaves from now on.
    pub(super) fn close(&self) {
        *self.open.lock() = Open::No;
    }

    fn lets_pass(&self, method: &Method, path: &str) -> bool {
        if matches!(*method, Method::GET | Method::HEAD) || path.starts_with(LEASES) {
            return true;
        }
        match *self.open.lock() {
            Open::No => false,
            Open::Until(until) => Instant::now() < until,
            Open::Always => true,
        }
    }
}

impl<S> Layer<S> for Fence {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, fence: self.clone() }
    }
}

/// A client whose writes are asked.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    inner: S,
    fence: Fence,
}

impl<S, B> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !self.fence.lets_pass(request.method(), request.uri().path()) {
            let stopped: Ready<Result<Response<B>, BoxError>> = ready(Err(Box::new(Fenced)));
            return Box::pin(stopped);
        }
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_who_leads_writes() {
        let fence = Fence::default();
        let passes = |method| fence.lets_pass(&method, "/apis/apps/v1/namespaces/a/deployments/b");
        assert!(passes(Method::GET) && !passes(Method::PATCH));
        assert!(fence.lets_pass(&Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/a/leases/b"));
        fence.open_until(Instant::now() + Duration::from_secs(8));
        assert!(passes(Method::PATCH) && passes(Method::DELETE) && passes(Method::POST));
        tokio::time::advance(Duration::from_secs(8)).await;
        assert!(!passes(Method::PATCH) && passes(Method::GET));
        fence.open_always();
        assert!(passes(Method::PATCH));
        fence.close();
        assert!(!passes(Method::PATCH));
    }
}
