//! One kept connection, with TLS or without: HTTP/1.1 with keep-alive, or HTTP/2 (which gRPC needs). Opened when first needed, and again
//! after it broke.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::lenient::Lenient;
use super::{ClientError, Target};

/// HTTP/2's window per stream and connection: wide enough that a tensor of a few megabytes never waits for an update.
const WINDOW: u32 = 8 << 20;

/// A request, encoded once and sent as often as wanted.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// `GET` or `POST`.
    pub method: Method,
    /// The path, without the target's prefix.
    pub path: String,
    /// Headers beside Host and Content-Length.
    pub headers: HeaderMap,
    /// The body; sending shares it.
    pub body: Bytes,
}

/// A request ready for a connection: its head is parsed once, however often it is sent.
#[derive(Clone, Debug)]
pub struct Template {
    head: Request<()>,
    body: Bytes,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// What came after the body; gRPC's status.
    pub trailers: HeaderMap,
}

/// A connection to a server.
pub struct Connection {
    target: Target,
    version: Version,
    timeout: Duration,
    sender: Option<Sender>,
}

/// The version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    One,
    /// HTTP/2: with prior knowledge, or over TLS by ALPN.
    Two,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// A connection that is yet to be opened; `timeout` bounds opening and each answer.
    #[must_use]
    pub const fn new(target: Target, version: Version, timeout: Duration) -> Self {
        Self { target, version, timeout, sender: None }
    }

    /// Sends a request and reads its whole answer. A request that never left because the kept connection had been closed is sent
    /// again once, on a new one.
    ///
    /// # Errors
    /// When the server cannot be reached, the connection breaks, or the time is up. Any status is an answer.
    pub async fn send(&mut self, prepared: &Prepared) -> Result<Reply, ClientError> {
        let template = self.template(prepared)?;
        self.send_template(&template).await
    }

    /// Sends a request whose head is ready, as [`Connection::send`] does.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_template(&mut self, template: &Template) -> Result<Reply, ClientError> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.attempt(template)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // An answer may still be under way: nothing else may be read from this connection.
                self.sender = None;
                Err(ClientError::Timeout(timeout))
            }
        }
    }

    async fn attempt(&mut self, template: &Template) -> Result<Reply, ClientError> {
        let kept = self.sender.is_some();
        match self.once(template).await {
            Err(ClientError::Broken(error)) if kept && error.is_canceled() => self.once(template).await,
            outcome => outcome,
        }
    }

    async fn once(&mut self, template: &Template) -> Result<Reply, ClientError> {
        let request = template.head.clone().map(|()| Full::new(template.body.clone()));
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => self.open().await?,
        };
        let response = match &mut sender {
            Sender::One(sender) => sender.send_request(request).await?,
            Sender::Two(sender) => sender.send_request(request).await?,
        };
        let reply = read(response).await?;
        // Only a connection whose answer was read to its end, and that stays open, is kept.
        let open = match &mut sender {
            Sender::One(sender) => sender.ready().await.is_ok(),
            Sender::Two(sender) => sender.is_ready(),
        };
        self.sender = open.then_some(sender);
        Ok(reply)
    }

    /// A request's head, parsed.
    ///
    /// # Errors
    /// When its path is no path.
    pub fn template(&self, prepared: &Prepared) -> Result<Template, ClientError> {
        let path = match self.version {
            Version::One => format!("{}{}", self.target.prefix, prepared.path),
            Version::Two => format!("{}{}", self.target.url(), prepared.path),
        };
        let mut head = Request::builder().method(prepared.method.clone()).uri(path);
        if let Some(headers) = head.headers_mut() {
            headers.clone_from(&prepared.headers);
        }
        if self.version == Version::One {
            head = head.header(http::header::HOST, self.target.authority.as_str());
        }
        let head = head.body(()).map_err(|error| ClientError::Request(error.to_string()))?;
        Ok(Template { head, body: prepared.body.clone() })
    }

    async fn open(&self) -> Result<Sender, ClientError> {
        let unreachable = |source| ClientError::Unreachable { url: self.target.url(), source };
        let stream = TcpStream::connect(self.target.authority.as_str()).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        match &self.target.tls {
            None => self.speak(stream).await,
            Some(tls) => self.speak(tls.open(stream, &self.target, self.version).await?).await,
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Sender, ClientError> {
        let stream = TokioIo::new(Lenient::new(stream));
        Ok(match self.version {
            Version::One => {
                let (sender, connection) = http1::handshake(stream).await?;
                // Its error also reaches the sender, which reports it.
                tokio::spawn(async move { connection.await.ok() });
                Sender::One(sender)
            }
            Version::Two => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW)
                    .handshake(stream)
                    .await?;
                tokio::spawn(async move { connection.await.ok() });
                Sender::Two(sender)
            }
        })
    }
}

async fn read(response: http::Response<Incoming>) -> Result<Reply, ClientError> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes(), trailers })
}
