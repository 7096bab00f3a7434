//! A response's body: what is sent back.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// A response's body.
pub enum Reply {
    /// Nothing.
    Empty,
    /// One piece: the common case, without an allocation.
    One(Option<Bytes>),
    /// Several pieces, sent in order, then gRPC's trailers.
    Pieces(VecDeque<Bytes>, Option<HeaderMap>),
    /// Frames as they come, for streams.
    Stream(mpsc::Receiver<Frame<Bytes>>),
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        Self::One(Some(bytes))
    }
}

impl From<Vec<u8>> for Reply {
    fn from(bytes: Vec<u8>) -> Self {
        Self::One(Some(bytes.into()))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::One(piece) => Poll::Ready(piece.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces, trailers) => Poll::Ready(match pieces.pop_front() {
                Some(bytes) => Some(Ok(Frame::data(bytes))),
                None => trailers.take().map(|map| Ok(Frame::trailers(map))),
            }),
            Self::Stream(frames) => frames.poll_recv(context).map(|frame| frame.map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::One(piece) => piece.is_none(),
            Self::Pieces(pieces, trailers) => pieces.is_empty() && trailers.is_none(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::One(piece) => SizeHint::with_exact(piece.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pieces(pieces, _) => SizeHint::with_exact(pieces.iter().map(|bytes| bytes.len() as u64).sum()),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
