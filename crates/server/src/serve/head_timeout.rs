//! A stream that gives up on a client which begins a request's head and never ends it.
//!
//! hyper's own time-out also ends connections that are merely idle, which clients keep open on purpose; this one starts with a
//! head's first byte and ends when the request is handed on.
//!
//! Being between the socket and hyper, it also spares system calls: small pieces are written as one, and an HTTP/2 request is read at once.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Pieces of no more bytes together are written as one: to copy them costs less than to have the kernel gather them.
const TOGETHER: usize = 2 << 10;

/// An HTTP/2 reader with less room is read for beyond it: the room that is left at the end of its buffer would split a request's bytes
/// over two system calls.
const AT_ONCE: usize = 8 << 10;

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
        if self.get() != EXEMPT {
            self.set(SERVING);
        }
        Serving(self.clone())
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.0.get() != EXEMPT {
            self.0.set(IDLE);
        }
    }
}

/// The stream of a connection.
pub(super) struct HeadTimeout<S> {
    stream: S,
    phase: Phase,
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    fresh: bool,
    /// What was read beyond the reader's room.
    left: BytesMut,
}

impl<S> HeadTimeout<S> {
    /// A stream whose requests' heads may take `limit` each.
    pub(super) fn new(stream: S, phase: Phase, limit: Duration) -> Self {
        Self { stream, phase, limit, sleep: None, fresh: true, left: BytesMut::new() }
    }
}

impl<S: AsyncRead + Unpin> HeadTimeout<S> {
    /// Reads what there is, though the buffer may have no room for all of it: what is left is handed out the next time.
    fn read_ahead(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left.is_empty() {
            if buffer.remaining() >= AT_ONCE || self.phase.get() != EXEMPT {
                return Pin::new(&mut self.stream).poll_read(context, buffer);
            }
            let mut room = [MaybeUninit::uninit(); AT_ONCE];
            let mut come = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut come))?;
            let (fits, rest) = come.filled().split_at(come.filled().len().min(buffer.remaining()));
            buffer.put_slice(fits);
            self.left.extend_from_slice(rest);
        } else {
            let fits = self.left.split_to(self.left.len().min(buffer.remaining()));
            buffer.put_slice(&fits);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadTimeout<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match self.read_ahead(context, buffer) {
            Poll::Ready(outcome) => {
                let fresh = &buffer.filled()[before..];
                if !fresh.is_empty() && self.phase.get() == IDLE {
                    self.phase.set(if self.fresh && fresh.starts_with(b"PRI ") { EXEMPT } else { HEAD });
                    self.sleep = None;
                    self.fresh = false;
                }
                Poll::Ready(outcome)
            }
            Poll::Pending if self.phase.get() == HEAD => {
                let limit = self.limit;
                let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                sleep
                    .as_mut()
                    .poll(context)
                    .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the request's head did not come in time")))
            }
            Poll::Pending => {
                self.sleep = None;
                Poll::Pending
            }
        }
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
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if length > TOGETHER {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        let mut room = [MaybeUninit::uninit(); TOGETHER];
        let mut together = ReadBuf::uninit(&mut room);
        slices.iter().for_each(|slice| together.put_slice(slice));
        Pin::new(&mut self.stream).poll_write(context, together.filled())
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

    fn paused() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    #[test]
    fn a_head_that_never_ends_is_given_up() {
        paused().block_on(async {
            let (mut client, server) = tokio::io::duplex(64);
            let mut stream = HeadTimeout::new(server, Phase::default(), Duration::from_secs(10));
            client.write_all(b"GET /").await.unwrap();
            let mut buffer = [0; 64];
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 5);
            let error = stream.read(&mut buffer).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn an_idle_connection_and_one_that_is_served_may_wait() {
        paused().block_on(async {
            let (mut client, server) = tokio::io::duplex(64);
            let phase = Phase::default();
            let mut stream = HeadTimeout::new(server, phase.clone(), Duration::from_secs(10));
            let mut buffer = [0; 64];
            let hour = Duration::from_secs(3600);
            assert!(tokio::time::timeout(hour, stream.read(&mut buffer)).await.is_err(), "idle");
            client.write_all(b"POST").await.unwrap();
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 4);
            let serving = phase.serving();
            assert!(tokio::time::timeout(hour, stream.read(&mut buffer)).await.is_err(), "its body may be long in coming");
            drop(serving);
            assert!(tokio::time::timeout(hour, stream.read(&mut buffer)).await.is_err(), "idle again");
        });
    }

    /// Small pieces go out as one, large ones as they are; either way the bytes are the same.
    #[test]
    fn pieces_are_written_in_their_order() {
        for size in [10, TOGETHER / 2, TOGETHER / 2 + 1, TOGETHER] {
            let pieces = [vec![1; size], vec![2; size]];
            paused().block_on(async {
                let (mut client, server) = tokio::io::duplex(4 * TOGETHER);
                let mut stream = HeadTimeout::new(server, Phase::default(), Duration::from_secs(10));
                let slices = [io::IoSlice::new(&pieces[0]), io::IoSlice::new(&pieces[1])];
                let mut written = stream.write_vectored(&slices).await.unwrap();
                while written < 2 * size {
                    written += stream.write(&pieces.concat()[written..]).await.unwrap();
                }
                let mut read = vec![0; 2 * size];
                client.read_exact(&mut read).await.unwrap();
                assert_eq!(read, pieces.concat());
            });
        }
    }

    /// An HTTP/2 reader gets the bytes in their order, however little room it has.
    #[test]
    fn what_is_read_beyond_the_readers_room_is_handed_out_next() {
        paused().block_on(async {
            let (mut client, server) = tokio::io::duplex(4 * AT_ONCE);
            let mut stream = HeadTimeout::new(server, Phase::default(), Duration::from_secs(10));
            let mut sent = b"PRI * HTTP/2.0\r\n\r\n".to_vec();
            sent.extend((0..2 * AT_ONCE).map(|at| u8::try_from(at % 251).unwrap()));
            client.write_all(&sent).await.unwrap();
            let (mut read, mut room) = (Vec::new(), 7);
            while read.len() < sent.len() {
                let mut buffer = vec![0; room];
                let count = stream.read(&mut buffer).await.unwrap();
                assert!(count > 0);
                read.extend_from_slice(&buffer[..count]);
                room = room * 3 % 5000 + 1;
            }
            assert_eq!(read, sent);
            assert!(stream.left.is_empty());
        });
    }
}
