//! Replicas asked on the gateway's own account, for answers that are put together: all at once, each for a few seconds at most, so
//! that one that hangs costs the others nothing.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::{BodyExt, Limited};

use super::body::{Inbound, Outbound};
use super::fault::causes;
use super::pick::{pick, random};
use super::table::{Backend, Route, Table};
use super::{Gateway, headers};

/// Bytes of one replica's answer at most.
const MAX_PART: usize = 16 << 20;
/// Characters of the header that says what is missing, at most.
const MAX_MISSING: usize = 1024;
/// The header that says of an answer put together which deployments are not in it, and why.
const MISSING: &str = "x-modelyard-missing";

/// What a replica of a deployment said, or why none did.
pub(super) struct Part {
    pub(super) deployment: Arc<str>,
    pub(super) outcome: Result<Said, String>,
}

/// A replica's answer.
pub(super) struct Said {
    pub(super) head: http::response::Parts,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

impl Said {
    /// gRPC's status: after the body, or in the head of an answer without one.
    pub(super) fn grpc_status(&self) -> Option<&str> {
        let trailers = self.trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
        trailers.or_else(|| self.head.headers.get("grpc-status"))?.to_str().ok()
    }
}

impl Gateway {
    /// Asks one replica of every deployment; where that does not answer, another one.
    pub(super) async fn ask_each(&self, table: &Table, parts: &Parts, body: &Inbound, http2: bool) -> Vec<Part> {
        let asking = table.deployments().into_iter().map(|route| async move {
            let mut tried = Vec::new();
            let mut outcome = Err("it has no replica".to_owned());
            while let (Err(_), Some(backend)) = (&outcome, pick(&route.backends, &tried, random()).filter(|_| tried.len() < 2)) {
                tried.push(backend.address);
                outcome = self.answer_of(&backend, parts, body.outbound(), http2).await;
            }
            Part { deployment: Arc::clone(&route.deployment), outcome }
        });
        join_all(asking).await
    }

    /// Asks every replica of these routes, without a body.
    pub(super) async fn ask_all(&self, routes: &[&Route], parts: &Parts) -> Vec<Part> {
        let replicas = routes.iter().flat_map(|route| route.backends.iter().map(move |backend| (route, backend)));
        let asking = replicas.map(|(route, backend)| async move {
            let outcome = self.answer_of(backend, parts, Outbound::empty(), false).await;
            Part { deployment: Arc::clone(&route.deployment), outcome }
        });
        join_all(asking).await
    }

    async fn answer_of(&self, backend: &Arc<Backend>, parts: &Parts, body: Outbound, http2: bool) -> Result<Said, String> {
        let mut parts = parts.clone();
        parts.headers.remove(http::header::ACCEPT_ENCODING);
        // That of the body at hand, which is not always the client's.
        parts.headers.remove(http::header::CONTENT_LENGTH);
        if parts.method == Method::HEAD {
            // Nothing can be put together from heads alone.
            parts.method = Method::GET;
        }
        let _lease = backend.lease();
        let asking = async {
            let response = self.ask(backend, &parts, body, http2).await.map_err(|error| causes(&error))?;
            let (mut head, answer) = response.into_parts();
            headers::back(&mut head.headers);
            let answer = Limited::new(answer, MAX_PART).collect().await.map_err(|error| causes(&*error))?;
            let trailers = answer.trailers().cloned();
            Ok(Said { head, body: answer.to_bytes(), trailers })
        };
        let within = self.limits.part;
        tokio::time::timeout(within, asking).await.unwrap_or_else(|_| Err(format!("it did not answer within {within:?}")))
    }
}

/// Says which deployments an answer leaves out, if it leaves out any.
pub(super) fn say_missing(headers: &mut HeaderMap, said: &[Part]) {
    let mut words = String::new();
    for (part, why) in said.iter().filter_map(|part| Some((part, part.outcome.as_ref().err()?))) {
        let between = if words.is_empty() { "" } else { "; " };
        // Writing to a string cannot fail.
        let _ = write!(words, "{between}{}: {why}", part.deployment);
    }
    let plain = words.chars().map(|one| if one.is_ascii_graphic() { one } else { ' ' }).take(MAX_MISSING);
    if let (false, Ok(value)) = (words.is_empty(), HeaderValue::try_from(plain.collect::<String>())) {
        headers.insert(MISSING, value);
    }
}
