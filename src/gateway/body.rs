//! Bodies on their way through. A request's is kept in hand until the first byte of what is not kept has gone: until then it can
//! be sent to another replica.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::table::Lease;

/// A client's body: what has been read of it, and what has not.
pub(super) struct Inbound {
    read: Vec<Bytes>,
    rest: Option<Arc<Mutex<Option<Incoming>>>>,
}

impl Inbound {
    /// Nothing of it is read yet.
    pub(super) fn new(body: Incoming) -> Self {
        let rest = (!body.is_end_stream()).then(|| Arc::new(Mutex::new(Some(body))));
        Self { read: Vec::new(), rest }
    }

    /// Reads one more piece, if there is one.
    ///
    /// # Errors
    /// The client cut it short.
    pub(super) async fn read_on(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        let Some(mut body) = self.rest.take().and_then(|rest| rest.lock().take()) else { return Ok(None) };
        while let Some(frame) = body.frame().await {
            // A request's trailers mean nothing in the protocols here.
            if let Ok(piece) = frame?.into_data() {
                self.read.push(piece.clone());
                self.rest = (!body.is_end_stream()).then(|| Arc::new(Mutex::new(Some(body))));
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Reads all of it; the caller knows that it is short.
    ///
    /// # Errors
    /// The client cut it short.
    pub(super) async fn read_all(&mut self) -> Result<(), hyper::Error> {
        while self.read_on().await?.is_some() {}
        Ok(())
    }

    /// How long it is, if that was told.
    pub(super) fn length(&self) -> Option<u64> {
        let read = self.gathered();
        match &self.rest {
            None => Some(read),
            Some(rest) => rest.lock().as_ref().and_then(|body| body.size_hint().exact()).map(|rest| read + rest),
        }
    }

    /// Bytes that are read.
    pub(super) fn gathered(&self) -> u64 {
        self.read.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether it can be sent (again): nothing of it is gone.
    pub(super) fn is_complete(&self) -> bool {
        self.rest.as_ref().is_none_or(|rest| rest.lock().is_some())
    }

    /// The body to send to a replica, from the start.
    pub(super) fn outbound(&self) -> Outbound {
        let read: VecDeque<Bytes> = self.read.iter().cloned().collect();
        Outbound { length: self.length(), read, rest: self.rest.clone(), flowing: None }
    }
}

/// A request's body as a replica gets it. It takes what is not read yet only when that is wanted.
pub(super) struct Outbound {
    read: VecDeque<Bytes>,
    rest: Option<Arc<Mutex<Option<Incoming>>>>,
    flowing: Option<Incoming>,
    length: Option<u64>,
}

impl Outbound {
    pub(super) const fn empty() -> Self {
        Self { read: VecDeque::new(), rest: None, flowing: None, length: Some(0) }
    }
}

impl Body for Outbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(piece) = self.read.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(rest) = self.rest.take() {
            self.flowing = rest.lock().take();
        }
        match &mut self.flowing {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_none() && self.flowing.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A response's body.
pub(super) enum Reply {
    /// The gateway's own words, and gRPC's trailers after them.
    Own(Option<Bytes>, Option<HeaderMap>),
    /// A replica's, counted as in flight until its end.
    Through(Incoming, #[allow(dead_code, reason = "held for its drop")] Lease),
}

impl Reply {
    pub(super) const fn empty() -> Self {
        Self::Own(None, None)
    }

    pub(super) const fn whole(bytes: Bytes) -> Self {
        Self::Own(Some(bytes), None)
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Own(bytes, trailers) => Poll::Ready(match bytes.take() {
                Some(bytes) => Some(Ok(Frame::data(bytes))),
                None => trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
            }),
            Self::Through(body, _) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes, trailers) => bytes.is_none() && trailers.is_none(),
            Self::Through(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes, _) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Through(body, _) => body.size_hint(),
        }
    }
}
