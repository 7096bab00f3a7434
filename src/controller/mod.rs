//! The operator: watches ModelDeployments and what belongs to them, and makes the cluster what they say.
//!
//! observe -> resolve -> plan -> render -> apply -> status. Deciding is `core`'s; here are the watches, the calls and the wiring.
//! What is watched is kept in stores, so that a reconcile in steady state asks the API server for nothing and writes nothing.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use kube::runtime::controller::{self, Action};
use kube::runtime::{Controller, reflector::ObjectRef};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

mod apply;
mod backoff;
mod covers;
mod fence;
mod health;
mod lease;
mod metrics;
mod observe;
mod probe;
mod reconcile;
mod report;
mod settings;
mod world;

pub use settings::{ControllerError, Settings};

use reconcile::Failed;
use world::{Guarded, Streams, World};

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
    server_image: String,
    recorder: kube::runtime::events::Recorder,
    backoff: backoff::Backoff,
    leads: watch::Receiver<bool>,
    metrics: metrics::Metrics,
}

/// Runs until a signal.
///
/// # Errors
/// When there is no cluster to talk to, it lacks our kind, or the health port is taken.
pub async fn run(settings: Settings) -> Result<(), ControllerError> {
    let metrics = metrics::Metrics::new();
    let fence = fence::Fence::default();
    let client = settings.client(&metrics, &fence).await?;
    let health = health::Health::listen(settings.health_address).await?;
    tokio::select! {
        () = signalled() => return Ok(()),
        found = settings.until_kind(&client) => found?,
    }
    let (stop, stopping) = watch::channel(false);
    let (release, releasing) = watch::channel(false);
    let (leads, mut election) = elect(&client, &settings, fence, releasing);
    let recorder = report::recorder(&client);
    // One set of watches for all namespaces, or for each that is named: a re-list of one must not empty the others' stores.
    let scopes: Vec<Option<&str>> = match settings.namespaces.as_slice() {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    let (mut contexts, mut reconciling) = (Vec::new(), Vec::new());
    for scope in scopes {
        let (world, streams) = World::watch(&client, scope);
        let context = Arc::new(Context {
            recorder: recorder.clone(),
            client: client.clone(),
            world,
            server_image: settings.server_image.clone(),
            backoff: backoff::Backoff::default(),
            leads: leads.clone(),
            metrics: metrics.clone(),
        });
        reconciling.push(reconcile_all(Arc::clone(&context), streams, stopping.clone()));
        contexts.push(context);
    }
    tracing::info!(server_image = settings.server_image, namespaces = ?settings.namespaces, "watching");
    health.ready(move || metrics.text(contexts.iter().map(|context| &context.world), *leads.borrow()));
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
    tracing::info!("stopped");
    Ok(())
}

/// Reconciles what the streams say has changed, until `stopping`.
fn reconcile_all(context: Arc<Context>, streams: Streams, stopping: watch::Receiver<bool>) -> impl Future<Output = ()> + Send {
    let controller = Controller::for_stream(streams.deployments, context.world.reader())
        .with_config(controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .watches_stream(streams.workloads, |object| world::owner_of(&object.metadata))
        .watches_stream(streams.pods, |object| world::owner_of(&object.metadata))
        .watches_stream(streams.services, |object| world::owner_of(&object.metadata))
        .watches_stream(streams.policies, |object| world::owner_of(&object.metadata))
        .watches_stream(streams.budgets, |object| world::owner_of(&object.metadata))
        // Who comes to lead looks at everything once: what changed before was another's to answer.
        .reconcile_all_on(WatchStream::from_changes(context.leads.clone()).map(drop))
        .graceful_shutdown_on(until(stopping));
    controller.run(reconcile::reconcile, on_error, context).for_each(|outcome| async move {
        match outcome {
            Ok((object, _)) => tracing::debug!(object = %object, "reconciled"),
            Err(error) => tracing::debug!(%error, "a reconcile failed; it is tried again"),
        }
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

fn on_error(object: Arc<Guarded>, error: &Failed, context: Arc<Context>) -> Action {
    let reference = ObjectRef::from_obj(object.as_ref());
    let delay = context.backoff.failed(&reference.to_string(), error.step(), error.may_pass());
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
