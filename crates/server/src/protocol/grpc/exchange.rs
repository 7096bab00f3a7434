//! One call, from its headers to its trailers: what every method does alike.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use prost::{Message, Name};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::super::{Inbound, Reply, Seen, Service};
use super::frame::{Encoding, Messages};
use super::{decode, status};
use crate::fault::{Code, Fault};

/// Messages of a stream that wait for a slow client, at most.
const WAITING: usize = 4;

/// A call that is to be answered.
pub(super) struct Exchange<'a> {
    /// The models and the limits.
    pub(super) service: &'a Arc<Service>,
    /// What is learnt of the call.
    pub(super) seen: &'a mut Seen,
    /// The client's own deadline, from the moment that the call came.
    pub(super) timeout: Option<Duration>,
    messages: Messages,
    encoding: Encoding,
}

impl<'a> Exchange<'a> {
    /// Reads a call's headers.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` for an unknown encoding, `INVALID_ARGUMENT` for a time-out that cannot be read.
    pub(super) fn open(service: &'a Arc<Service>, headers: &HeaderMap, body: Inbound, seen: &'a mut Seen) -> Result<Self, Fault> {
        let encoding = Encoding::of_request(headers)?;
        let timeout = status::timeout(headers)?;
        let messages = Messages::new(body, encoding, service.max_request_bytes);
        Ok(Self { service, seen, timeout, messages, encoding: encoding.of_reply(headers) })
    }

    /// The one message of a call that has one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for none, for more, or for one that is not an `M`; `DEADLINE_EXCEEDED` when it does not come in time.
    pub(super) async fn only<M: Message + Default + Name>(&mut self) -> Result<M, Fault> {
        let allowed = self.timeout.map_or(self.service.request_timeout, |own| own.min(self.service.request_timeout));
        let deadline = Instant::from_std(self.seen.received) + allowed;
        let read = timeout_at(deadline, only(&mut self.messages)).await;
        let bytes = read.map_err(|_| late("the request's message did not come in time"))??;
        decode::message(bytes)
    }

    /// The answer of a call that has one message.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` for a message larger than gRPC can send.
    pub(super) fn reply(&self, message: &impl Message) -> Result<Response<Reply>, Fault> {
        let frame = self.encoding.framed(message)?;
        Ok(opened(self.encoding, Reply::Pieces([frame].into(), Some(status::success()))))
    }

    /// Turns the call into a stream: the messages to read, where to send the answers, and the response that carries them.
    pub(super) fn stream(self) -> (Messages, Replies, Response<Reply>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let deadline = self.timeout.map(|timeout| Instant::from_std(self.seen.received) + timeout);
        let replies = Replies { sender, encoding: self.encoding, deadline };
        (self.messages, replies, opened(self.encoding, Reply::Stream(receiver)))
    }
}

async fn only(messages: &mut Messages) -> Result<Bytes, Fault> {
    let Some(bytes) = messages.next().await? else {
        return Err(Fault::invalid("the call has no message; expected one"));
    };
    if messages.next().await?.is_some() {
        return Err(Fault::invalid("the call has more than one message; expected one"));
    }
    Ok(bytes)
}

/// A response that answers a call, whose outcome its trailers will tell.
fn opened(encoding: Encoding, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, status::MEDIA_TYPE);
    if encoding != Encoding::Identity {
        response.headers_mut().insert(status::ENCODING, HeaderValue::from_static(encoding.as_str()));
    }
    response
}

fn late(message: &str) -> Fault {
    Fault::new(Code::DeadlineExceeded, message)
}

/// Where a stream's answers go.
pub(super) struct Replies {
    sender: mpsc::Sender<Frame<Bytes>>,
    encoding: Encoding,
    deadline: Option<Instant>,
}

impl Replies {
    /// Sends one message; waits while the client is slow.
    ///
    /// # Errors
    /// `CANCELLED` when the client has gone, `RESOURCE_EXHAUSTED` for a message larger than gRPC can send.
    pub(super) async fn send(&self, message: &impl Message) -> Result<(), Fault> {
        self.sender.send(Frame::data(self.encoding.framed(message)?)).await.map_err(|_| gone())
    }

    /// Ends the stream with its outcome.
    pub(super) async fn end(self, outcome: Result<(), Fault>) {
        let trailers = outcome.map_or_else(|fault| status::failure(&fault), |()| status::success());
        // Nobody is left to be told when this fails.
        let _ = self.sender.send(Frame::trailers(trailers)).await;
    }

    /// Waits until the stream has to end: its client has gone, or its deadline passes.
    pub(super) async fn over(&self) -> Fault {
        let closed = self.sender.closed();
        match self.deadline {
            None => closed.await,
            Some(deadline) => {
                if timeout_at(deadline, closed).await.is_err() {
                    return late("the deadline passed while the stream was open");
                }
            }
        }
        gone()
    }

    /// What is left of the client's deadline.
    pub(super) fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

fn gone() -> Fault {
    Fault::new(Code::Cancelled, "the client has gone")
}
