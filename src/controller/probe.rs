//! Asks one server how far it is: its `/readyz` tells what the kubelet's probe throws away.

use std::time::Duration;

use futures_util::future::join;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use modelyard_core::diagnose::Loading;
use modelyard_core::render::ADMIN_PORT;
use tokio::net::TcpStream;

/// An answer is a few hundred bytes from a neighbour, or as many for each of several models, but a server that has just come shares its machine with others that start; beside
/// the reconciles waiting costs nobody anything.
const PATIENCE: Duration = Duration::from_secs(3);
const LONGEST: usize = 1 << 20;

/// Where servers tell of themselves.
pub(super) fn port() -> u16 {
    u16::try_from(ADMIN_PORT).unwrap_or_default()
}

/// Why a server says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nobody listens there, or the way is closed.
    Absent,
    /// It did not answer in time, or not in words that are understood.
    Busy,
}

/// What the server at this address says of itself.
pub(super) async fn loading(address: &str) -> Result<Loading, Silence> {
    let asked = async {
        let stream = TcpStream::connect((address, port())).await.map_err(|_| Silence::Absent)?;
        ask(stream, address).await.ok_or(Silence::Busy)
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Silence::Busy))
}

async fn ask(stream: TcpStream, address: &str) -> Option<Loading> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    let request = hyper::Request::get("/readyz").header("host", address).body(Empty::<Bytes>::new()).ok()?;
    let talk = async move {
        let response = sender.send_request(request).await.ok()?;
        let body = Limited::new(response.into_body(), LONGEST).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok()
    };
    // The connection ends when the sender has gone, and may end before what it brought has been read.
    let (said, _) = join(talk, connection).await;
    said
}
