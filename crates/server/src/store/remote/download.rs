//! A download, over as many requests as it takes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::address::Address;
use super::ask::{Answer, Trouble, Wish, ask, with_causes};
use super::backoff::Backoff;
use super::validator::Validator;
use crate::store::partial::Partial;
use crate::store::{Progress, Store, StoreError, blocking, cache};

/// Bytes that are gathered before they are written and hashed in one go, off the reactor.
const PIECE: usize = 1 << 20;

/// What is downloaded, and to where.
pub(super) struct Download<'a> {
    pub(super) store: &'a Store,
    pub(super) progress: &'a Progress,
    pub(super) address: &'a Address,
    pub(super) expected: Option<&'a String>,
    /// The version that is in the cache already, if any.
    pub(super) known: Option<Validator>,
    pub(super) partial: Arc<Mutex<Partial>>,
}

/// How a download ended well.
pub(super) enum Done {
    /// What is in the cache is the newest.
    NotModified,
    /// All bytes are in the partial file; their sum, which is the expected one.
    Complete { digest: String, bytes: u64 },
}

impl Download<'_> {
    /// Downloads until all is here, or nothing more is to be hoped for.
    pub(super) async fn run(&self) -> Result<Done, StoreError> {
        // Whoever has a copy to fall back on need not wait long for a store that is down.
        let attempts = if self.known.is_some() { 2 } else { self.store.limits.attempts };
        let mut backoff = Backoff::new(&self.store.limits, attempts, self.partial.lock().bytes());
        if let Some(done) = self.already_whole().await? {
            return Ok(done);
        }
        loop {
            let (why, after) = match self.attempt().await {
                Ok(Done::Complete { digest, bytes }) => match self.check(&digest) {
                    Ok(()) => return Ok(Done::Complete { digest, bytes }),
                    Err(error) if !self.partial.lock().was_resumed() => {
                        self.partial.lock().remove();
                        return Err(error);
                    }
                    // Pieces of two versions, maybe: once more, in one piece.
                    Err(error) => {
                        self.restart().await?;
                        (error.to_string(), None)
                    }
                },
                Ok(done) => return Ok(done),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Again { why, after }) => (why, after),
                Err(Trouble::Restart { why }) => {
                    self.restart().await?;
                    (why, None)
                }
            };
            let bytes = self.partial.lock().bytes();
            let Some(wait) = backoff.next(bytes, after, cache::random()) else {
                return Err(StoreError::Unavailable(format!("{why} (after {} attempts)", backoff.failures())));
            };
            tracing::warn!(%why, bytes, wait_ms = wait.as_millis(), "a download was cut; trying again");
            tokio::time::sleep(wait).await;
        }
    }

    /// What an earlier process downloaded to the end, and did not live to keep.
    async fn already_whole(&self) -> Result<Option<Done>, StoreError> {
        let Some(expected) = self.expected.cloned() else { return Ok(None) };
        self.on_disk(move |partial| {
            let (digest, bytes) = (partial.finish()?, partial.bytes());
            Ok((digest == expected).then_some(Done::Complete { digest, bytes }))
        })
        .await
    }

    fn check(&self, digest: &str) -> Result<(), StoreError> {
        StoreError::check_sum(&self.address.shown(), self.expected, digest)
    }

    async fn restart(&self) -> Result<(), StoreError> {
        self.on_disk(|partial| partial.restart(Validator::default())).await
    }

    /// One request, and its body to the end.
    async fn attempt(&self) -> Result<Done, Trouble> {
        let wish = {
            let partial = self.partial.lock();
            // Without a validator the pieces may be of different versions; then only the sum can tell.
            let can_resume = partial.bytes() > 0 && (partial.validator().can_resume() || self.expected.is_some());
            let rest = can_resume.then(|| (partial.bytes(), partial.validator().clone()));
            Wish { rest, unless: self.known.clone() }
        };
        match ask(&self.store.client, self.address, &wish, &self.store.limits).await? {
            Answer::NotModified => Ok(Done::NotModified),
            Answer::Bytes { body, offset, total, validator } => {
                self.check_size(total.unwrap_or(0)).await?;
                if offset == 0 {
                    self.on_disk(|partial| partial.restart(validator)).await?;
                } else {
                    self.partial.lock().resume();
                }
                self.progress.set(offset, total.unwrap_or(0));
                self.receive(body, offset).await?;
                let (digest, bytes) = self.on_disk(|partial| Ok((partial.finish()?, partial.bytes()))).await?;
                Ok(Done::Complete { digest, bytes })
            }
        }
    }

    async fn receive(&self, mut body: Incoming, offset: u64) -> Result<(), Trouble> {
        let (stall, mut bytes) = (self.store.limits.stall, offset);
        let (mut pieces, mut gathered) = (Vec::new(), 0);
        let cut = loop {
            let frame = match tokio::time::timeout(stall, body.frame()).await {
                Ok(None) => break None,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => break Some(with_causes(&error)),
                Err(_) => break Some(format!("no bytes for {stall:?}")),
            };
            let Ok(piece) = frame.into_data() else { continue };
            bytes += piece.len() as u64;
            self.check_size(bytes).await?;
            self.progress.bytes.store(bytes, Ordering::Relaxed);
            gathered += piece.len();
            pieces.push(piece);
            if gathered >= PIECE {
                self.append(std::mem::take(&mut pieces)).await?;
                gathered = 0;
            }
        };
        self.append(pieces).await?;
        match cut {
            None => Ok(()),
            Some(why) => Err(Trouble::Again { why: format!("{}: {why}", self.address.shown()), after: None }),
        }
    }

    /// Refuses more bytes than are allowed, and frees the disk of those that came.
    async fn check_size(&self, bytes: u64) -> Result<(), StoreError> {
        let limit = self.store.limits.max_artifact_bytes;
        if bytes <= limit {
            return Ok(());
        }
        self.on_disk(|partial| {
            partial.remove();
            Ok(())
        })
        .await?;
        Err(StoreError::Invalid(format!("{} is larger than the limit of {limit} bytes", self.address.shown())))
    }

    async fn append(&self, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        if pieces.is_empty() {
            return Ok(());
        }
        self.on_disk(move |partial| partial.append(&pieces)).await
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Partial) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let partial = Arc::clone(&self.partial);
        blocking(move || work(&mut partial.lock())).await
    }
}
