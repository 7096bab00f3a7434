//! The operator: watches ModelDeployments and what belongs to them, and makes the cluster what they say.
//!
//! observe -> resolve -> plan -> render -> apply -> status. Deciding is `core`'s; here are the watches, the calls and the wiring.
//! What is watched is kept in stores, so that a reconcile in steady state asks the API server for nothing and writes nothing.

use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use kube::runtime::controller::{self, Action};
use kube::runtime::{Controller, reflector::ObjectRef};
use modelyard_telemetry::logs::Levels;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, WatchStream};

mod apply;
mod backoff;
mod bell;
mod covers;
mod events;
mod fence;
mod following;
mod health;
mod kept;
mod lease;
mod metrics;
mod observe;
mod pace;
mod pinning;
mod probe;
mod probes;
mod queue;
mod reconcile;
mod report;
mod settings;
mod shelf;
mod slim;
mod traces;
mod upgrades;
mod world;
mod written;

pub use settings::{ControllerError, Settings};

use kept::Kept;
use reconcile::Failed;
use world::{Streams, World};

/// How long what is being reconciled may take when the operator ends.
const LAST_RECONCILES: std::time::Duration = std::time::Duration::from_secs(5);

/// Changes of one object that come within this time make one reconcile.
const DEBOUNCE: std::time::Duration = std::time::Duration::from_millis(100);

/// Reconciles at once, of different objects.
const CONCURRENCY: u16 = 16;

/// What every reconcile needs.
struct Context {
    client: kube::Client,
    world: World,
    probes: probes::Probes,
    queue: queue::Queue,
    pace: pace::Pace,
    server_image: String,
    server_image_ort: String,
    upgrades: upgrades::Upgrades,
    events: Arc<events::Events>,
    untaken: report::Untaken,
    written: written::Written,
    backoff: backoff::Backoff,
    leads: watch::Receiver<bool>,
    metrics: metrics::Metrics,
    traces: traces::Traces,
}

impl Context {
    /// The object is gone, or on its way out.
    fn forget(&self, object: &ObjectRef<Kept>) {
        self.backoff.forget(&object.to_string());
        self.probes.forget(object);
        self.pace.forget(object);
        self.written.forget(object);
        self.upgrades.ended(object);
    }
}

