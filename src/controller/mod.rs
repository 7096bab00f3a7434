//! The operator: watches ModelDeployments and what belongs to them, and makes the cluster what they say.
//!
//! observe -> resolve -> plan -> render -> apply -> status. Deciding is `core`'s; here are the watches, the calls and the wiring.
//! What is watched is kept in stores, so that a reconcile in steady state asks the API server for nothing and writes nothing.

use std::sync::Arc;

use futures_util::StreamExt;
use kube::runtime::controller::{self, Action};
use kube::runtime::{Controller, reflector::ObjectRef};

mod apply;
mod backoff;
mod covers;
mod health;
mod observe;
mod probe;
mod reconcile;
mod report;
mod settings;
mod world;

pub use settings::{ControllerError, Settings};

use reconcile::Failed;
use world::{Guarded, World};

/// Reconciles at once, of different objects.
const CONCURRENCY: u16 = 16;

/// What every reconcile needs.
struct Context {
    client: kube::Client,
    world: World,
    server_image: String,
    recorder: kube::runtime::events::Recorder,
    backoff: backoff::Backoff,
}

/// Runs until a signal.
///
/// # Errors
/// When there is no cluster to talk to, it lacks our kind, or the health port is taken.
pub async fn run(settings: Settings) -> Result<(), ControllerError> {
    let client = settings.client().await?;
    settings.check_kind(&client).await?;
    let health = health::Health::listen(settings.health_address).await?;
    let (world, streams) = World::watch(&client, &settings);
    let context = Arc::new(Context {
        recorder: report::recorder(&client),
        client,
        world,
        server_image: settings.server_image.clone(),
        backoff: backoff::Backoff::default(),
    });
    tracing::info!(server_image = %context.server_image, "watching");
    let controller = Controller::for_stream(streams.deployments, context.world.reader())
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .watches_stream(streams.workloads, |object| world::owner_of(&object.metadata))
        .watches_stream(streams.pods, |object| world::owner_of(&object.metadata))
        .watches_stream(streams.services, |object| world::owner_of(&object.metadata))
        .watches_stream(streams.policies, |object| world::owner_of(&object.metadata))
        .watches_stream(streams.budgets, |object| world::owner_of(&object.metadata))
        .graceful_shutdown_on(signalled());
    health.ready();
    controller
        .run(reconcile::reconcile, on_error, Arc::clone(&context))
        .for_each(|outcome| async move {
            match outcome {
                Ok((object, _)) => tracing::debug!(object = %object, "reconciled"),
                Err(error) => tracing::debug!(%error, "a reconcile failed; it is tried again"),
            }
        })
        .await;
    tracing::info!("stopped");
    Ok(())
}

fn on_error(object: Arc<Guarded>, error: &Failed, context: Arc<Context>) -> Action {
    let reference = ObjectRef::from_obj(object.as_ref());
    let delay = context.backoff.failed(&reference.to_string());
    tracing::warn!(object = %reference, %error, ?delay, "cannot reconcile; trying again");
    Action::requeue(delay)
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
