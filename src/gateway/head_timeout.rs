//! A stream that gives up on a client which begins a request's head and never ends it, as the server's does. It is
//! one of its own: the server's reads ahead and gathers what it writes, and no crate that both link may have streams.
//!
//! hyper's own time-out also ends connections that are merely idle, which clients keep open on purpose; this one starts with a
//! head's first byte and ends when the request is handed on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const SERVING: u8 = 2;
/// HTTP/2 multiplexes: its frames come between requests too.
const EXEMPT: u8 = 3;

/// Where a connection stands, shared between its stream and its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

/// A request is being served, for as long as this lives.
pub(super) struct Serving(Phase);

impl Phase {
    /// A request's head is complete.
    pub(super) fn serving(&self) -> Serving {
        self.set(SERVING);
        Serving(self.clone())
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// A connection that is exempt stays so.
    fn set(&self, phase: u8) {
        if self.get() != EXEMPT {
            self.0.store(phase, Ordering::Relaxed);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.set(IDLE);
    }
}

/// The stream of a connection.
pub(super) struct HeadTimeout<S> {
    stream: S,
    phase: Phase,
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    fresh: bool,
}

impl<S> HeadTimeout<S> {
    /// A stream whose requests' heads may take `limit` each.
    pub(super) const fn new(stream: S, phase: Phase, limit: Duration) -> Self {
        Self { stream, phase, limit, sleep: None, fresh: true }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadTimeout<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            let come = &buffer.filled()[before..];
            if !come.is_empty() && self.phase.get() == IDLE {
                self.phase.set(if self.fresh && come.starts_with(b"PRI ") { EXEMPT } else { HEAD });
                (self.sleep, self.fresh) = (None, false);
            }
            return Poll::Ready(outcome);
        }
        if self.phase.get() != HEAD {
            self.sleep = None;
            return Poll::Pending;
        }
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request's head did not come in time")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_head_is_timed_and_neither_idling_nor_a_body_is() {
        let (mut client, server) = tokio::io::duplex(64);
        let phase = Phase::default();
        let mut stream = HeadTimeout::new(server, phase.clone(), Duration::from_secs(10));
        let mut buffer = [0; 64];
        assert!(tokio::time::timeout(HOUR, stream.read(&mut buffer)).await.is_err(), "idle");
        client.write_all(b"POST").await.unwrap();
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 4);
        let serving = phase.serving();
        assert!(tokio::time::timeout(HOUR, stream.read(&mut buffer)).await.is_err(), "its body may be long in coming");
        drop(serving);
        assert!(tokio::time::timeout(HOUR, stream.read(&mut buffer)).await.is_err(), "idle again");
        client.write_all(b"GET /").await.unwrap();
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(stream.read(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn http2_is_exempt_for_good() {
        let (mut client, server) = tokio::io::duplex(64);
        let phase = Phase::default();
        let mut stream = HeadTimeout::new(server, phase.clone(), Duration::from_secs(10));
        let mut buffer = [0; 64];
        client.write_all(b"PRI * HTTP/2.0").await.unwrap();
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 14);
        drop(phase.serving());
        client.write_all(b"frame").await.unwrap();
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 5);
        assert!(tokio::time::timeout(HOUR, stream.read(&mut buffer)).await.is_err());
    }
}
