//! Clients: a question at a time, and load that counts what fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// One request with a JSON body, and its JSON answer.
pub(crate) async fn ask(method: Method, url: &str, body: &Value) -> Result<(StatusCode, Value), String> {
    ask_with(&client(), method, url, body).await
}

async fn ask_with(
    client: &Client<HttpConnector, Full<Bytes>>,
    method: Method,
    url: &str,
    body: &Value,
) -> Result<(StatusCode, Value), String> {
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let request = Request::builder().method(method).uri(url).body(Full::new(body)).unwrap();
    let response = client.request(request).await.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
    Ok((status, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)))))
}

/// What a load has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) good: usize,
    pub(crate) failures: Vec<String>,
    /// The model's version of the newest good answer of each worker.
    pub(crate) versions: Vec<String>,
}

/// Requests without pause on several kept connections, until it is told to end.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answers: watch::Receiver<usize>,
    workers: Vec<JoinHandle<Seen>>,
}

impl Load {
    pub(crate) fn start(url: &str, workers: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (count, answers) = watch::channel(0);
        let count = Arc::new(count);
        let body = json!({"inputs": [{"name": "pixels", "shape": [1, 784], "datatype": "FP32", "data": vec![0.5; 784]}]});
        let url = format!("{url}/v2/models/mnist/infer");
        let workers = (0..workers)
            .map(|_| {
                let (stop, url, body, client) = (Arc::clone(&stop), url.clone(), body.clone(), client());
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let mut seen = Seen::default();
                    while !stop.load(Ordering::Relaxed) {
                        match ask_with(&client, Method::POST, &url, &body).await {
                            Ok((StatusCode::OK, answer)) => {
                                seen.good += 1;
                                count.send_modify(|count| *count += 1);
                                seen.versions = vec![answer["model_version"].as_str().unwrap_or_default().to_owned()];
                            }
                            other => seen.failures.push(format!("{other:?}")),
                        }
                    }
                    seen
                })
            })
            .collect();
        Self { stop, answers, workers }
    }

    /// Until so many more requests are answered well.
    pub(crate) async fn more(&mut self, count: usize) {
        let until = *self.answers.borrow() + count;
        let waiting = self.answers.wait_for(|answers| *answers >= until);
        tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await.expect("the load stands still").unwrap();
    }

    pub(crate) async fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for worker in self.workers {
            let seen = worker.await.unwrap();
            all.good += seen.good;
            all.failures.extend(seen.failures);
            all.versions.extend(seen.versions);
        }
        all
    }
}
