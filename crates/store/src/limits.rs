//! How much, how long and how often: every bound of fetching in one place, so that a test can shorten it.

use std::time::Duration;

/// The bounds of fetching a model.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one downloaded artefact at most; 16 GiB.
    pub max_artifact_bytes: u64,
    /// Bytes that one archive may unpack to; 32 GiB.
    pub max_unpacked_bytes: u64,
    /// Entries of one archive at most; 10 000.
    pub max_entries: usize,
    /// How many times its own size an archive may unpack to, once past [`Self::ratio_from_bytes`]; 200.
    pub max_ratio: u64,
    /// Unpacked bytes below which the ratio is not asked for: small files may well be all zeros; 64 MiB.
    pub ratio_from_bytes: u64,
    /// Bytes on disk that the cache may hold before the entries unused for longest are removed; 20 GiB.
    pub max_cache_bytes: u64,
    /// How long an entry stays after its last use in any case: another process may be about to read it; 1 h.
    pub in_use: Duration,
    /// How long a store may send no byte, of the head or of the body; 30 s.
    pub stall: Duration,
    /// How long a TCP connection may take to open; 10 s.
    pub connect: Duration,
    /// Requests in a row that bring nothing new before the store counts as unavailable; 6.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each further one; 500 ms.
    pub backoff_first: Duration,
    /// The longest wait; 30 s.
    pub backoff_max: Duration,
    /// The longest `Retry-After` that is honoured; 60 s.
    pub retry_after_max: Duration,
    /// Redirects of one request at most; 5.
    pub redirects: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_artifact_bytes: 16 << 30,
            max_unpacked_bytes: 32 << 30,
            max_entries: 10_000,
            max_ratio: 200,
            ratio_from_bytes: 64 << 20,
            max_cache_bytes: 20 << 30,
            in_use: Duration::from_secs(3600),
            stall: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            attempts: 6,
            backoff_first: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(60),
            redirects: 5,
        }
    }
}

impl Limits {
    /// How long another process that downloads the same may make no visible progress before it counts as stuck: it may be
    /// stalled, waiting to try again, and stalled once more.
    pub(super) fn patience(&self) -> Duration {
        self.stall * 2 + self.backoff_max.max(self.retry_after_max)
    }
}
