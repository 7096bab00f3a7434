//! One request to one replica, and to another one if the first did not get it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::uri::Scheme;
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use super::body::{Inbound, Outbound};
use super::fault::{Fault, Kind, causes};
use super::pick::{pick, random};
use super::reply::Reply;
use super::table::{Absent, Backend, Lease, Route, Table};
use super::{DEFAULT_LIMIT, GRACE, Gateway, MAX_PARKED, PARKED, headers};

/// Replicas that one request is offered to at most.
const MAX_OFFERS: usize = 4;

/// Pools of kept connections to the replicas, of one reactor.
#[derive(Clone)]
pub(super) struct Clients {
    http1: Client<HttpConnector, Outbound>,
    http2: Client<HttpConnector, Outbound>,
}

impl Clients {
    pub(super) fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(2)));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(60)).pool_max_idle_per_host(256);
        // A retry is decided here, where it is known what may be repeated.
        builder.retry_canceled_requests(false);
        let http1 = builder.build(tcp.clone());
        builder.http2_only(true).http2_initial_stream_window_size(2 << 20).http2_initial_connection_window_size(8 << 20);
        Self { http1, http2: builder.build(tcp) }
    }
}

/// Whom a request is for, and how it may be treated.
pub(super) struct Errand<'a> {
    /// The model; without one any replica will do.
    pub(super) model: Option<&'a str>,
    /// Whether it waits for a replica on its way.
    pub(super) waits: bool,
    /// Whether it may be run twice.
    pub(super) repeatable: bool,
    /// Whether it ends at all by its own will: streams do not.
    pub(super) bounded: bool,
    /// Over HTTP/2, as gRPC needs.
    pub(super) http2: bool,
}

impl Gateway {
    pub(super) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.borrow())
    }

    /// Passes a request on, and its answer back.
    pub(super) async fn relay(&self, errand: &Errand<'_>, parts: Parts, body: Inbound) -> Result<Response<Reply>, Fault> {
        let limit = match errand.model {
            Some(model) => route(&self.table(), model)?.timeout,
            None => DEFAULT_LIMIT,
        };
        if !errand.bounded {
            return self.offer(errand, parts, &body).await;
        }
        let deadline = Instant::now() + limit + GRACE;
        let outcome = tokio::time::timeout_at(deadline, self.offer(errand, parts, &body)).await;
        body.drain().await;
        match outcome {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::new(Kind::Late, format!("no answer within {:?}", limit + GRACE))),
        }
    }

    async fn offer(&self, errand: &Errand<'_>, parts: Parts, body: &Inbound) -> Result<Response<Reply>, Fault> {
        let mut tried = Vec::new();
        let mut broken = 0;
        loop {
            let lease = self.replica(errand, &tried).await?;
            let client = if errand.http2 { &self.clients.http2 } else { &self.clients.http1 };
            let error = match client.request(onward(&parts, &lease.0, body.outbound())).await {
                Ok(response) => return Ok(through(response, lease)),
                Err(error) => error,
            };
            tracing::debug!(backend = %lease.0.address, error = %causes(&error), "a replica did not answer");
            let unsent = error.is_connect();
            broken += usize::from(!unsent);
            tried.push(lease.0.address);
            // What was sent may have been what killed the replica: it is not fed to all of them.
            let again = body.is_complete() && tried.len() < MAX_OFFERS && (unsent || (errand.repeatable && broken < 2));
            if !again {
                return Err(given_up(&error, body));
            }
        }
    }

    /// A replica for the errand, but none of those tried; waits for one on its way if the errand does.
    async fn replica(&self, errand: &Errand<'_>, tried: &[SocketAddr]) -> Result<Lease, Fault> {
        let table = self.table();
        if let Some(lease) = take(&table, errand.model, tried)? {
            return Ok(lease);
        }
        absent(&table, errand)?;
        let Ok(_parked) = self.parked.try_acquire() else {
            return Err(Fault::new(Kind::Unavailable, format!("{MAX_PARKED} requests wait for a replica already")));
        };
        let mut changes = self.table.clone();
        let wait = async {
            while changes.changed().await.is_ok() {
                let table = Arc::clone(&changes.borrow_and_update());
                // A replica that died comes back on another port, so it is none of those tried.
                if let Some(lease) = take(&table, errand.model, tried)? {
                    return Ok(lease);
                }
                absent(&table, errand)?;
            }
            Err(Fault::new(Kind::Unavailable, "the gateway is stopping"))
        };
        match tokio::time::timeout(PARKED, wait).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::new(Kind::Unavailable, in_vain(&self.table(), errand))),
        }
    }

    /// Asks one replica itself, for an answer that is put together from several.
    pub(super) async fn ask(
        &self,
        backend: &Arc<Backend>,
        parts: &Parts,
        body: Outbound,
        http2: bool,
    ) -> Result<Response<Incoming>, Error> {
        let client = if http2 { &self.clients.http2 } else { &self.clients.http1 };
        client.request(onward(parts, backend, body)).await
    }
}

