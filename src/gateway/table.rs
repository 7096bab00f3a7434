//! Which replicas answer for which model, as one immutable snapshot after another.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::uri::Authority;

/// Models that one message names.
const NAMED: usize = 10;

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
    /// One failed, for this reason, and is started again: requests wait as well.
    Retrying(String),
    /// None is wanted.
    Zero,
    /// None comes up, for this reason.
    Failing(String),
}

impl Absent {
    /// Whether it makes sense to wait.
    pub(super) fn is_coming(&self) -> bool {
        matches!(self, Self::Starting | Self::Retrying(_))
    }
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
    /// Whether requests can be sent here, by the server's rule: no model is on its way, and one that is wanted answers (or none is
    /// wanted). One that fails beside others that answer does not take them down.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.unready().is_none()
    }

    /// Why requests cannot be sent here, should that be so.
    pub(super) fn unready(&self) -> Option<String> {
        let wanted = || self.models.iter().filter(|(_, route)| !route.backends.is_empty() || route.absent != Absent::Zero);
        let waiting = || wanted().filter(|(_, route)| route.backends.is_empty());
        let coming = waiting().any(|(_, route)| route.absent.is_coming());
        let none_answers = wanted().count() > 0 && wanted().all(|(_, route)| route.backends.is_empty());
        if !(self.draining || coming || none_answers) {
            return None;
        }
        let mut why: Vec<String> = waiting()
            .take(NAMED)
            .map(|(name, route)| match &route.absent {
                Absent::Failing(why) => format!("model '{name}' fails: {why}"),
                Absent::Retrying(why) => format!("model '{name}' is on its way again after it failed: {why}"),
                Absent::Starting | Absent::Zero => format!("model '{name}' is on its way"),
            })
            .collect();
        if waiting().count() > NAMED {
            why.push("...".to_owned());
        }
        if self.draining {
            why.push("the gateway is on its way out".to_owned());
        }
        Some(format!("not ready: {}", why.join(", ")))
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
        let mut names: Vec<&str> = self.models.keys().take(NAMED).map(String::as_str).collect();
        if self.models.len() > names.len() {
            names.push("...");
        }
        if names.is_empty() { "no model".to_owned() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_takes_nobody_down_and_one_on_its_way_is_waited_for() {
        let good = || (vec![Arc::new(Backend::new(SocketAddr::from(([127, 0, 0, 1], 1))))], Absent::Starting);
        let failing = || (vec![], Absent::Failing("no such file".to_owned()));
        let (starting, zero) = (|| (vec![], Absent::Starting), || (vec![], Absent::Zero));
        let retrying = || (vec![], Absent::Retrying("no answer".to_owned()));
        let unready = |routes: Vec<(Vec<Arc<Backend>>, Absent)>, draining: bool| {
            let route = |(backends, absent)| Route {
                deployment: "d".into(),
                version: None,
                backends,
                absent,
                timeout: Duration::ZERO,
                max_request_bytes: 0,
            };
            let models = routes.into_iter().zip('a'..).map(|(one, name)| (name.to_string(), route(one))).collect();
            Table { models, draining }.unready()
        };
        for routes in [vec![], vec![zero()], vec![good()], vec![good(), failing()], vec![good(), zero()]] {
            assert_eq!(unready(routes, false), None);
        }
        for (routes, words) in [
            (vec![failing()], "not ready: model 'a' fails: no such file"),
            (vec![failing(), zero()], "model 'a' fails"),
            (vec![good(), starting()], "not ready: model 'b' is on its way"),
            (vec![good(), retrying()], "not ready: model 'b' is on its way again after it failed: no answer"),
        ] {
            assert!(unready(routes, false).unwrap().contains(words), "{words}");
        }
        assert_eq!(unready(vec![good()], true).unwrap(), "not ready: the gateway is on its way out");
    }
}
