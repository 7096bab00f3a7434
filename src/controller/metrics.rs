//! What the operator tells Prometheus: who waits for a reconcile, how long reconciles take and how they end, its calls of the API
//! server, the objects by reason, and whether it leads.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use kube::client::Body;
use modelyard_core::api::Reason;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tower::{Layer, Service};

use super::queue::Queue;
use super::report::Untaken;
use super::world::World;

/// Seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    verb: String,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
    reason: &'static str,
}

/// The operator's figures.
#[derive(Clone)]
pub(super) struct Metrics {
    registry: Arc<Mutex<Registry>>,
    reconciles: Family<Outcome, Histogram, fn() -> Histogram>,
    ended: Family<Ended, Counter>,
    waits: Histogram,
    depth: Gauge,
    oldest: Gauge<f64, AtomicU64>,
    calls: Family<Call, Counter>,
    objects: Family<ByReason, Gauge>,
    leader: Gauge<i64, std::sync::atomic::AtomicI64>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("modelyard_controller");
        let reconciles = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let (calls, objects, leader) = (Family::default(), Family::default(), Gauge::default());
        let (ended, waits) = (Family::<Ended, Counter>::default(), Histogram::new(SECONDS));
        let (depth, oldest) = (Gauge::default(), Gauge::<f64, AtomicU64>::default());
        registry.register_with_unit(
            "reconcile_duration",
            "Reconciles of one object, by how they ended",
            Unit::Seconds,
            reconciles.clone(),
        );
        registry.register(
            "reconciles",
            "Reconciles by how they ended: with the reason of the Ready condition that they came to, or with what broke them off",
            Family::clone(&ended),
        );
        registry.register_with_unit(
            "queue_wait",
            "From the first change of an object until it is reconciled",
            Unit::Seconds,
            waits.clone(),
        );
        registry.register("queue_depth", "Objects that changed and wait for a reconcile", Gauge::clone(&depth));
        registry.register_with_unit(
            "queue_oldest",
            "How long the first of those has waited",
            Unit::Seconds,
            Gauge::clone(&oldest),
        );
        registry.register("api_requests", "Calls of the API server, by verb and status", Family::clone(&calls));
        registry.register(
            "objects",
            "ModelDeployments by the reason of their Ready condition; told by the leader alone",
            Family::clone(&objects),
        );
        registry.register("leader", "Whether this operator writes", Gauge::clone(&leader));
        Self { registry: Arc::new(Mutex::new(registry)), reconciles, ended, waits, depth, oldest, calls, objects, leader }
    }

    /// A reconcile ended after `took`, of an object that had `waited` for it, if it was for a change.
    pub(super) fn reconciled(&self, took: Duration, waited: Option<Duration>, well: bool, reason: &'static str) {
        let outcome = if well { "success" } else { "error" };
        self.reconciles.get_or_create(&Outcome { outcome }).observe(took.as_secs_f64());
        self.ended.get_or_create(&Ended { outcome, reason }).inc();
        if let Some(waited) = waited {
            self.waits.observe(waited.as_secs_f64());
        }
    }

    /// The text of a scrape, in OpenMetrics' format.
    pub(super) fn text<'a>(&self, parts: impl Iterator<Item = (&'a World, &'a Untaken, &'a Queue)>, leads: bool) -> String {
        self.leader.set(i64::from(leads));
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        let (mut depth, mut oldest) = (0, Duration::ZERO);
        for (world, untaken, queue) in parts {
            let (waiting, since) = queue.state();
            (depth, oldest) = (depth + waiting, oldest.max(since));
            if leads {
                world.reasons(untaken).for_each(|reason| *counts.entry(reason).or_default() += 1);
            }
        }
        self.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        self.oldest.set(oldest.as_secs_f64());
        self.objects.clear();
        for (reason, count) in counts {
            self.objects.get_or_create(&ByReason { reason }).set(count);
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry.lock());
        text
    }

    /// What counts the calls of a client.
    pub(super) fn counting(&self) -> Counting {
        Counting { calls: Family::clone(&self.calls) }
    }
}

/// The name of a reason in a label; one that is not known is not told by name, which bounds the labels.
pub(super) fn known(reason: &str) -> &'static str {
    Reason::ALL.iter().find(|one| one.as_str() == reason).map_or("Unknown", |one| one.as_str())
}

/// Counts calls on their way.
#[derive(Clone)]
pub(super) struct Counting {
    calls: Family<Call, Counter<u64, AtomicU64>>,
}

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, calls: Family::clone(&self.calls) }
    }
}

/// A client whose calls are counted.
#[derive(Clone)]
pub(super) struct Counted<S> {
    inner: S,
    calls: Family<Call, Counter<u64, AtomicU64>>,
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let verb = if watches { "watch".to_owned() } else { request.method().as_str().to_ascii_lowercase() };
        let (answer, calls) = (self.inner.call(request), Family::clone(&self.calls));
        Box::pin(async move {
            let outcome = answer.await;
            // Without an answer there is no status: 0.
            let code = outcome.as_ref().map_or(0, |response| response.status().as_u16());
            calls.get_or_create(&Call { verb, code }).inc();
            outcome
        })
    }
}
