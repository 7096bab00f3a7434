//! One deployment from what is wanted to what is: observe, resolve, plan, render, apply, status.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use modelyard_core::api::{Class, Failure, ModelDeploymentStatus, Reason};
use modelyard_core::plan::{Observed, Plan, RevisionObserved, plan};
use modelyard_core::render::{CONTAINER, DEPLOYMENT_LABEL, Owner, REVISION_LABEL, render};
use modelyard_core::resolve::{Invalid, Resolved, resolve};
use modelyard_core::status::{Situation, status};

use super::apply::{ApplyError, Target};
use super::backoff::may_pass;
use super::observe::{Seen, observe};
use super::report::Report;
use super::world::Guarded;
use super::{Context, report};

/// An API server that keeps a reconcile this long is asked again later.
const PATIENCE: Duration = Duration::from_secs(60);

/// While replicas start, what they say of themselves is asked again this often.
const STARTING: Duration = Duration::from_secs(3);

/// While somebody else's object has a name that is needed, it is asked again this often.
const FOREIGN: Duration = Duration::from_secs(10);

/// Why a reconcile is to be tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The stores are gone: the process is on its way out.
    #[error("the watches have ended")]
    NoWatch,
    /// The API server does not answer.
    #[error("the API server took longer than {PATIENCE:?}")]
    Slow,
    /// Objects could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The status or an event could not be written.
    #[error("cannot write the status: {0}")]
    Status(#[source] Box<kube::Error>),
}

impl Failed {
    /// What failed.
    pub(super) fn step(&self) -> &str {
        match self {
            Self::NoWatch => "the stores",
            Self::Slow => "time",
            Self::Apply(ApplyError::Refused { message, .. }) => message,
            Self::Apply(ApplyError::Call { object, .. }) => object,
            Self::Status(_) => "the status",
        }
    }

    /// Whether the API server is at fault, not the object.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::NoWatch | Self::Apply(ApplyError::Refused { .. }) => false,
            Self::Slow => true,
            Self::Apply(ApplyError::Call { source, .. }) | Self::Status(source) => may_pass(source),
        }
    }
}

/// Reconciles one object, if this operator leads and as long as it does.
pub(super) async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Failed> {
    if !*context.leads.borrow() {
        return Ok(Action::await_change());
    }
    let begun = std::time::Instant::now();
    let mut leads = context.leads.clone();
    let outcome = tokio::select! {
        biased;
        // Who leads next looks at every object.
        _ = leads.wait_for(|leads| !leads) => return Ok(Action::await_change()),
        outcome = tokio::time::timeout(PATIENCE, carry_out(object, Arc::clone(&context))) => outcome.unwrap_or(Err(Failed::Slow)),
    };
    context.metrics.reconciled(begun.elapsed(), outcome.is_ok());
    outcome
}

