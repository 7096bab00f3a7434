//! The way to a collector.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// An OTLP answer is small; a larger one is no OTLP answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// hyper, on the runtime that it was made on, since the exporter's own thread has none. A batch every few seconds is a connection of
/// its own: a client that keeps connections would be a tenth of a megabyte more.
#[derive(Debug)]
pub(crate) struct Collector {
    patience: Duration,
    runtime: Handle,
    failed: Failed,
}

/// Why the last batch that was not sent was not: the exporter says "network error" of every reason.
pub(crate) type Failed = Arc<Mutex<String>>;

impl Collector {
    /// Sends on the calling runtime, and gives each batch so long.
    pub(crate) fn new(patience: Duration, failed: Failed) -> Self {
        Self { patience, runtime: Handle::current(), failed }
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let patience = self.patience;
        let sent = self.runtime.spawn(async move {
            let outcome = tokio::time::timeout(patience, send(request.map(Full::new))).await;
            outcome.map_err(|_| HttpError::from(format!("no answer within {patience:?}")))?
        });
        let outcome = sent.await?;
        *self.failed.lock() = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
        outcome
    }
}

async fn send(mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HttpError> {
    let authority = request.uri().authority().ok_or("the address names no host")?;
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let name = HeaderValue::from_str(authority.as_str().rsplit('@').next().unwrap_or_default())?;
    request.headers_mut().insert(HOST, name);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    tokio::pin!(connection, exchange);
    tokio::select! {
        outcome = &mut exchange => outcome,
        // It ends first where the collector closes after its answer, which may still be on its way to the reader.
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error.into()),
        },
    }
}
