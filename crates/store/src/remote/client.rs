//! The HTTP client: TLS by the platform's roots, and the proxy that the environment names.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::proxy::matcher::Matcher;

use super::body::Payload;
use super::connections::Connections;
use super::connector::{Connector, Failure, Proxies};

type Made = Result<(Arc<Connections>, Proxies), String>;

/// Made at the first request: reading the platform's roots takes longer than a whole `file:` fetch.
#[derive(Clone)]
pub(crate) struct Client {
    connect: Duration,
    made: Arc<OnceLock<Made>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("connect", &self.connect).finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(connect: Duration) -> Self {
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
        requests.send(request).await.map_err(Failed::Now)
    }

    /// A client behind the proxies of a test, whatever the environment says.
    #[cfg(test)]
    pub(crate) fn behind(matcher: Matcher) -> Self {
        let connect = Duration::from_secs(5);
        Self { connect, made: Arc::new(make(connect, matcher).into()) }
    }
}

/// Why no answer came.
pub(super) enum Failed {
    Never(String),
    Now(Failure),
}

fn make(connect: Duration, proxies: Matcher) -> Made {
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
    Ok((Connections::new(connector), proxies))
}

/// Connections that no proxy is before.
#[cfg(test)]
pub(super) fn direct(connect: Duration) -> Result<Arc<Connections>, String> {
    make(connect, Matcher::builder().build()).map(|(connections, _)| connections)
}
