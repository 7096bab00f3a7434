//! `/healthz`: the process works. `/readyz`: it watches. Told apart, so that a slow start is no reason to be killed. `/metrics` for
//! Prometheus.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::ControllerError;

/// What the port tells.
pub(super) struct Health {
    scrape: Arc<OnceLock<Scrape>>,
}

/// Gives the text of a scrape.
type Scrape = Box<dyn Fn() -> String + Send + Sync>;

impl Health {
    /// Listens, and answers as long as the process lives.
    pub(super) async fn listen(address: SocketAddr) -> Result<Self, ControllerError> {
        let listener = TcpListener::bind(address).await.map_err(|source| ControllerError::Listen { address, source })?;
        let scrape: Arc<OnceLock<Scrape>> = Arc::default();
        let state = Arc::clone(&scrape);
        tokio::spawn(async move {
            loop {
                let stream = match listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection on the health port");
                        // Out of file descriptors, for one: let those that are open close instead of spinning.
                        tokio::time::sleep(Duration::from_millis(10)).await;
                        continue;
                    }
                };
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let answer = service_fn(|request| {
                        let response = answer(&request, state.get());
                        async move { Ok::<_, Infallible>(response) }
                    });
                    // A probe that hangs up early is no news.
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Ok(Self { scrape })
    }

    /// The watches run; `scrape` gives the metrics.
    pub(super) fn ready(&self, scrape: impl Fn() -> String + Send + Sync + 'static) {
        // Said once.
        let _ = self.scrape.set(Box::new(scrape));
    }
}

fn answer(request: &Request<Incoming>, scrape: Option<&Scrape>) -> Response<Full<Bytes>> {
    let plain = "text/plain; charset=utf-8";
    let (status, kind, text) = match (request.uri().path(), scrape) {
        ("/healthz", _) | ("/readyz", Some(_)) => (StatusCode::OK, plain, "ok\n".to_owned()),
        ("/readyz", None) => (StatusCode::SERVICE_UNAVAILABLE, plain, "the watches are being opened\n".to_owned()),
        ("/metrics", Some(scrape)) => (StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", scrape()),
        ("/metrics", None) => (StatusCode::SERVICE_UNAVAILABLE, plain, "the watches are being opened\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, plain, "this port has /healthz, /readyz and /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
