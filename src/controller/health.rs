//! `/healthz`: the process works. `/readyz`: it watches. Told apart, so that a slow start is no reason to be killed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::ControllerError;

/// What the port tells.
pub(super) struct Health {
    ready: Arc<AtomicBool>,
}

impl Health {
    /// Listens, and answers as long as the process lives.
    pub(super) async fn listen(address: SocketAddr) -> Result<Self, ControllerError> {
        let listener = TcpListener::bind(address).await.map_err(|source| ControllerError::Listen { address, source })?;
        let ready = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&ready);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let answer = service_fn(|request| {
                        let response = answer(&request, state.load(Ordering::Relaxed));
                        async move { Ok::<_, Infallible>(response) }
                    });
                    // A probe that hangs up early is no news.
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Ok(Self { ready })
    }

    /// The watches run.
    pub(super) fn ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }
}

fn answer(request: &Request<Incoming>, ready: bool) -> Response<Full<Bytes>> {
    let (status, text) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, "ok\n"),
        "/readyz" if ready => (StatusCode::OK, "ok\n"),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "the watches are being opened\n"),
        _ => (StatusCode::NOT_FOUND, "this port has /healthz and /readyz\n"),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
