//! The way to a collector.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

/// An OTLP answer is small; a larger one is no OTLP answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// hyper, on the runtime that it was made on, since the exporter's own thread has none.
#[derive(Debug)]
pub(crate) struct Collector {
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: Handle,
}

impl Collector {
    /// Sends on the calling runtime.
    pub(crate) fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()), runtime: Handle::current() }
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let response = client.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        });
        sent.await?
    }
}
