//! Credentials that end: fetched when they are needed, again before they end, and when a store says that they have.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::StoreError;

/// Credentials are not used this close to their end: the store's clock is another.
const MARGIN: Duration = Duration::from_secs(60);

/// How often a store may say that they are too old, before it is believed that no others will do.
const RENEWALS: u32 = 2;

/// The credentials of one fetch.
pub(super) struct Renewed<T> {
    held: tokio::sync::Mutex<Option<(T, Timestamp)>>,
    stale: AtomicU32,
    seen: AtomicU32,
}

impl<T: Clone> Renewed<T> {
    pub(super) fn new() -> Self {
        Self { held: tokio::sync::Mutex::default(), stale: AtomicU32::new(0), seen: AtomicU32::new(0) }
    }

    /// What is held, or what `fetch` brings: credentials, and when they end.
    pub(super) async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<(T, Timestamp), StoreError>>,
    {
        let mut held = self.held.lock().await;
        let stale = self.stale.load(Ordering::SeqCst);
        let is_stale = self.seen.swap(stale, Ordering::SeqCst) != stale;
        if let Some((credentials, end)) = &*held
            && !is_stale
            && end.duration_since(Timestamp::now()) > jiff::SignedDuration::try_from(MARGIN).unwrap_or_default()
        {
            return Ok(credentials.clone());
        }
        let (credentials, end) = fetch().await?;
        *held = Some((credentials.clone(), end));
        Ok(credentials)
    }

    /// What is held is too old; whether others are worth a try.
    pub(super) fn renew(&self) -> bool {
        self.stale.fetch_add(1, Ordering::SeqCst) < RENEWALS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn they_are_fetched_once_until_they_end_or_are_refused() {
        let renewed = Renewed::new();
        let fetched = AtomicU32::new(0);
        let get = async |seconds: i64| {
            let end = Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            renewed.get(|| async { Ok((fetched.fetch_add(1, Ordering::SeqCst), end)) }).await.unwrap()
        };
        assert_eq!((get(3600).await, get(3600).await), (0, 0));
        assert!(renewed.renew());
        assert_eq!((get(30).await, get(3600).await, get(3600).await), (1, 2, 2));
        assert!(renewed.renew() && !renewed.renew());
    }
}
