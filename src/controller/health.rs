//! `/healthz`: the process works. `/readyz`: it watches. Told apart, so that a slow start is no reason to be killed. `/metrics` for
//! Prometheus. `/loglevel`: what is logged, which can be changed from inside the pod alone: whoever may forward a port to it may.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderValue;
use http::header::{ALLOW, CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use modelyard_telemetry::logs::Levels;
use tokio::net::TcpListener;

use super::ControllerError;

/// Bytes that levels may have.
const LONGEST: usize = 4096;

/// What the port tells.
pub(super) struct Health {
    port: Arc<Port>,
}

struct Port {
    scrape: OnceLock<Scrape>,
    levels: Arc<Levels>,
}

/// Gives the text of a scrape.
type Scrape = Box<dyn Fn() -> String + Send + Sync>;

/// What is answered: status, type, text.
type Answer = (StatusCode, &'static str, String);

const PLAIN: &str = "text/plain; charset=utf-8";
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Health {
    /// Listens, and answers as long as the process lives.
    pub(super) async fn listen(address: SocketAddr, levels: Arc<Levels>) -> Result<Self, ControllerError> {
        let listener = TcpListener::bind(address).await.map_err(|source| ControllerError::Listen { address, source })?;
        let port = Arc::new(Port { scrape: OnceLock::new(), levels });
        let state = Arc::clone(&port);
        tokio::spawn(async move {
            loop {
                let (stream, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
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
                        let state = Arc::clone(&state);
                        async move { Ok::<_, Infallible>(respond(request, peer.ip(), &state).await) }
                    });
                    // A probe that hangs up early is no news.
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Ok(Self { port })
    }

    /// The watches run; `scrape` gives the metrics.
    pub(super) fn ready(&self, scrape: impl Fn() -> String + Send + Sync + 'static) {
        // Said once.
        let _ = self.port.scrape.set(Box::new(scrape));
    }
}

async fn respond(request: Request<Incoming>, peer: IpAddr, port: &Port) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let wanted = if parts.method == Method::PUT {
        // A body that breaks off, or is too long, is as wrong as one that is no level.
        let body = Limited::new(body, LONGEST).collect().await.map(|body| body.to_bytes().to_vec());
        Some(body.ok().and_then(|body| String::from_utf8(body).ok()).unwrap_or_default())
    } else {
        None
    };
    let (status, kind, text) = answer(parts.uri.path(), &parts.method, wanted, peer, port);
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = if parts.uri.path() == "/loglevel" { "GET, HEAD, PUT" } else { "GET, HEAD" };
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}

fn answer(path: &str, method: &Method, wanted: Option<String>, peer: IpAddr, port: &Port) -> Answer {
    let plain = |status, text: &str| (status, PLAIN, format!("{text}\n"));
    match (path, method, port.scrape.get()) {
        ("/loglevel", &Method::PUT, _) => change(wanted.unwrap_or_default().trim(), peer, &port.levels),
        (_, &Method::GET | &Method::HEAD, _) if path == "/loglevel" => plain(StatusCode::OK, &port.levels.get()),
        (_, &Method::GET | &Method::HEAD, scrape) => match (path, scrape) {
            ("/healthz", _) | ("/readyz", Some(_)) => plain(StatusCode::OK, "ok"),
            ("/metrics", Some(scrape)) => (StatusCode::OK, METRICS, scrape()),
            ("/readyz" | "/metrics", None) => plain(StatusCode::SERVICE_UNAVAILABLE, "the watches are being opened"),
            _ => plain(StatusCode::NOT_FOUND, "this port has /healthz, /readyz, /metrics and /loglevel"),
        },
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD; PUT for /loglevel"),
    }
}

/// Everybody in the cluster reaches this port, and a log that is silent or full is a weapon: so only from inside.
fn change(wanted: &str, peer: IpAddr, levels: &Levels) -> Answer {
    if !peer.to_canonical().is_loopback() {
        let text = "the levels change only from inside the pod: `kubectl port-forward POD 8081`, then PUT to localhost:8081\n";
        return (StatusCode::FORBIDDEN, PLAIN, text.to_owned());
    }
    let before = levels.get();
    match levels.set(wanted) {
        Ok(()) => {
            tracing::warn!(before, now = wanted, "the log levels were changed");
            (StatusCode::OK, PLAIN, format!("{wanted}\n"))
        }
        Err(error) => (StatusCode::BAD_REQUEST, PLAIN, format!("{error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port() -> Port {
        Port { scrape: OnceLock::new(), levels: Arc::new(Levels::fixed("info")) }
    }

    fn asked(port: &Port, method: &Method, path: &str, body: &str, peer: &str) -> (u16, String) {
        let (status, _, text) = answer(path, method, Some(body.to_owned()), peer.parse().unwrap(), port);
        (status.as_u16(), text)
    }

    #[test]
    fn levels_change_from_inside_alone() {
        let port = port();
        for (peer, body, status) in [
            ("10.1.2.3", "debug", 403),
            ("::ffff:10.1.2.3", "debug", 403),
            ("127.0.0.1", "loud", 400),
            ("127.0.0.1", "", 400),
            ("127.0.0.1", "warn\n", 200),
            ("::1", "info,kube=debug", 200),
            ("::ffff:127.0.0.1", "debug", 200),
        ] {
            let (found, said) = asked(&port, &Method::PUT, "/loglevel", body, peer);
            assert_eq!(found, status, "{peer} {body}: {said}");
        }
        assert_eq!(asked(&port, &Method::GET, "/loglevel", "", "10.1.2.3"), (200, "debug\n".to_owned()));
    }

    #[test]
    fn health_and_readiness_are_two_things() {
        let port = port();
        let get = |path: &str| asked(&port, &Method::GET, path, "", "10.0.0.1").0;
        assert_eq!((get("/healthz"), get("/readyz"), get("/metrics"), get("/")), (200, 503, 503, 404));
        assert!(port.scrape.set(Box::new(|| "# EOF\n".to_owned())).is_ok());
        assert_eq!((get("/readyz"), get("/metrics")), (200, 200));
        assert_eq!(asked(&port, &Method::POST, "/metrics", "", "10.0.0.1").0, 405);
    }
}
