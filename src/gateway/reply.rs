//! Responses' bodies.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::table::Lease;

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
