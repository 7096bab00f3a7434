//! Blobs on their way to a registry (OCI distribution specification 1.1, "Pushing"): asked for by digest, and sent in one piece where they are
//! not there. A file is read as it is sent; an upload that is cut begins anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;

use super::Door;
use super::Named;
use crate::remote::AGENT;
use crate::remote::address::Address;
use crate::remote::ask::{Trouble, again, class, retry_after, with_causes};
use crate::remote::backoff::Backoff;
use crate::remote::body::{FileBody, Payload};
use crate::remote::client::Failed;
use crate::remote::refusal::Refusal;
use crate::remote::sign::Asking;
use crate::{Progress, Store, StoreError, cache};

/// How many times as long as any other answer may that take which comes once a whole blob is there: registries hash it first.
const SETTLING: u32 = 20;

/// One repository of a registry, and who asks.
pub(super) struct Registry<'a> {
    pub(super) named: &'a Named,
    pub(super) door: &'a Door,
    pub(super) store: &'a Store,
    pub(super) progress: &'a Progress,
}

/// Something to send.
pub(super) struct Blob {
    pub(super) sum: String,
    pub(super) bytes: u64,
    pub(super) content: Content,
}

/// Where a body comes from.
#[derive(Clone)]
pub(super) enum Content {
    Nothing,
    Bytes(Bytes),
    File(PathBuf),
}

impl Registry<'_> {
    pub(super) fn at(&self, kind: &str, name: &str) -> Result<Address, StoreError> {
        self.door.address(&format!("{}{}/{kind}/{name}", self.named.base(), self.named.repository))
    }

    /// Sees to it that the registry has a blob; whether it had to be sent.
    pub(super) async fn have(&self, blob: &Blob, path: &str) -> Result<bool, StoreError> {
        let before = self.progress.read().0;
        let address = self.at("blobs", &format!("sha256:{}", blob.sum))?;
        let there = self.persist(async || self.is_there(&address).await).await?;
        if !there {
            self.persist(async || {
                self.progress.bytes.store(before, Ordering::Relaxed);
                self.send(blob, path).await
            })
            .await?;
        }
        self.progress.bytes.store(before + blob.bytes, Ordering::Relaxed);
        Ok(!there)
    }

    async fn is_there(&self, address: &Address) -> Result<bool, Trouble> {
        let response = self.exchange((Method::HEAD, address), Vec::new(), (&Content::Nothing, 0)).await?;
        match response.status() {
            // What is there may lie elsewhere.
            StatusCode::OK | StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.refused(response, address).await),
        }
    }

    /// Opens an upload, and puts the whole blob into it.
    async fn send(&self, blob: &Blob, path: &str) -> Result<(), Trouble> {
        let address = self.at("blobs", "uploads/")?;
        let response = self.exchange((Method::POST, &address), Vec::new(), (&Content::Nothing, 0)).await?;
        let location = response.headers().get(LOCATION).and_then(|place| place.to_str().ok()).map(ToOwned::to_owned);
        let (StatusCode::ACCEPTED, Some(location)) = (response.status(), location) else {
            return Err(match response.status() {
                StatusCode::ACCEPTED => {
                    StoreError::Unavailable(format!("{} names no place to upload to", address.shown())).into()
                }
                _ => self.refused(response, &address).await,
            });
        };
        let joint = if location.contains('?') { '&' } else { '?' };
        let place = address.redirect(&format!("{location}{joint}digest=sha256:{}", blob.sum));
        let place = place.map_err(|why| StoreError::Unavailable(format!("{}: {why}", address.shown())))?;
        let kind = (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let response = self.exchange((Method::PUT, &place), vec![kind], (&blob.content, blob.bytes)).await?;
        match response.status().as_u16() {
            200..=204 => Ok(()),
            // Another digest, or an upload that the registry has forgotten: a new one may do.
            400 | 404 | 416 => Err(match self.refused(response, &place).await {
                Trouble::Final(error) => again(format!("{path}: {error}")),
                trouble => trouble,
            }),
            _ => Err(self.refused(response, &place).await),
        }
    }

    /// Puts something short, until it is taken or nothing more is to be hoped for; the answer's headers.
    pub(super) async fn put(
        &self,
        address: &Address,
        kind: (HeaderName, HeaderValue),
        content: &Content,
    ) -> Result<HeaderMap, StoreError> {
        self.persist(async || {
            let response = self.exchange((Method::PUT, address), vec![kind.clone()], (content, 0)).await?;
            if matches!(response.status().as_u16(), 200..=202) {
                return Ok(response.headers().clone());
            }
            Err(self.refused(response, address).await)
        })
        .await
    }

    async fn persist<T>(&self, mut attempt: impl AsyncFnMut() -> Result<T, Trouble>) -> Result<T, StoreError> {
        let limits = &self.store.limits;
        let mut backoff = Backoff::new(limits, limits.attempts, 0);
        loop {
            let (why, after) = match attempt().await {
                Ok(done) => return Ok(done),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Again { why, after }) => (why, after),
                Err(Trouble::Restart { why }) => (why, None),
            };
            let Some(wait) = backoff.next(0, after, cache::random()) else {
                return Err(StoreError::Unavailable(format!("{why} (after {} attempts)", backoff.failures())));
            };
            tracing::warn!(%why, wait_ms = wait.as_millis(), "a registry did not take it; trying again");
            tokio::time::sleep(wait).await;
        }
    }

    /// One request, and the head of its answer.
    async fn exchange(
        &self,
        (method, address): (Method, &Address),
        headers: Vec<(HeaderName, HeaderValue)>,
        (content, bytes): (&Content, u64),
    ) -> Result<Response<Incoming>, Trouble> {
        let mut asking = Asking::new(Full::default());
        *asking.uri_mut() = address.uri.clone();
        asking.headers_mut().insert(USER_AGENT, AGENT);
        if let Some(authorization) = &address.authorization {
            asking.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        asking.headers_mut().extend(headers);
        // Some registries want it even where there is nothing.
        if matches!(content, Content::Nothing) && method == Method::POST {
            asking.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        *asking.method_mut() = method;
        if let Some(signer) = &address.signer {
            signer.sign(&mut asking).await?;
        }
        let sent = Arc::new(AtomicU64::new(0));
        let (head, _) = asking.into_parts();
        let request = Request::from_parts(head, payload(content, bytes, &sent).await?);
        let before = self.progress.read().0;
        let mut answer = std::pin::pin!(self.store.client.carry(request));
        let mut patience = Patience { stall: self.store.limits.stall, bytes, seen: 0, quiet: 0 };
        loop {
            match tokio::time::timeout(patience.step(), &mut answer).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(Failed::Never(why))) => return Err(StoreError::Unavailable(why).into()),
                Ok(Err(Failed::Now(error))) => return Err(again(format!("{}: {}", address.shown(), with_causes(&*error)))),
                Err(_) => {
                    let now = sent.load(Ordering::Relaxed);
                    self.progress.bytes.store(before + now, Ordering::Relaxed);
                    if patience.is_over(now) {
                        return Err(again(format!("{}: nothing moves for {:?}", address.shown(), patience.stall)));
                    }
                }
            }
        }
    }

    /// What an answer means that is none of those that were hoped for.
    async fn refused(&self, response: Response<Incoming>, address: &Address) -> Trouble {
        let (status, after) = (response.status(), retry_after(response.headers()));
        let refusal = Refusal::read(response, &self.store.limits).await;
        let said = format!("{} answered {status}{refusal}", address.shown());
        let renewed = status == StatusCode::UNAUTHORIZED && address.signer.as_ref().is_some_and(|signer| signer.renew());
        match status.as_u16() {
            _ if renewed => again(said),
            // What is not there is the place to push to, not a model.
            404 | 410 | 416 => StoreError::Unavailable(said).into(),
            _ => class(status, said, after),
        }
    }
}

