//! Requests' bodies on their way through. One is kept in hand until the first byte of what is not kept has gone: until then it can
//! be sent to another replica.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::ended::{Ended, Fate};
use super::fault::{Fault, Kind};
use super::kept::{Budget, Kept};
use super::pace::Pace;

/// A client's body: what has been read of it, and what has not.
pub(super) struct Inbound {
    read: Vec<Bytes>,
    rest: Option<Rest>,
    kept: Kept,
    /// Bytes that it may have.
    most: u64,
    /// How long one of its messages may take, of a body that is a stream of them.
    message: Option<Duration>,
    fate: Arc<Fate>,
}

/// What is not read yet; whoever sends it on takes it away.
type Rest = Arc<Mutex<Option<Incoming>>>;

impl Inbound {
    /// Nothing of it is read yet.
    pub(super) fn new(body: Incoming, budget: &Arc<Budget>) -> Self {
        let rest = (!body.is_end_stream()).then(|| Arc::new(Mutex::new(Some(body))));
        Self { rest, ..Self::empty(budget) }
    }

    /// No body.
    pub(super) fn empty(budget: &Arc<Budget>) -> Self {
        let kept = Kept::new(Arc::clone(budget));
        Self { read: Vec::new(), rest: None, kept, most: u64::MAX, message: None, fate: Arc::default() }
    }

    /// It may have `most` bytes. One whose length was not told is cut off before it passes them: a replica that refuses it
    /// half-way would look like one that broke.
    pub(super) const fn limit(&mut self, most: u64) {
        self.most = most;
    }

    /// It is a stream of messages, each to be whole within so long.
    pub(super) const fn pace(&mut self, message: Duration) {
        self.message = Some(message);
    }

    /// Reads one more piece, if there is one.
    ///
    /// # Errors
    /// The client cut it short, or sent too much.
    pub(super) async fn read_on(&mut self) -> Result<Option<Bytes>, Ended> {
        let Some(mut body) = self.rest.take().and_then(|rest| rest.lock().take()) else { return Ok(None) };
        while let Some(frame) = body.frame().await {
            // A request's trailers mean nothing in the protocols here.
            if let Ok(piece) = frame?.into_data() {
                self.kept.add(piece.len() as u64);
                self.read.push(piece.clone());
                self.rest = (!body.is_end_stream()).then(|| Arc::new(Mutex::new(Some(body))));
                return if self.gathered() > self.most { Err(Ended::TooLarge(self.most)) } else { Ok(Some(piece)) };
            }
        }
        Ok(None)
    }

    /// Reads all of a short body, or until more than `bytes` are here, or all bodies together hold as much as they may.
    ///
    /// # Errors
    /// As [`Inbound::read_on`].
    pub(super) async fn gather(&mut self, bytes: u64) -> Result<(), Ended> {
        while self.gathered() <= bytes && self.kept.has_room() && self.read_on().await?.is_some() {}
        Ok(())
    }

    /// Whether it has no bytes at all; waits for the first.
    ///
    /// # Errors
    /// As [`Inbound::read_on`].
    pub(super) async fn is_empty(&mut self) -> Result<bool, Ended> {
        while self.gathered() == 0 {
            if self.read_on().await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is read of it so far.
    pub(super) fn taken(&self) -> Bytes {
        match &*self.read {
            [] => Bytes::new(),
            [only] => only.clone(),
            several => several.concat().into(),
        }
    }

    /// What is read of it, if that is all.
    ///
    /// # Errors
    /// There was no room for it.
    pub(super) fn whole(&self) -> Result<Vec<u8>, Fault> {
        if self.rest.is_some() {
            let message = format!("the bodies of requests in flight hold {} bytes already; try again later", self.kept.most());
            return Err(Fault::new(Kind::Unavailable, message));
        }
        Ok(self.read.concat())
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

    /// Why it ended early, should it have, while it was sent on.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.fate.ended()
    }

    /// As [`Fate::drain`].
    pub(super) async fn drain(&self) {
        self.fate.drain().await;
    }

    /// The body to send to a replica, from the start.
    pub(super) fn outbound(&self) -> Outbound {
        Outbound {
            length: self.length(),
            read: self.read.iter().cloned().collect(),
            rest: self.rest.clone(),
            flowing: None,
            left: self.most,
            most: self.most,
            pace: self.message.map(Pace::new),
            fate: Arc::clone(&self.fate),
        }
    }
}

/// A request's body as a replica gets it. It takes what is not read yet only when that is wanted.
pub(super) struct Outbound {
    read: VecDeque<Bytes>,
    rest: Option<Rest>,
    flowing: Option<Incoming>,
    length: Option<u64>,
    left: u64,
    most: u64,
    pace: Option<Pace>,
    fate: Arc<Fate>,
}

impl Outbound {
    pub(super) fn empty() -> Self {
        Self {
            read: VecDeque::new(),
            rest: None,
            flowing: None,
            length: Some(0),
            left: u64::MAX,
            most: u64::MAX,
            pace: None,
            fate: Arc::default(),
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        if let Some(piece) = self.read.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(rest) = self.rest.take() {
            self.flowing = rest.lock().take();
        }
        let Some(body) = &mut self.flowing else { return Poll::Ready(None) };
        match (Pin::new(body).poll_frame(context), &mut self.pace) {
            (Poll::Pending, Some(pace)) => pace.poll_late(context).map(|within| Some(Err(Ended::Late(within)))),
            (polled, _) => polled.map_err(Ended::from),
        }
    }

    /// Counts what goes out.
    fn counted(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Ended> {
        if let Some(piece) = frame.data_ref() {
            self.left = self.left.checked_sub(piece.len() as u64).ok_or(Ended::TooLarge(self.most))?;
            if let Some(pace) = &mut self.pace {
                pace.advance(piece);
            }
        }
        Ok(frame)
    }
}

impl Body for Outbound {
    type Data = Bytes;
    type Error = Ended;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        let polled = self.poll_piece(context).map(|polled| polled.map(|frame| frame.and_then(|frame| self.counted(frame))));
        if let Poll::Ready(Some(Err(ended))) = &polled {
            let fate = Arc::clone(&self.fate);
            fate.end(ended, &mut self.flowing);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_none() && self.flowing.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
