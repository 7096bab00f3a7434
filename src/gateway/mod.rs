//! The gateway: one port before many servers, for HTTP/1.1, HTTP/2 without TLS and gRPC.
//!
//! It reads as little of a request as tells its model, hands it to the less loaded of two replicas, and streams both bodies
//! through. It decides nothing about replicas: whoever runs it publishes a [`Table`] and changes that as replicas come and go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

mod absent;
mod accept;
mod aggregate;
mod ask;
mod body;
mod connection;
mod ended;
mod fault;
mod front;
mod grpc;
mod head_timeout;
mod headers;
mod kept;
mod message;
mod pace;
mod page;
mod peek;
mod pick;
mod relay;
mod reply;
mod rest;
mod route;
mod sums;
mod table;

pub use connection::Running;
pub use table::{Absent, Backend, Route, Table};

/// Bytes of a request's body that are gathered before it is passed on: it can then be sent again if a replica dies.
const REPLAYABLE_BYTES: u64 = 1 << 20;
/// How long a request waits for a first replica that is on its way.
const PARKED: Duration = Duration::from_secs(10);
/// Requests that wait for a replica at once; past it they are refused.
const MAX_PARKED: usize = 1000;
/// What the replica's own time limit may be overrun by before the gateway answers in its place.
const GRACE: Duration = Duration::from_secs(5);
/// How long a request may take that is for no model, or for one that nobody knows.
const DEFAULT_LIMIT: Duration = Duration::from_secs(30);
/// What a client is told to wait when there is no replica.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What answers one reactor's requests.
struct Gateway {
    table: watch::Receiver<Arc<Table>>,
    clients: relay::Clients,
    parked: Arc<tokio::sync::Semaphore>,
    kept: Arc<kept::Budget>,
    limits: Limits,
}

/// What a gateway allows itself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all requests' bodies that are kept so that they can be sent again; past it a request is not repeated.
    pub kept_bytes: u64,
    /// How long one replica may take for its part of an answer that is put together from several.
    pub part: Duration,
    /// How long a request's head may take from its first byte on.
    pub head: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { kept_bytes: 64 << 20, part: Duration::from_secs(3), head: Duration::from_secs(10) }
    }
}

/// Starts the gateway on a bound listener. It serves on threads of its own until [`Running::stop`].
///
/// # Errors
/// When the system refuses a thread or the socket.
pub fn start(listener: std::net::TcpListener, table: watch::Receiver<Arc<Table>>, limits: Limits) -> std::io::Result<Running> {
    connection::start(listener, table, limits)
}

/// A request's way here.
#[derive(Clone, Copy)]
struct Peer(SocketAddr);
