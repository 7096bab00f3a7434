//! Connections of the data plane: accepted in one place, each served for life by one of a few single-threaded reactors.
//!
//! A request of ten microseconds is not worth a task that moves between threads, so nothing moves: a reactor decodes, runs tiny
//! models and encodes on its own thread.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::head_timeout::{HeadTimeout, Phase};
use super::streams::Streams;
use crate::observe::observed;
use crate::protocol::Service;
use crate::telemetry::traces::Traces;

/// Open connections at most; past it new ones wait in the system's backlog.
const MAX_CONNECTIONS: u32 = 10_000;
/// Bytes of a request's head at most; past it 431.
const MAX_HEAD_BYTES: usize = 256 << 10;
/// Requests of one HTTP/2 connection at once.
const MAX_STREAMS: u32 = 256;
/// A request's head must be complete this long after its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer from which nothing comes for so long is asked whether it is there, so many times in such steps; then its connection ends. The
/// system asks, by TCP: HTTP/2's own pings cost each request 6 %, for the clocks and locks that they keep.
const IDLE: Duration = Duration::from_secs(60);
const ASK_EACH: Duration = Duration::from_secs(10);
const ASK_TIMES: u32 = 3;

/// What every connection needs.
#[derive(Clone)]
pub(super) struct DataPlane {
    pub(super) service: Arc<Service>,
    pub(super) traces: Option<Arc<Traces>>,
}

/// The threads that serve connections.
pub(super) struct Reactors {
    handles: Vec<Handle>,
}

impl Reactors {
    /// Starts `count` reactors, each on a thread of its own, that live as long as the process.
    pub(super) fn start(count: usize) -> std::io::Result<Self> {
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count.max(1) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let forever = move || runtime.block_on(std::future::pending::<()>());
            std::thread::Builder::new().name("reactor".to_owned()).spawn(forever)?;
        }
        Ok(Self { handles })
    }
}

/// Accepts connections until `closing`, then waits until each has finished what is in flight, at most `patience` long.
pub(super) async fn serve(listener: TcpListener, plane: DataPlane, reactors: Reactors, mut closing: watch::Receiver<bool>) {
    let patience = plane.service.request_timeout;
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let mut next = reactors.handles.iter().cycle();
    let watched = closing.clone();
    let mut closed = pin!(closing.wait_for(|closing| *closing));
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut closed => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, slot)) = accepted else { continue };
        let (plane, closing) = (plane.clone(), watched.clone());
        if let Some(reactor) = next.next() {
            reactor.spawn(async move {
                serve_one(stream, plane, closing).await;
                drop(slot);
            });
        }
    }
    drop(listener);
    if tokio::time::timeout(patience, slots.acquire_many(MAX_CONNECTIONS)).await.is_err() {
        let open = MAX_CONNECTIONS as usize - slots.available_permits();
        tracing::warn!(connections = open, ?patience, "connections are still busy; they are cut");
    }
}

/// The next connection, and its slot among the open ones. The stream leaves this reactor's I/O driver for another's.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(std::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream.into_std().ok()?, slot)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            // Out of file descriptors, for one: give those that are open a moment to close instead of spinning.
            tokio::time::sleep(Duration::from_millis(10)).await;
            None
        }
    }
}

async fn serve_one(stream: std::net::TcpStream, plane: DataPlane, mut closing: watch::Receiver<bool>) {
    let stream = match prepared(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%error, "a connection was lost before it was served"),
    };
    let phase = Phase::default();
    let io = TokioIo::new(HeadTimeout::new(stream, phase.clone(), HEAD_TIMEOUT));
    let answer = service_fn(|request: Request<Incoming>| {
        let (plane, serving) = (plane.clone(), phase.serving());
        async move {
            let version = request.version();
            let mut response = observed(&plane.service, plane.traces.as_deref(), request).await;
            // A kept connection that was closed while it is idle may be just about to carry a request, which would be lost. So each is
            // ended by an answer that says so; HTTP/2 has a message for that.
            if plane.service.is_draining() && version < Version::HTTP_2 {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(serving);
            Ok::<_, Infallible>(response)
        }
    });
    let streams = Streams::default();
    let builder = builder(streams.clone());
    let mut connection = pin!(builder.serve_connection(io, answer));
    let mut closed = pin!(async { closing.wait_for(|closing| *closing).await.map(drop) });
    let outcome = tokio::select! {
        biased;
        outcome = poll_fn(|context| {
            streams.next_poll();
            connection.as_mut().poll(context)
        }) => outcome,
        _ = &mut closed => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error = %error, "a connection ended badly");
    }
}

/// Sends without delay, and finds out when its peer has died, whatever is spoken.
fn prepared(stream: std::net::TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, IDLE)?;
    sockopt::set_tcp_keepintvl(&stream, ASK_EACH)?;
    sockopt::set_tcp_keepcnt(&stream, ASK_TIMES)?;
    TcpStream::from_std(stream)
}

fn builder(streams: Streams) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(2 << 20)
        .initial_connection_window_size(8 << 20)
        .max_frame_size(1 << 20)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(64 << 10);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_died_is_found_out() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = prepared(stream).unwrap();
        assert!(stream.nodelay().unwrap() && sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), IDLE);
        assert_eq!(sockopt::tcp_keepintvl(&stream).unwrap(), ASK_EACH);
        assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), ASK_TIMES);
        drop(client);
    }
}
