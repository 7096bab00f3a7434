//! Connections: accepted in one place, each served for life by one of a few single-threaded reactors that has its own pools, so
//! that a request never moves between threads.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, mpsc, watch};

use super::body::Inbound;
use super::head_timeout::{HeadTimeout, Phase};
use super::kept::Budget;
use super::relay::Clients;
use super::reply::Reply;
use super::table::Table;
use super::{Gateway, Limits, MAX_PARKED, Peer, grpc, headers, message};

/// Open connections at most; past it new ones wait in the system's backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// How long a connection may idle between two requests. A head that has begun is given less: [`Limits::head`].
const IDLE: Duration = Duration::from_secs(120);
/// Threads at most: more would contend with the replicas for the same machine.
const MAX_REACTORS: usize = 4;

/// A gateway that runs.
pub struct Running {
    address: SocketAddr,
    close: watch::Sender<bool>,
    /// Every connection and reactor holds a sender; it closes when the last is gone.
    finished: mpsc::Receiver<Infallible>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more, lets what is in flight finish for at most `patience`, and says whether all of it did.
    pub async fn stop(mut self, patience: Duration) -> bool {
        self.close.send_replace(true);
        tokio::time::timeout(patience, self.finished.recv()).await.is_ok()
    }
}

/// What connections share.
struct Plane {
    table: watch::Receiver<Arc<Table>>,
    closing: watch::Receiver<bool>,
    parked: Arc<Semaphore>,
    kept: Arc<Budget>,
    limits: Limits,
    builder: auto::Builder<TokioExecutor>,
}

/// Binds nothing, spawns threads: returns as soon as they are there.
pub(super) fn start(listener: std::net::TcpListener, table: watch::Receiver<Arc<Table>>, limits: Limits) -> io::Result<Running> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (close, closing) = watch::channel(false);
    let (holder, finished) = mpsc::channel(1);
    let (parked, kept) = (Arc::new(Semaphore::new(MAX_PARKED)), Arc::new(Budget::new(limits.kept_bytes)));
    let plane = Arc::new(Plane { table, closing, parked, kept, limits, builder: builder() });
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut reactors = Vec::new();
    for _ in 0..(cores / 2).clamp(1, MAX_REACTORS) {
        reactors.push(reactor(Arc::clone(&plane))?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("gateway-accept".to_owned()).spawn(move || {
        let accepting = async {
            match TcpListener::from_std(listener) {
                Ok(listener) => accept(listener, &reactors, plane.closing.clone(), holder).await,
                Err(error) => tracing::error!(%error, "the gateway's port is lost"),
            }
        };
        runtime.block_on(accepting);
    })?;
    Ok(Running { address, close, finished })
}

/// A reactor's door: its runtime, and what answers there.
#[derive(Clone)]
struct Reactor {
    handle: Handle,
    gateway: Arc<Gateway>,
    plane: Arc<Plane>,
}

fn reactor(plane: Arc<Plane>) -> io::Result<Reactor> {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name("gateway".to_owned()).spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    let gateway = Gateway {
        table: plane.table.clone(),
        clients: Clients::new(),
        parked: Arc::clone(&plane.parked),
        kept: Arc::clone(&plane.kept),
        limits: plane.limits,
    };
    Ok(Reactor { handle, gateway: Arc::new(gateway), plane })
}

async fn accept(
    listener: TcpListener,
    reactors: &[Reactor],
    mut closing: watch::Receiver<bool>,
    holder: mpsc::Sender<Infallible>,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut next = reactors.iter().cycle();
    let mut closed = pin!(async { closing.wait_for(|closing| *closing).await.map(drop) });
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = tokio::select! {
            biased;
            _ = &mut closed => return,
            accepted = listener.accept() => accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))),
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(reactor) = next.next().cloned() else { return };
                let holder = holder.clone();
                reactor.handle.clone().spawn(async move {
                    serve(stream, Peer(peer), reactor).await;
                    drop((slot, holder));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Out of file descriptors, for one: those that are open need a moment to close.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn serve(stream: std::net::TcpStream, peer: Peer, reactor: Reactor) {
    let stream = match TcpStream::from_std(stream).and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%error, "a connection was lost before it was served"),
    };
    let (gateway, phase) = (&reactor.gateway, Phase::default());
    let stream = HeadTimeout::new(stream, phase.clone(), reactor.plane.limits.head);
    let answer = service_fn(move |request| {
        let (gateway, serving) = (Arc::clone(gateway), phase.serving());
        async move {
            let response = gateway.answer(request, peer).await;
            drop(serving);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(reactor.plane.builder.serve_connection(TokioIo::new(stream), answer));
    let mut closing = reactor.plane.closing.clone();
    let outcome = tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        _ = async { closing.wait_for(|closing| *closing).await.map(drop) } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended badly");
    }
}

impl Gateway {
    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Reply> {
        let (mut parts, body) = request.into_parts();
        let body = Inbound::new(body, &self.kept);
        headers::onward(&mut parts.headers, &parts.uri, peer.0.ip());
        if grpc::is_grpc(&parts.headers) {
            if let Err(fault) = message::carries_grpc(&parts) {
                return fault.rest();
            }
            return self.grpc(parts, body).await.unwrap_or_else(|fault| fault.grpc());
        }
        self.rest(parts, body).await.unwrap_or_else(|fault| fault.rest())
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(256 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(2 << 20)
        .initial_connection_window_size(8 << 20)
        .max_concurrent_streams(256)
        .max_header_list_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(60))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
