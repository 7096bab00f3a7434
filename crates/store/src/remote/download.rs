//! A download, over as many requests as it takes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::address::Address;
use super::ask::{Answer, Trouble, Wish, again, ask, with_causes};
use super::backoff::Backoff;
use super::validator::Validator;
use crate::partial::Partial;
use crate::{Progress, Store, StoreError, blocking, cache};

/// Bytes that are gathered before they are written and hashed in one go, off the reactor.
const PIECE: usize = 1 << 20;

/// Bytes of one range where several are fetched side by side.
const RANGE: u64 = 8 << 20;

/// Ranges that are fetched side by side at most. They are kept in memory until those before them are written: 32 MiB in all.
const STREAMS: usize = 4;

/// What is downloaded, and to where.
pub(super) struct Download<'a> {
    pub(super) store: &'a Store,
    pub(super) progress: &'a Progress,
    pub(super) address: &'a Address,
    pub(super) expected: Option<&'a String>,
    /// The version that is in the cache already, if any.
    pub(super) known: Option<Validator>,
    pub(super) partial: Arc<Mutex<Partial>>,
    /// What a listing said of it, if it is a file of several.
    pub(super) listed: Listed,
}

/// What is known of a file of several before it is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    /// Its size.
    pub(super) size: Option<u64>,
    /// Its tag, if an answer of another version is possible.
    pub(super) tag: Option<String>,
    /// Bytes of the files before it, and of all.
    pub(super) among: Option<(u64, u64)>,
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
        // A store whose ranges are of another version each time is read in one piece from then on.
        let mut side_by_side = true;
        loop {
            let (why, after) = match self.attempt(side_by_side).await {
                Ok(Done::Complete { digest, bytes }) => match self.check(&digest) {
                    Ok(()) => return Ok(Done::Complete { digest, bytes }),
                    Err(error) if !self.partial.lock().was_resumed() => {
                        self.partial.lock().remove();
                        return Err(error);
                    }
                    // Pieces of two versions, maybe: once more, in one piece.
                    Err(error) => {
                        self.restart().await?;
                        side_by_side = false;
                        (error.to_string(), None)
                    }
                },
                Ok(done) => return Ok(done),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Again { why, after }) => (why, after),
                Err(Trouble::Restart { why }) => {
                    self.restart().await?;
                    side_by_side = false;
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
        let (expected, size) = (self.expected.cloned(), self.listed.size);
        if expected.is_none() && size.is_none() {
            return Ok(None);
        }
        let done = self
            .on_disk(move |partial| {
                let (digest, bytes) = (partial.finish()?, partial.bytes());
                // What there is of a listed file is of its version, since its file on disk is named by it.
                let whole = expected.map_or(Some(bytes) == size, |expected| digest == expected);
                Ok(whole.then_some(Done::Complete { digest, bytes }))
            })
            .await?;
        if done.is_some() {
            self.arrived(self.partial.lock().bytes());
        }
        Ok(done)
    }

    fn check(&self, digest: &str) -> Result<(), StoreError> {
        StoreError::check_sum(&self.address.shown(), self.expected, digest)
    }

    async fn restart(&self) -> Result<(), StoreError> {
        self.on_disk(|partial| partial.restart(Validator::default())).await
    }

    /// One request, and its body to the end.
    async fn attempt(&self, side_by_side: bool) -> Result<Done, Trouble> {
        let wish = {
            let partial = self.partial.lock();
            // Without a validator the pieces may be of different versions; then only the sum can tell.
            let can_resume = partial.bytes() > 0 && (partial.validator().can_resume() || self.expected.is_some());
            let rest = can_resume.then(|| (partial.bytes(), partial.validator().clone()));
            Wish { rest, until: None, unless: self.known.clone() }
        };
        match ask(&self.store.client, self.address, &wish, &self.store.limits).await? {
            Answer::NotModified => Ok(Done::NotModified),
            Answer::Bytes { body, offset, total, validator, ranges } => {
                self.check_size(total.unwrap_or(0)).await?;
                self.check_version(total, &validator)?;
                let ranged = side_by_side && ranges && validator.can_resume();
                let ranges_of = total.filter(|total| ranged && total.saturating_sub(offset) > 2 * RANGE);
                let version = validator.clone();
                if offset == 0 {
                    self.on_disk(|partial| partial.restart(validator)).await?;
                } else {
                    self.partial.lock().resume();
                }
                self.begin(offset, total.unwrap_or(0));
                match ranges_of {
                    Some(total) => self.receive_ranges(body, offset..total, &version).await?,
                    None => self.receive(body, offset).await?,
                }
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
            self.arrived(bytes);
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

    /// Receives several ranges side by side, and writes them in order: what is on disk is always a beginning, as it is after a
    /// download in one piece. `first` is an answer from the first byte on.
    async fn receive_ranges(&self, first: Incoming, all: std::ops::Range<u64>, version: &Validator) -> Result<(), Trouble> {
        let mut first = Some(first);
        let starts = (all.start..all.end).step_by(usize::try_from(RANGE).unwrap_or(usize::MAX));
        let ranges = starts.map(|start| {
            let (body, range) = (first.take(), start..all.end.min(start + RANGE));
            async move {
                match body {
                    Some(body) => Ok(self.gather(body, range.end - range.start).await),
                    None => self.range(range, version).await,
                }
            }
        });
        let mut ranges = futures_util::stream::iter(ranges).buffered(STREAMS);
        while let Some(range) = ranges.next().await {
            let (pieces, cut) = range?;
            self.append(pieces).await?;
            self.arrived(self.partial.lock().bytes());
            if let Some(why) = cut {
                return Err(again(why));
            }
        }
        Ok(())
    }

    /// Asks for one range of that version, and gathers it.
    async fn range(&self, range: std::ops::Range<u64>, version: &Validator) -> Result<(Vec<Bytes>, Option<String>), Trouble> {
        let wish = Wish { rest: Some((range.start, version.clone())), until: Some(range.end), unless: None };
        match ask(&self.store.client, self.address, &wish, &self.store.limits).await? {
            Answer::Bytes { body, offset, .. } if offset == range.start => Ok(self.gather(body, range.end - range.start).await),
            _ => Err(Trouble::Restart { why: format!("{} has another version by now", self.address.shown()) }),
        }
    }

    /// The next `length` bytes of a body; where it is cut before that, what has come of them and why.
    async fn gather(&self, mut body: Incoming, length: u64) -> (Vec<Bytes>, Option<String>) {
        let (stall, mut left, mut pieces) = (self.store.limits.stall, length, Vec::new());
        let why = loop {
            let frame = match tokio::time::timeout(stall, body.frame()).await {
                Ok(None) => break "it ended too early".to_owned(),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => break with_causes(&error),
                Err(_) => break format!("no bytes for {stall:?}"),
            };
            let Ok(mut piece) = frame.into_data() else { continue };
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            pieces.push(piece);
            if left == 0 {
                return (pieces, None);
            }
        };
        (pieces, Some(format!("{}: {why}", self.address.shown())))
    }

    /// Tells how far this file has come, among the others that belong to it.
    fn arrived(&self, bytes: u64) {
        let before = self.listed.among.map_or(0, |(before, _)| before);
        self.progress.bytes.store(before + bytes, Ordering::Relaxed);
    }

    fn begin(&self, offset: u64, total: u64) {
        let (before, all) = self.listed.among.unwrap_or((0, total));
        self.progress.set(before + offset, all);
    }

    /// A file of several has to be the one that was listed with the others.
    fn check_version(&self, total: Option<u64>, validator: &Validator) -> Result<(), StoreError> {
        let listed = &self.listed;
        let same_tag = listed.tag.as_ref().is_none_or(|tag| validator.is_of(tag));
        if same_tag && total.zip(listed.size).is_none_or(|(total, size)| total == size) {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!("{} changed while it was fetched: fetch it again", self.address.shown())))
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
