//! Connections to stores over HTTP/1.1, kept for the next request.
//!
//! hyper-util's client would do, but brings HTTP/2 into the program a second time, which no store here is asked in: 0.2 MB.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::Connection;
use parking_lot::Mutex;
use tower_service::Service;

use super::body::Payload;
use super::connector::{Connector, Failure};

/// Connections that wait for work at most, for each host and in all, and how long.
const PER_HOST: usize = 8;
const IN_ALL: usize = 64;
const KEPT: Duration = Duration::from_secs(60);

/// A scheme and an authority.
type Place = (Scheme, Authority);

/// Opens connections, and keeps those whose answers were read to their ends.
pub(super) struct Connections {
    connector: HttpsConnector<Connector>,
    idle: Mutex<HashMap<Place, Vec<Idle>>>,
}

struct Idle {
    sender: SendRequest<Payload>,
    /// A proxy reads what is sent, and wants to see whole addresses.
    to_proxy: bool,
    since: Instant,
}

impl Connections {
    pub(super) fn new(connector: HttpsConnector<Connector>) -> Arc<Self> {
        Arc::new(Self { connector, idle: Mutex::default() })
    }

    /// Sends a request whose uri is absolute. One that a kept connection did not take, since the other side had closed it, goes by
    /// another.
    ///
    /// # Errors
    /// What opening the connection, or sending by it, said.
    pub(super) async fn send(self: &Arc<Self>, mut request: Request<Payload>) -> Result<Response<Incoming>, Failure> {
        let uri = request.uri().clone();
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(format!("expected an address with a scheme and a host, found '{uri}'").into());
        };
        let place = (scheme.clone(), authority.clone());
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        if !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, host(scheme, authority)?);
        }
        loop {
            let (mut connection, was_kept) = match self.take(&place) {
                Some(kept) => (kept, true),
                None => (self.open(uri.clone()).await?, false),
            };
            *request.uri_mut() = if connection.to_proxy { uri.clone() } else { path.clone().into() };
            match connection.sender.try_send_request(request).await {
                Ok(response) => {
                    tokio::spawn(keep(Arc::downgrade(self), place, connection));
                    return Ok(response);
                }
                Err(mut unsent) => match unsent.take_message().filter(|_| was_kept) {
                    Some(back) => request = back,
                    None => return Err(unsent.into_error().into()),
                },
            }
        }
    }

    async fn open(&self, uri: Uri) -> Result<Idle, Failure> {
        let mut connector = self.connector.clone();
        poll_fn(|context| connector.poll_ready(context)).await?;
        let stream = connector.call(uri).await?;
        let to_proxy = stream.connected().is_proxied();
        let (sender, connection) = handshake(stream).await?;
        tokio::spawn(async move {
            // Whoever waits for an answer is told too.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a store broke");
            }
        });
        Ok(Idle { sender, to_proxy, since: Instant::now() })
    }

    /// The connection that was put back last: the others age.
    fn take(&self, place: &Place) -> Option<Idle> {
        let mut idle = self.idle.lock();
        idle.retain(|_, kept| {
            kept.retain(|one| one.sender.is_ready() && one.since.elapsed() < KEPT);
            !kept.is_empty()
        });
        idle.get_mut(place)?.pop()
    }

    fn put(&self, place: Place, connection: Idle) {
        let mut idle = self.idle.lock();
        let has_room = idle.values().map(Vec::len).sum::<usize>() < IN_ALL;
        if has_room && idle.get(&place).map_or(0, Vec::len) < PER_HOST {
            idle.entry(place).or_default().push(Idle { since: Instant::now(), ..connection });
        }
    }
}

/// Puts a connection back once its answer was read; one whose answer is given up closes.
async fn keep(connections: Weak<Connections>, place: Place, mut connection: Idle) {
    if connection.sender.ready().await.is_ok()
        && let Some(connections) = connections.upgrade()
    {
        connections.put(place, connection);
    }
}

/// Without a port that goes without saying, and without a password (RFC 9110, section 7.2).
fn host(scheme: &Scheme, authority: &Authority) -> Result<HeaderValue, Failure> {
    let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    let name = match authority.port_u16().filter(|port| *port != usual) {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    };
    Ok(HeaderValue::try_from(name)?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::{BodyExt, Full};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn hosts_are_written_as_servers_know_them() {
        for (address, expected) in [
            ("http://a/x", "a"),
            ("http://a:80/", "a"),
            ("https://a:443/", "a"),
            ("https://a:80/", "a:80"),
            ("http://u:p@[::1]:9000/x", "[::1]:9000"),
        ] {
            let uri: Uri = address.parse().unwrap();
            assert_eq!(host(uri.scheme().unwrap(), uri.authority().unwrap()).unwrap(), expected, "{address}");
        }
    }

    /// Answers as many requests on each connection as it is told to, then closes it; says how many connections there were.
    async fn serve(listener: TcpListener, answers: usize, opened: Arc<AtomicUsize>) {
        while let Ok((mut stream, _)) = listener.accept().await {
            opened.fetch_add(1, Ordering::SeqCst);
            for _ in 0..answers {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_connection_is_used_again_until_it_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, opened) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(serve(listener, 2, Arc::clone(&opened)));
        let connections = super::super::client::direct(Duration::from_secs(5)).unwrap();
        let waiting =
            |connections: &Connections| connections.idle.lock().values().flatten().filter(|one| one.sender.is_ready()).count();
        for (connection, left) in [(1, 1), (1, 0), (2, 1)] {
            let request = Request::get(format!("http://{address}/x")).body(Payload::Left(Full::default())).unwrap();
            let body = connections.send(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
            assert_eq!((&body[..], opened.load(Ordering::SeqCst)), (&b"ok"[..], connection));
            // It comes back, or is seen to be closed, a moment after the answer.
            let settled = async {
                while waiting(&connections) != left {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), settled).await.unwrap();
        }
    }
}
