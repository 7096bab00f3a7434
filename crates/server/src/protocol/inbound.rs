//! A request's body on its way in: bounded in time, and all bodies together in bytes.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::fault::{Code, Fault};

/// Bodies smaller than this are not counted: connections and streams are bounded, and so is what these can add up to.
const UNCOUNTED: u64 = 64 << 10;

/// A request's body.
pub enum Inbound {
    /// From a connection.
    Wire(Box<Wire>),
    /// From a test.
    Whole(Option<Bytes>),
}

/// A body that comes over a connection.
pub struct Wire {
    body: Incoming,
    charge: Option<Arc<Charge>>,
    until: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// Why a request's body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client broke off.
    #[error("the request's body was cut short")]
    CutShort(hyper::Error),
    /// It is not in chunks, though its head says so.
    #[error("the request's body is not in chunks, as its head says (Transfer-Encoding): {0}")]
    Malformed(String),
    /// The client was too slow.
    #[error("the request's body did not come within the request timeout (serving.requestTimeout)")]
    Late,
    /// Bodies together hold as much memory as they may.
    #[error("the bodies of requests in flight hold {0} bytes, the most that they may; try again later")]
    Full(u64),
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::Full(_) => Code::Unavailable,
            BodyError::Malformed(_) => Code::InvalidArgument,
            BodyError::CutShort(_) | BodyError::Late => Code::Cancelled,
        };
        Self::new(code, error.to_string())
    }
}

impl From<hyper::Error> for BodyError {
    /// hyper tells chunks that are none from a connection that ended by the kind of an I/O error.
    fn from(error: hyper::Error) -> Self {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        match cause.filter(|cause| matches!(cause.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData)) {
            Some(cause) => Self::Malformed(cause.to_string()),
            None => Self::CutShort(error),
        }
    }
}

/// The bytes that the bodies of all requests in flight may hold.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
}

/// What one request has taken of a [`Budget`]; given back when the request is done with its body.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: AtomicU64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub const fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    fn take(&self, bytes: u64) -> Result<(), BodyError> {
        if self.used.fetch_add(bytes, Ordering::Relaxed) + bytes > self.limit {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(BodyError::Full(self.limit));
        }
        Ok(())
    }
}

impl Charge {
    fn add(&self, bytes: u64) -> Result<(), BodyError> {
        self.budget.take(bytes)?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Inbound {
    /// A body that must be whole by `until`, counted against `budget`. The charge is to be held until the request is answered.
    pub fn bounded(body: Incoming, until: Instant, budget: &Arc<Budget>) -> (Self, Option<Arc<Charge>>) {
        let small = body.size_hint().exact().is_some_and(|size| size <= UNCOUNTED);
        let charge = (!small).then(|| Arc::new(Charge { budget: Arc::clone(budget), bytes: AtomicU64::new(0) }));
        (Self::Wire(Box::new(Wire { body, charge: charge.clone(), until: Some(until), sleep: None })), charge)
    }

    /// A body that goes on for as long as the client likes: a stream of messages, each bounded where it is read.
    pub fn endless(body: Incoming) -> Self {
        Self::Wire(Box::new(Wire { body, charge: None, until: None, sleep: None }))
    }
}

impl Wire {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                let counted = self.charge.as_ref().map_or(Ok(()), |charge| charge.add(bytes));
                Poll::Ready(Some(counted.map(|()| frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let Some(until) = self.until else { return Poll::Pending };
                let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until.into())));
                sleep.as_mut().poll(context).map(|()| Some(Err(BodyError::Late)))
            }
        }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Wire(wire) => wire.poll(context),
            Self::Whole(body) => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(wire) => wire.body.is_end_stream(),
            Self::Whole(body) => body.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(wire) => wire.body.size_hint(),
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Arc::new(Budget::new(100));
        let charge = |bytes: u64| {
            let charge = Charge { budget: Arc::clone(&budget), bytes: AtomicU64::new(0) };
            charge.add(bytes).map(|()| charge)
        };
        let first = charge(60).unwrap();
        let full = charge(50).unwrap_err();
        assert!(full.to_string().contains("hold 100 bytes"), "{full}");
        assert_eq!(Fault::from(full).code, Code::Unavailable);
        first.add(40).unwrap();
        drop(first);
        charge(100).unwrap();
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