/// Runs until a signal. `levels` are those of the log.
///
/// # Errors
/// When there is no cluster to talk to, it lacks our kind, the health port is taken, or the collector's settings are wrong.
pub async fn run(settings: Settings, levels: Levels) -> Result<(), ControllerError> {
    let metrics = metrics::Metrics::new();
    let traces = traces::Traces::from_environment().map_err(ControllerError::Traces)?;
    let fence = fence::Fence::default();
    let client = settings.client(&metrics, &fence).await?;
    let health = health::Health::listen(settings.health_address, Arc::new(levels)).await?;
    tokio::select! {
        () = signalled() => return Ok(()),
        found = settings.until_kind(&client) => found?,
    }
    let (stop, stopping) = watch::channel(false);
    let (release, releasing) = watch::channel(false);
    let (leads, mut election) = elect(&client, &settings, fence, releasing);
    let events = Arc::new(events::Events::new(&client));
    // One set of watches for all namespaces, or for each that is named: a re-list of one must not empty the others' stores.
    let scopes: Vec<Option<&str>> = match settings.namespaces.as_slice() {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    let (mut contexts, mut reconciling) = (Vec::new(), Vec::new());
    for scope in scopes {
        let (world, streams) = World::watch(&client, scope);
        let (probes, woken) = probes::Probes::new();
        let context = Arc::new(Context {
            events: Arc::clone(&events),
            untaken: report::Untaken::default(),
            written: written::Written::default(),
            client: client.clone(),
            world,
            probes,
            queue: queue::Queue::default(),
            pace: pace::Pace::default(),
            server_image: settings.server_image.clone(),
            server_image_ort: settings.server_image_ort.clone(),
            upgrades: upgrades::Upgrades::new(settings.server_upgrade),
            backoff: backoff::Backoff::default(),
            leads: leads.clone(),
            metrics: metrics.clone(),
            traces: traces.clone(),
        });
        reconciling.push(reconcile_all(Arc::clone(&context), streams, woken, stopping.clone()));
        contexts.push(context);
    }
    tracing::info!(
        server_image = settings.server_image,
        server_image_ort = settings.server_image_ort,
        server_upgrade = ?settings.server_upgrade,
        namespaces = ?settings.namespaces,
        "watching"
    );
    health.ready(move || {
        metrics.text(contexts.iter().map(|context| (&context.world, &context.untaken, &context.queue)), *leads.borrow())
    });
    let mut ended = tokio::spawn(join_all(reconciling));
    tokio::select! {
        () = signalled() => {}
        // Whoever supervises this process starts it again; one that goes on without them would look well and do nothing.
        _ = &mut election => return Err(ControllerError::Broken("election")),
        _ = &mut ended => return Err(ControllerError::Broken("reconciling")),
    }
    // What is being reconciled is finished before another may begin.
    stop.send_replace(true);
    let finished = tokio::time::timeout(LAST_RECONCILES, ended).await;
    if finished.is_err() {
        tracing::warn!("reconciles are cut short");
    }
    release.send_replace(true);
    if election.await.is_err() {
        tracing::warn!("the election broke off at the end; the lease expires");
    }
    traces.finish().await;
    tracing::info!("stopped");
    Ok(())
}

/// Reconciles what the streams say has changed, until `stopping`.
fn reconcile_all(
    context: Arc<Context>,
    streams: Streams,
    woken: mpsc::Receiver<ObjectRef<Kept>>,
    stopping: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send {
    let queued = |context: &Arc<Context>| {
        let context = Arc::clone(context);
        move |object: &ObjectRef<Kept>| context.queue.enter(object)
    };
    let own = queued(&context);
    let own = streams.deployments.inspect(move |object| own(&ObjectRef::from_obj(object))).map(Ok);
    // Who comes to lead looks at everything once: what changed before was another's to answer.
    let reader = context.world.reader();
    let leads = WatchStream::from_changes(context.leads.clone())
        .flat_map(move |_| stream::iter(reader.state()).map(|object| ObjectRef::from_obj(object.as_ref())));
    let others = stream::select(stream::select(streams.children, ReceiverStream::new(woken)), leads);
    let controller = Controller::for_stream(own, context.world.reader())
        .with_config(controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .reconcile_on(others.inspect(queued(&context)))
        .graceful_shutdown_on(until(stopping));
    controller.run(reconcile::reconcile, on_error, Arc::clone(&context)).for_each(move |outcome| {
        match outcome {
            Ok((object, _)) => tracing::debug!(object = %object, "reconciled"),
            Err(controller::Error::ObjectNotFound(gone)) => {
                let gone = ObjectRef::new(&gone.name).within(gone.namespace.as_deref().unwrap_or_default());
                context.queue.leave(&gone);
                context.forget(&gone);
            }
            // Said where it happened.
            Err(error) => tracing::debug!(%error, "a reconcile failed; it is tried again"),
        }
        std::future::ready(())
    })
}

type Election = tokio::task::JoinHandle<()>;

/// Leads at once where the operator runs alone, outside of a cluster; else by the Lease of its namespace.
fn elect(
    client: &kube::Client,
    settings: &Settings,
    fence: fence::Fence,
    releasing: watch::Receiver<bool>,
) -> (watch::Receiver<bool>, Election) {
    let Some(namespace) = &settings.lease_namespace else {
        tracing::warn!("no POD_NAMESPACE: no lease is held, so run only one operator");
        fence.open_always();
        let (sender, leads) = watch::channel(true);
        let election = tokio::spawn(async move {
            until(releasing).await;
            drop(sender);
        });
        return (leads, election);
    };
    let candidate = lease::Candidate::new(client, namespace, settings.identity.clone(), fence);
    let leads = candidate.leads();
    (leads, tokio::spawn(candidate.run(until(releasing))))
}

fn on_error(object: Arc<Kept>, error: &Failed, context: Arc<Context>) -> Action {
    let reference = ObjectRef::from_obj(object.as_ref());
    let delay = context.backoff.failed(&reference.to_string(), error.step(), error.blame());
    tracing::warn!(object = %reference, %error, ?delay, "cannot reconcile; trying again");
    Action::requeue(delay)
}

/// Ends when the flag is set.
async fn until(mut flag: watch::Receiver<bool>) {
    // A sender that is gone has ended as well.
    let _ = flag.wait_for(|set| *set).await;
}

/// Ends with SIGTERM or SIGINT.
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be handled; this process ends when it is killed");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