async fn carry_out(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Failed> {
    context.world.complete().await.map_err(|_| Failed::NoWatch)?;
    let meta = object.meta();
    let reference = ObjectRef::from_obj(object.as_ref()).to_string();
    let (Some(namespace), Some(name), Some(uid)) = (&meta.namespace, &meta.name, &meta.uid) else {
        return Ok(Action::await_change());
    };
    if meta.deletion_timestamp.is_some() {
        // The garbage collector takes what it owned.
        context.backoff.forget(&reference);
        return Ok(Action::await_change());
    }
    let now = Timestamp::now();
    let mut seen = observe(&context.world, (namespace, name, uid), now).await;
    let (previous, resolved) = match &object.0 {
        Ok(object) => (object.status.as_ref(), resolve(object)),
        Err(unreadable) => (None, Err(Invalid { field: "spec".to_owned(), message: unreadable.error.clone() })),
    };
    let deployment = Deployment { context: &context, namespace, name, uid, meta };
    let (planned, applied) = match &resolved {
        Ok(resolved) => {
            let plan = plan(resolved, &seen.observed, now);
            let applied = if resolved.paused { Ok(()) } else { deployment.apply(resolved, &plan, &mut seen, now).await };
            (Ok((resolved, plan)), applied)
        }
        Err(invalid) => (Err(invalid), Ok(())),
    };
    let told =
        deployment.tell(planned.as_ref().map(|(resolved, plan)| (*resolved, plan)).map_err(|one| *one), &seen.observed, previous);
    Report {
        client: &context.client,
        recorder: &context.recorder,
        namespace,
        name,
        reference: report::reference(object.as_ref()),
        readable: object.0.is_ok(),
    }
    .tell(previous, &told)
    .await
    .map_err(|error| Failed::Status(Box::new(error)))?;
    match applied {
        // What is not ours is not watched: that it went has to be asked for.
        Err(ApplyError::Refused { reason: Reason::NameConflict, .. }) => return Ok(Action::requeue(FOREIGN)),
        Err(ApplyError::Refused { reason, .. }) if reason.class() == Class::User => {}
        Err(error) => return Err(error.into()),
        Ok(()) => context.backoff.forget(&reference),
    }
    Ok(next(planned.ok().map(|(_, plan)| plan).as_ref(), &seen.observed, now))
}

/// When to look again although nothing is seen to change.
fn next(plan: Option<&Plan>, observed: &Observed, now: Timestamp) -> Action {
    let starting = observed.revisions.iter().any(|one| one.ready < one.running && one.progress.is_some());
    let planned = plan.and_then(|plan| plan.wake_at).map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
    match [starting.then_some(STARTING), planned].into_iter().flatten().min() {
        Some(delay) => Action::requeue(delay),
        None => Action::await_change(),
    }
}

/// The object that is reconciled.
struct Deployment<'a> {
    context: &'a Context,
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
    meta: &'a ObjectMeta,
}

impl Deployment<'_> {
    /// Applies the plan. A refusal becomes the failure of the spec's revision as well.
    async fn apply(&self, resolved: &Resolved, plan: &Plan, seen: &mut Seen, now: Timestamp) -> Result<(), ApplyError> {
        let image = resolved.server_image.clone().or_else(|| image_of(seen, &resolved.revision));
        let image = image.unwrap_or_else(|| self.context.server_image.clone());
        let owner = Owner { namespace: self.namespace, uid: self.uid, server_image: &image };
        let target =
            Target { client: &self.context.client, world: &self.context.world, namespace: self.namespace, uid: self.uid };
        let objects = render(resolved, plan, owner, resolved.history);
        let Err(error) = target.apply(objects, seen).await else { return Ok(()) };
        if let ApplyError::Refused { reason, message } = &error {
            let failure = Failure { reason: *reason, message: message.clone(), pod: None, exit_code: None, at: Time(now) };
            let revisions = &mut seen.observed.revisions;
            match revisions.iter_mut().find(|one| one.revision == resolved.revision) {
                Some(revision) => revision.failure = Some(failure),
                None => {
                    let mut revision = RevisionObserved::new(resolved.revision.clone(), now);
                    (revision.version, revision.failure) = (resolved.version, Some(failure));
                    revisions.push(revision);
                }
            }
        }
        Err(error)
    }

    fn tell(
        &self,
        wanted: Result<(&Resolved, &Plan), &Invalid>,
        observed: &Observed,
        previous: Option<&ModelDeploymentStatus>,
    ) -> ModelDeploymentStatus {
        status(&Situation {
            wanted,
            generation: self.meta.generation,
            observed,
            previous,
            url: Some(&format!("http://{}.{}.svc", self.name, self.namespace)),
            selector: Some(&format!("{DEPLOYMENT_LABEL}={}", self.name)),
            now: Timestamp::now(),
        })
    }
}

/// The image that a revision was made with: a new release of the operator does not change it.
fn image_of(seen: &Seen, revision: &str) -> Option<String> {
    let workload = seen.workloads.iter().find(|one| {
        one.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_LABEL)).map(String::as_str) == Some(revision)
    })?;
    let pod = workload.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.iter().find(|container| container.name == CONTAINER)?.image.clone()
}
