//! A proxy in front of the API server that refuses, conflicts, fails and hangs up as it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the proxy does to those who ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It passes everything on.
    #[default]
    Fair,
    /// Of five requests one is refused with 429; of five writes another is answered with 409, and of the rest each seventh with 500.
    Foul,
    /// Everything is refused with 429.
    Shut,
}

#[derive(Default)]
struct Counts {
    asked: AtomicU64,
    refused: AtomicU64,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
    mood: watch::Sender<Mood>,
    hang_up: watch::Sender<u64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts, on a port of loopback, with the rights of KUBECONFIG.
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (mood, moods) = watch::channel(Mood::Fair);
        let (hang_up, hang_ups) = watch::channel(0);
        let (counts, stop): (Arc<Counts>, Arc<AtomicBool>) = Default::default();
        let (own, stopped) = (Arc::clone(&counts), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, own, moods, (hang_ups, stopped)));
        });
        Self { address, counts, mood, hang_up, stop, thread: Some(thread) }
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Cuts every connection, watches among them.
    pub(crate) fn hang_up(&self) {
        self.hang_up.send_modify(|times| *times += 1);
    }

    /// Requests so far, and those of them that were not passed on.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.counts.asked.load(Ordering::Relaxed), self.counts.refused.load(Ordering::Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.hang_up();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            println!("the proxy broke off");
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    counts: Arc<Counts>,
    moods: watch::Receiver<Mood>,
    (mut hang_ups, stopped): (watch::Receiver<u64>, Arc<AtomicBool>),
) {
    let client = Client::try_default().await.unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            _ = hang_ups.changed() => {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                connections.abort_all();
                continue;
            }
        };
        let (client, counts, moods) = (client.clone(), Arc::clone(&counts), moods.clone());
        connections.spawn(async move {
            let answer = service_fn(|request| {
                let (client, counts, mood) = (client.clone(), Arc::clone(&counts), *moods.borrow());
                async move { Ok::<_, Infallible>(answer(request, &client, &counts, mood).await) }
            });
            if let Err(error) = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await {
                println!("the proxy's connection ended: {error}");
            }
        });
    }
}

type Answer = Response<Either<Full<Bytes>, Body>>;

async fn answer(request: Request<Incoming>, client: &Client, counts: &Counts, mood: Mood) -> Answer {
    let number = counts.asked.fetch_add(1, Ordering::Relaxed);
    let writes = *request.method() != Method::GET;
    let refusal = match (mood, number % 5) {
        (Mood::Shut, _) | (Mood::Foul, 0) => Some((StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")),
        (Mood::Foul, 1) if writes => Some((StatusCode::CONFLICT, "Conflict")),
        (Mood::Foul, _) if number.is_multiple_of(7) => Some((StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
        _ => None,
    };
    if let Some((status, reason)) = refusal {
        counts.refused.fetch_add(1, Ordering::Relaxed);
        return refused(status, reason);
    }
    let (mut head, body) = request.into_parts();
    // The client knows where to and as whom.
    head.headers.remove(http::header::HOST);
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    match client.send(Request::from_parts(head, Body::from(body))).await {
        Ok(response) => response.map(Either::Right),
        Err(error) => {
            println!("the proxy cannot pass on: {error}");
            refused(StatusCode::BAD_GATEWAY, "ServiceUnavailable")
        }
    }
}

fn refused(status: StatusCode, reason: &str) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status.as_u16(),
        "message": format!("the test's proxy says {status}"),
    });
    let mut response = Response::new(Either::Left(Full::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