/// The body of a request; a file is opened anew for each.
async fn payload(content: &Content, bytes: u64, sent: &Arc<AtomicU64>) -> Result<Payload, StoreError> {
    Ok(match content {
        Content::Nothing => Either::Left(Full::default()),
        Content::Bytes(bytes) => Either::Left(Full::new(bytes.clone())),
        Content::File(path) => {
            let opened = FileBody::open(path, bytes, Arc::clone(sent)).await;
            Either::Right(opened.map_err(|cause| StoreError::file(path, cause))?)
        }
    })
}

/// How long a request may stand still: bytes that leave count as movement, and the answer to many of them takes longer.
struct Patience {
    stall: Duration,
    /// All that there is to send.
    bytes: u64,
    seen: u64,
    /// Steps without movement.
    quiet: u32,
}

/// Steps of one wait: so often a bar that shows the progress moves at least.
const STEPS: u32 = 100;

impl Patience {
    fn step(&self) -> Duration {
        self.stall / STEPS
    }

    fn is_over(&mut self, sent: u64) -> bool {
        if sent > self.seen {
            (self.seen, self.quiet) = (sent, 0);
            return false;
        }
        self.quiet += 1;
        let settling = self.bytes > 0 && sent >= self.bytes;
        self.quiet >= STEPS * if settling { SETTLING } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_waited_for_and_what_is_hashed_longer() {
        let mut patience = Patience { stall: Duration::from_secs(30), bytes: 10, seen: 0, quiet: 0 };
        let mut waited = |sent| (1..).find(|_| patience.is_over(sent)).unwrap_or(0);
        // The first look of each sees that something moved.
        assert_eq!((waited(0), waited(5), waited(10)), (STEPS, STEPS + 1, STEPS * SETTLING + 1));
    }
}
