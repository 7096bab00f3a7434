//! Protocols: each a thin adapter that decodes a request, calls [`Model::infer`], and encodes the answer. A new protocol is one
//! new room here and one line in [`route`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::Response;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use modelyard_core::server_config::ServerConfig;
use tokio::sync::watch;

use crate::fault::{Code, Fault};
use crate::infer::Model;
use crate::load::Loader;
use crate::registry::Registry;

pub mod cloudevents;
pub mod encoding;
pub mod front;
pub mod grpc;
pub mod inbound;
pub mod oip;
pub mod read;
pub mod reply;
pub mod tfs;

pub use inbound::{Budget, Inbound};
pub use reply::Reply;

/// A request, its head apart from its body: a head of hundreds of bytes is not moved from each future into the next.
pub type Received<'a> = (&'a Parts, Inbound);

/// What the protocols share: the models, and the limits of a request.
pub struct Service {
    /// The models.
    pub registry: Registry,
    /// What loads and unloads them.
    pub loader: Loader,
    /// Decoded bytes of one request's body at most.
    pub max_request_bytes: u64,
    /// The longest that a request may take.
    pub request_timeout: Duration,
    /// Whether clients may load and unload models.
    pub allow_control: bool,
    /// What the bodies of all requests in flight may hold: four of the largest, and 256 MiB at least.
    pub bodies: Arc<Budget>,
    draining: AtomicBool,
    ready: watch::Sender<bool>,
}

impl Service {
    /// A service of these models, none of them loaded.
    pub fn new(config: &ServerConfig, loader: Loader, allow_control: bool) -> Arc<Self> {
        Arc::new(Self {
            registry: Registry::new(&config.models),
            loader,
            max_request_bytes: config.serving.max_request_bytes,
            request_timeout: config.serving.request_timeout,
            allow_control,
            bodies: Arc::new(Budget::new(config.serving.max_request_bytes.saturating_mul(4).max(256 << 20))),
            draining: AtomicBool::new(false),
            ready: watch::Sender::new(false),
        })
    }

    /// Whether requests should be sent here: the models are ready, and the server is not on its way out.
    pub fn is_ready(&self) -> bool {
        !self.is_draining() && self.registry.is_ready()
    }

    /// Whether the server is on its way out. It still serves.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The server is on its way out.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.refresh();
    }

    /// A model's state has changed: tell those that watch readiness.
    pub fn refresh(&self) {
        let now = self.is_ready();
        self.ready.send_if_modified(|before| std::mem::replace(before, now) != now);
    }

    /// Readiness as it changes.
    pub fn watch_ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }
}

/// What is learnt of a request on its way, for metrics, the access log and traces.
pub struct Seen {
    /// When the head arrived.
    pub received: Instant,
    /// The protocol, once it is known.
    pub protocol: Protocol,
    /// The model, once it is found.
    pub model: Option<Arc<Model>>,
    /// The outcome; adapters whose status is not HTTP's (gRPC) set it.
    pub code: Code,
    /// When the model's answer was there: the time from here on goes into encoding.
    pub computed: Option<Instant>,
}

/// A protocol's name in metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Open Inference Protocol v2, JSON.
    OipJson,
    /// Open Inference Protocol v2, binary tensor extension.
    OipBinary,
    /// Open Inference Protocol v2 over gRPC.
    OipGrpc,
    /// TensorFlow Serving over REST; KServe v1 shares its URLs.
    TfsRest,
    /// TensorFlow Serving over gRPC.
    TfsGrpc,
    /// Everything else: the front page, the documentation, unknown paths.
    Other,
}

impl Protocol {
    /// Every protocol, by its index as a metric's shard.
    pub const ALL: [Self; 6] = [Self::OipJson, Self::OipBinary, Self::OipGrpc, Self::TfsRest, Self::TfsGrpc, Self::Other];

    /// The name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OipJson => "oip_json",
            Self::OipBinary => "oip_binary",
            Self::OipGrpc => "oip_grpc",
            Self::TfsRest => "tfs_rest",
            Self::TfsGrpc => "tfs_grpc",
            Self::Other => "other",
        }
    }
}

impl Seen {
    /// A request whose head arrived now.
    pub fn now() -> Self {
        Self { received: Instant::now(), protocol: Protocol::Other, model: None, code: Code::Ok, computed: None }
    }

    /// Counts the request for its model: it is answered now. Returns how long it took.
    pub fn answered(&self) -> Duration {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.received);
        if let Some(model) = &self.model {
            model.metrics.answered(self.protocol, self.code, took);
            if let Some(computed) = self.computed {
                model.metrics.encoded(now.saturating_duration_since(computed));
            }
        }
        took
    }
}

/// Answers one request, whatever its protocol. Never fails: a fault becomes the protocol's own error.
pub async fn handle(service: &Arc<Service>, (head, body): Received<'_>, seen: &mut Seen) -> Response<Reply> {
    if grpc::is_grpc(&head.headers) {
        return grpc::handle(service, (head, body), seen).await;
    }
    match route(service, (head, body), seen).await {
        Ok(response) => response,
        Err(fault) => {
            seen.code = fault.code;
            error_response(&fault)
        }
    }
}

/// Answers REST. Every future on the way is moved several times with room for the largest branch in it, so rare branches are boxed.
async fn route(service: &Arc<Service>, (head, body): Received<'_>, seen: &mut Seen) -> Result<Response<Reply>, Fault> {
    match cloudevents::mode(head) {
        None => dispatch(service, (head, body), seen).await,
        Some(mode) => Box::pin(enveloped(service, ((head, body), mode), seen)).await,
    }
}

/// Takes a prediction out of its CloudEvent, and puts the answer back into one.
async fn enveloped(
    service: &Arc<Service>,
    (asked, mode): (Received<'_>, cloudevents::Mode),
    seen: &mut Seen,
) -> Result<Response<Reply>, Fault> {
    let (head, body) = cloudevents::open(asked, mode, service.max_request_bytes).await?;
    let response = dispatch(service, (&head, body), seen).await?;
    cloudevents::seal(response, mode, seen).await
}

/// Picks the adapter by path.
async fn dispatch(service: &Arc<Service>, (head, body): Received<'_>, seen: &mut Seen) -> Result<Response<Reply>, Fault> {
    let path = head.uri.path();
    if path == "/v2" || path.starts_with("/v2/") {
        return oip::handle(service, (head, body), seen).await;
    }
    if path.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("/v1")) {
        return tfs::handle(service, (head, body), seen).await;
    }
    front::handle(service, head, seen)
}

/// The error body that the REST protocols share: `{"error": message}`.
pub fn error_response(fault: &Fault) -> Response<Reply> {
    let body = serde_json::json!({ "error": fault.message }).to_string();
    let mut response = json_response(body.into_bytes());
    *response.status_mut() = fault.code.http();
    if let Some(seconds) = fault.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if fault.code == Code::UnsupportedMediaType {
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding::UNDERSTOOD));
    }
    response
}

/// A 200 with a JSON body.
pub fn json_response(body: Vec<u8>) -> Response<Reply> {
    let mut response = Response::new(Reply::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
