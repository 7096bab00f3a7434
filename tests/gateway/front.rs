//! The gateway, and what clients send it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use modelyard::gateway::{self, Absent, Backend, Limits, Route, Running, Table};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// A gateway, and the hand that publishes its table.
pub(crate) struct Front {
    pub(crate) running: Running,
    pub(crate) tables: watch::Sender<Arc<Table>>,
}

impl Front {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address())
    }
}

pub(crate) fn route(backends: &[SocketAddr], absent: Absent) -> Route {
    let backends = backends.iter().map(|address| Arc::new(Backend::new(*address))).collect();
    Route {
        deployment: "d".into(),
        version: Some(1),
        backends,
        absent,
        timeout: Duration::from_secs(20),
        max_request_bytes: 64 << 20,
    }
}

pub(crate) fn table(routes: &[(&str, Route)]) -> Arc<Table> {
    Arc::new(Table { models: routes.iter().map(|(name, route)| ((*name).to_owned(), route.clone())).collect(), draining: false })
}

pub(crate) fn front(routes: &[(&str, Route)]) -> Front {
    front_within(routes, Limits::default())
}

pub(crate) fn front_within(routes: &[(&str, Route)], limits: Limits) -> Front {
    let (tables, receiver) = watch::channel(table(routes));
    let running = gateway::start(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), receiver, limits).unwrap();
    Front { running, tables }
}

pub(crate) fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) async fn post(url: &str, body: &'static str) -> (StatusCode, String) {
    let response = client().request(Request::post(url).body(Full::from(body)).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Sends `request` as it stands, and reads what comes until the connection ends or says enough.
pub(crate) async fn raw(front: &Front, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(front.running.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}
