//! A connection whose reader outlives its writer.
//!
//! A server may refuse a body before it has read it, and close: then the next write fails, while the refusal waits to be read. HTTP
//! clients that end at the failed write lose it; here what cannot be written is dropped, and reading decides.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Drops what it can no longer write.
pub(super) struct Lenient<S> {
    stream: S,
    /// Whether the other side no longer reads.
    deaf: bool,
}

impl<S> Lenient<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, deaf: false }
    }
}

/// Whether it says that the other side went away.
fn gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted)
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> Lenient<S> {
    /// What was written, or `dropped` where it cannot be any more.
    fn written<T>(&mut self, outcome: io::Result<T>, dropped: T) -> Poll<io::Result<T>> {
        Poll::Ready(match outcome {
            Err(error) if gone(&error) => {
                self.deaf = true;
                Ok(dropped)
            }
            outcome => outcome,
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.written(outcome, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = slices.iter().map(|one| one.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(all));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        self.written(outcome, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_flush(context));
        self.written(outcome, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_shutdown(context));
        self.written(outcome, ())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, Method, StatusCode};

    use crate::client::connection::Version;
    use crate::client::{Connection, Prepared};

    /// The head is read, the body is not: the answer and the reset race.
    fn refuse(listener: &TcpListener) {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large").unwrap();
    }

    #[tokio::test]
    async fn a_refusal_is_read_though_the_body_could_not_be_written() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = std::thread::spawn(move || (0..60).for_each(|_| refuse(&listener)));
        let body = Bytes::from(vec![0; 8 << 20]);
        let request = Prepared { method: Method::POST, path: "/".to_owned(), headers: HeaderMap::new(), body };
        let mut connection = Connection::new(target, Version::One, Duration::from_secs(60));
        for attempt in 0..60 {
            let reply = connection.send(&request).await.unwrap_or_else(|error| panic!("attempt {attempt}: {error}"));
            assert_eq!((reply.status, reply.body.as_ref()), (StatusCode::PAYLOAD_TOO_LARGE, &b"too large"[..]));
        }
        server.join().unwrap();
    }
}
