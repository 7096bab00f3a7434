//! The HTTP client: TLS by the platform's roots, and the proxy that the environment names.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, PROXY_AUTHORIZATION};
use http::uri::{Scheme, Uri};
use http::{Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tower_service::Service;

use super::body::Payload;

type Requests = hyper_util::client::legacy::Client<HttpsConnector<Connector>, Payload>;

/// Made at the first request: reading the platform's roots takes longer than a whole `file:` fetch.
#[derive(Clone)]
pub(in crate::store) struct Client {
    connect: Duration,
    made: Arc<OnceLock<Result<(Requests, Proxies), String>>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("connect", &self.connect).finish_non_exhaustive()
    }
}

impl Client {
    pub(in crate::store) fn new(connect: Duration) -> Self {
        Self { connect, made: Arc::default() }
    }

    /// Sends a request, and what a proxy in its way wants to see.
    ///
    /// # Errors
    /// Why no answer came; [`Failed::Never`] where asking again would not help.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failed> {
        self.carry(request.map(Either::Left)).await
    }

    /// The same for a request that carries more than fits into memory.
    ///
    /// # Errors
    /// As of [`Self::send`].
    pub(super) async fn carry(&self, mut request: Request<Payload>) -> Result<Response<Incoming>, Failed> {
        let made = self.made.get_or_init(|| make(self.connect, Matcher::from_env()));
        let (requests, proxies) = made.as_ref().map_err(|why| Failed::Never(why.clone()))?;
        if let Some(authorization) = proxies.authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        requests.request(request).await.map_err(Failed::Now)
    }

    /// A client behind the proxies of a test, whatever the environment says.
    #[cfg(test)]
    pub(in crate::store) fn behind(matcher: Matcher) -> Self {
        let connect = Duration::from_secs(5);
        Self { connect, made: Arc::new(make(connect, matcher).into()) }
    }
}

/// Why no answer came.
pub(super) enum Failed {
    Never(String),
    Now(hyper_util::client::legacy::Error),
}

fn make(connect: Duration, proxies: Matcher) -> Result<(Requests, Proxies), String> {
    let proxies = Proxies(Arc::new(proxies));
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(connect));
    tcp.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_platform_verifier(rustls::crypto::ring::default_provider())
        .map_err(|error| format!("TLS is not available: {error}"))?
        .https_or_http()
        .enable_http1()
        .wrap_connector(Connector { tcp, proxies: proxies.clone() });
    Ok((hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector), proxies))
}

/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, as curl reads them.
#[derive(Clone)]
struct Proxies(Arc<Matcher>);

impl Proxies {
    /// What a request for plain HTTP has to show the proxy; for HTTPS the tunnel shows it.
    fn authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        if uri.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        self.0.intercept(uri)?.basic_auth().cloned()
    }
}

/// Opens connections to a server, or to the proxy before it.
#[derive(Clone)]
struct Connector {
    tcp: HttpConnector,
    proxies: Proxies,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Wire;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Wire, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let mut tcp = self.tcp.clone();
        let Some(proxy) = self.proxies.0.intercept(&target) else {
            let opening = tcp.call(target);
            return Box::pin(async move { Ok(Wire { io: opening.await?, to_proxy: false }) });
        };
        if proxy.uri().scheme() != Some(&Scheme::HTTP) {
            let found = proxy.uri().scheme_str().unwrap_or_default().to_owned();
            return Box::pin(async move { Err(format!("expected a proxy with http:, found {found}:").into()) });
        }
        if target.scheme() == Some(&Scheme::HTTP) {
            let opening = tcp.call(proxy.uri().clone());
            return Box::pin(async move { Ok(Wire { io: opening.await?, to_proxy: true }) });
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let opening = tunnel.call(target);
        Box::pin(async move { Ok(Wire { io: opening.await?, to_proxy: false }) })
    }
}

/// A TCP connection that knows whether a proxy reads its requests: those name the whole URL.
struct Wire {
    io: TokioIo<TcpStream>,
    to_proxy: bool,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.to_proxy)
    }
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