pub(super) fn route<'a>(table: &'a Table, model: &str) -> Result<&'a Route, Fault> {
    table.models.get(model).ok_or_else(|| {
        let shown: String = model.chars().take(80).collect();
        Fault::new(Kind::NotFound, format!("unknown model '{shown}'; served here: {}", table.names()))
    })
}

fn take(table: &Table, model: Option<&str>, tried: &[SocketAddr]) -> Result<Option<Lease>, Fault> {
    let picked = match model {
        Some(model) => pick(&route(table, model)?.backends, tried, random()),
        None => {
            let all: Vec<_> = table.deployments().into_iter().flat_map(|route| route.backends.iter().cloned()).collect();
            pick(&all, tried, random())
        }
    };
    Ok(picked.map(|backend| backend.lease()))
}

/// Why it makes no sense to wait, if it makes none.
fn absent(table: &Table, errand: &Errand<'_>) -> Result<(), Fault> {
    let unavailable = |message: String| Err(Fault::new(Kind::Unavailable, message));
    let Some(model) = errand.model else { return unavailable("no replica of any model is ready".to_owned()) };
    match &route(table, model)?.absent {
        Absent::Zero => unavailable(format!("model '{model}' has no replicas (replicas: 0)")),
        Absent::Failing(why) => unavailable(format!("model '{model}' is not ready: {why}")),
        Absent::Starting if !errand.waits => unavailable(format!("model '{model}' is not ready yet")),
        Absent::Retrying(why) if !errand.waits => unavailable(format!("model '{model}' is not ready yet: {why}")),
        Absent::Starting | Absent::Retrying(_) => Ok(()),
    }
}

/// What is said to a request that has waited long enough.
fn in_vain(table: &Table, errand: &Errand<'_>) -> String {
    let waited = format!("no replica became ready within {PARKED:?}");
    match errand.model.and_then(|model| table.models.get(model)).map(|route| &route.absent) {
        Some(Absent::Retrying(why)) => format!("{waited}: {why}"),
        _ => waited,
    }
}

fn onward(parts: &Parts, backend: &Backend, body: Outbound) -> Request<Outbound> {
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    let mut uri = http::uri::Parts::default();
    (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(backend.authority().clone()));
    uri.path_and_query = parts.uri.path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = parts.headers.clone();
    request
}

fn through(response: Response<Incoming>, lease: Lease) -> Response<Reply> {
    let (mut parts, body) = response.into_parts();
    headers::back(&mut parts.headers);
    // What the client's connection speaks is the client's matter.
    parts.version = Version::HTTP_11;
    Response::from_parts(parts, Reply::Through(body, lease))
}

fn given_up(error: &Error, body: &Inbound) -> Fault {
    // It was the body that did not come to its end, rather than the replica that did not answer.
    if let Some(ended) = body.ended() {
        return ended.into();
    }
    let why = if error.is_connect() { "cannot be reached" } else { "ended before it answered" };
    Fault::new(Kind::Broken, format!("the replica {why}: {}", causes(error)))
}
