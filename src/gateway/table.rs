//! Which replicas answer for which model, as one immutable snapshot after another.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::uri::Authority;

/// Every model that is deployed, by the name in URLs.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The models.
    pub models: BTreeMap<String, Route>,
    /// Set once the gateway is to stop: readiness says so, requests are served still.
    pub draining: bool,
}

/// Who answers for one model.
#[derive(Clone, Debug)]
pub struct Route {
    /// The deployment that the model belongs to; models of one deployment share their replicas.
    pub deployment: Arc<str>,
    /// The model's version, where it is known.
    pub version: Option<i64>,
    /// Replicas that answer.
    pub backends: Vec<Arc<Backend>>,
    /// What to say while there is none.
    pub absent: Absent,
    /// How long a replica lets a request take.
    pub timeout: Duration,
    /// Bytes of one request's body that a replica takes at most.
    pub max_request_bytes: u64,
}

/// Why a model has no replica that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// One is on its way: requests wait a little.
    Starting,
    /// None is wanted.
    Zero,
    /// None comes up, for this reason.
    Failing(String),
}

/// One replica.
#[derive(Debug)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    authority: Authority,
    in_flight: AtomicUsize,
}

impl Backend {
    /// The replica that listens on `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let authority = Authority::try_from(address.to_string()).unwrap_or_else(|_| Authority::from_static("localhost"));
        Self { address, authority, in_flight: AtomicUsize::new(0) }
    }

    pub(super) const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Requests that it has and has not answered to the end.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts one request until the lease is dropped.
    pub(super) fn lease(self: &Arc<Self>) -> Lease {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Lease(Arc::clone(self))
    }
}

/// One request in flight.
pub(super) struct Lease(pub(super) Arc<Backend>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Table {
    /// Whether every model that is wanted has a replica that answers.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.draining && self.models.values().all(|route| !route.backends.is_empty() || route.absent == Absent::Zero)
    }

    /// The replicas of each deployment that has any, once.
    pub(super) fn deployments(&self) -> Vec<&Route> {
        let mut found: Vec<&Route> = Vec::new();
        for route in self.models.values().filter(|route| !route.backends.is_empty()) {
            if found.iter().all(|other| other.deployment != route.deployment) {
                found.push(route);
            }
        }
        found
    }

    /// The names of the models for a message.
    pub(super) fn names(&self) -> String {
        let mut names: Vec<&str> = self.models.keys().take(10).map(String::as_str).collect();
        if self.models.len() > names.len() {
            names.push("...");
        }
        if names.is_empty() { "no model".to_owned() } else { names.join(", ") }
    }
}
