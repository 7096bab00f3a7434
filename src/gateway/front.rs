//! `GET /`: what this is, and where to look; as JSON for tools, as a page for browsers.

use std::collections::HashMap;

use http::Response;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, VARY};
use http::request::Parts;
use serde_json::{Value, json};

use super::ask::say_missing;
use super::fault::json as answer;
use super::reply::Reply;
use super::table::{Route, Table};
use super::{Gateway, absent, accept, page};

/// The page carries all it needs: nothing is ever loaded from another host.
const OWN_HOST_ONLY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'";

impl Gateway {
    /// The front, as the client prefers it.
    pub(super) async fn front(&self, parts: &Parts) -> Response<Reply> {
        let mut response = if accept::prefers_html(&parts.headers) { self.page(parts).await } else { listing(&self.table()) };
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
        response
    }

    /// The page. Replicas are asked for what they know better: the tensors, and the command that tries the model.
    async fn page(&self, parts: &Parts) -> Response<Reply> {
        let table = self.table();
        let mut asking = parts.clone();
        asking.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let said = self.ask_each(&table, &asking, &super::body::Inbound::empty(&self.kept), false).await;
        let mut told: HashMap<String, Value> = HashMap::new();
        for answer in said.iter().filter_map(|part| part.outcome.as_ref().ok()) {
            let mut front = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
            for model in front["models"].as_array_mut().map(std::mem::take).unwrap_or_default() {
                let name = model["name"].as_str().unwrap_or_default().to_owned();
                told.insert(name, model);
            }
        }
        let mut response = Response::new(Reply::whole(page::page(&table, &told, &base(parts)).into()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(OWN_HOST_ONLY));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        say_missing(headers, &said);
        response
    }
}

fn listing(table: &Table) -> Response<Reply> {
    let models = table.models.iter().map(|(name, route)| {
        let (state, reason) = state(route);
        let mut model = json!({
            "name": name,
            "deployment": &*route.deployment,
            "ready": !route.backends.is_empty(),
            "state": state,
            "metadata": format!("/v2/models/{name}"),
            "infer": format!("/v2/models/{name}/infer"),
            "predict": format!("/v1/models/{name}:predict"),
        });
        if !reason.is_empty() {
            model["reason"] = reason.into();
        }
        model
    });
    answer(&json!({
        "name": "modelyard",
        "version": env!("CARGO_PKG_VERSION"),
        "what": "several models on one port: Open Inference Protocol v2, TensorFlow Serving and KServe v1 over HTTP, and gRPC",
        "status": if table.draining { "draining" } else { "alive" },
        "models": models.collect::<Vec<_>>(),
        "openapi": "/openapi.json",
        "docs": "/docs",
    }))
}

/// How a model is, in the words of the repository's index, and why.
pub(super) fn state(route: &Route) -> (&'static str, String) {
    if route.backends.is_empty() { absent::state(route) } else { ("READY", String::new()) }
}

/// Where the client reached this port, for the commands that it may copy; what is no host name is not repeated.
fn base(parts: &Parts) -> String {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let plain = |host: &&str| !host.is_empty() && host.bytes().all(|one| one.is_ascii_alphanumeric() || b".:-_[]".contains(&one));
    format!("http://{}", host.filter(plain).unwrap_or("localhost:8080"))
}
