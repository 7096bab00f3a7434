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
use modelyard_core::release::{as_it_runs, is_made_like, is_rolled_out, take_over};
use modelyard_core::render::{CONFIG_ANNOTATION, DEPLOYMENT_LABEL, Owner, PINS_ANNOTATION, render};
use modelyard_core::resolve::{Invalid, Resolved, resolve};
use modelyard_core::status::{Situation, status};

use super::apply::{ApplyError, Target};
use super::backoff::Blame;
use super::kept::Kept;
use super::metrics::known;
use super::observe::{Look, Seen, revision, workloads};
use super::probes::SOON;
use super::report::{Report, Told, verdict};
use super::shelf::owner_key;
use super::traces::Reconciling;
use super::upgrades::{self, Turn};
use super::{Context, report};

/// An API server that keeps a reconcile this long is asked again later.
const PATIENCE: Duration = Duration::from_secs(60);

/// While somebody else's object has a name that is needed, it is asked again this often.
const FOREIGN: Duration = Duration::from_secs(10);

/// While the API server cannot take a status, it is offered again this often: another definition of the kind may have come.
const UNTAKEN: Duration = Duration::from_secs(300);

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
    /// Its name as a label.
    const fn label(&self) -> &'static str {
        match self {
            Self::NoWatch => "NoWatch",
            Self::Slow => "Slow",
            Self::Apply(ApplyError::Refused { reason, .. }) => reason.as_str(),
            Self::Apply(ApplyError::Ending | ApplyError::Call { .. }) => "ApplyFailed",
            Self::Status(_) => "StatusFailed",
        }
    }

    /// What failed.
    pub(super) fn step(&self) -> &str {
        match self {
            Self::NoWatch => "the stores",
            Self::Slow => "time",
            Self::Apply(ApplyError::Refused { message, .. }) => message,
            Self::Apply(ApplyError::Ending) => "the namespace",
            Self::Apply(ApplyError::Call { object, .. }) => object,
            Self::Status(_) => "the status",
        }
    }

    /// Whose fault it is.
    pub(super) fn blame(&self) -> Blame {
        match self {
            Self::NoWatch | Self::Apply(ApplyError::Refused { .. } | ApplyError::Ending) => Blame::Object,
            Self::Slow => Blame::Server,
            Self::Apply(ApplyError::Call { source, .. }) | Self::Status(source) => Blame::of(source),
        }
    }
}

/// Reconciles one object, if this operator leads and as long as it does.
pub(super) async fn reconcile(object: Arc<Kept>, context: Arc<Context>) -> Result<Action, Failed> {
    let waited = context.queue.leave(&ObjectRef::from_obj(object.as_ref()));
    if !*context.leads.borrow() {
        return Ok(Action::await_change());
    }
    if !context.world.is_complete().await {
        return Err(Failed::NoWatch);
    }
    let (begun, trace) = (std::time::Instant::now(), context.traces.begin(&ObjectRef::from_obj(object.as_ref())));
    let mut leads = context.leads.clone();
    let outcome = tokio::select! {
        biased;
        // Who leads next looks at every object.
        _ = leads.wait_for(|leads| !leads) => return Ok(Action::await_change()),
        outcome = tokio::time::timeout(PATIENCE, carry_out(&object, &context, &trace)) => outcome.unwrap_or(Err(Failed::Slow)),
    };
    let (well, reason) = outcome.as_ref().map_or_else(|failed| (false, failed.label()), |done| (true, done.reason));
    trace.end(well, reason);
    context.metrics.reconciled(begun.elapsed(), waited, well, reason);
    outcome.map(|done| done.next)
}

/// A reconcile that went well.
struct Done {
    /// When to look again.
    next: Action,
    /// The reason of `Ready` that it came to.
    reason: &'static str,
}

impl Done {
    /// Nothing to do for an object that is on its way out.
    fn leaving() -> Self {
        Self { next: Action::await_change(), reason: "Leaving" }
    }
}

async fn carry_out(kept: &Kept, context: &Context, trace: &Reconciling) -> Result<Done, Failed> {
    let owner = ObjectRef::from_obj(kept);
    let (object, key, reference) = (kept.read(), owner_key(&owner), owner.to_string());
    let meta = object.meta();
    let (Some(namespace), Some(name), Some(uid)) = (&meta.namespace, &meta.name, &meta.uid) else {
        return Ok(Done::leaving());
    };
    if meta.deletion_timestamp.is_some() {
        // The garbage collector takes what it owned.
        context.forget(&owner);
        context.untaken.forget(uid);
        return Ok(Done::leaving());
    }
    let now = Timestamp::now();
    let mut status = context.untaken.of(uid);
    let untaken = status.is_some();
    let stored = meta.resource_version.as_deref().unwrap_or_default();
    let newest = context.written.newest(&owner, stored);
    let version = newest.as_ref().map_or(stored, |newest| &newest.version);
    let newest = newest.as_ref().map(|newest| &newest.status);
    let (previous, resolved) = match &object.0 {
        Ok(object) => (status.as_ref().or(newest).or(object.status.as_ref()), resolve(object)),
        Err(unreadable) => {
            // Only the spec may be what does not parse.
            status = status.or_else(|| newest.cloned()).or_else(|| kept.status());
            (status.as_ref(), Err(Invalid { field: "spec".to_owned(), message: unreadable.error.clone() }))
        }
    };
    let step = trace.step("observe");
    let workloads = workloads(&context.world, &owner, uid);
    let resolved = resolved.map(|resolved| as_it_runs(resolved, |name| replicas_of(&workloads, name)));
    let (world, probes) = (&context.world, &context.probes);
    let mut seen = Look { world, probes, owner: &owner, resolved: resolved.as_ref().ok(), previous, now }.observe(workloads);
    drop(step);
    let contested = previous.and_then(verdict).is_some_and(|(reason, _)| reason == Reason::NameConflict.as_str());
    let deployment = Deployment { context, namespace, name, uid, meta, key: &key, contested };
    let step = trace.step("apply");
    let (planned, applied) = match &resolved {
        Ok(resolved) => {
            let plan = plan(resolved, &seen.observed, now);
            let applied = if resolved.paused {
                context.upgrades.ended(&deployment.reference());
                Ok(None)
            } else {
                deployment.apply(resolved, &plan, &mut seen, now).await
            };
            (Ok((resolved, plan)), applied)
        }
        Err(invalid) => (Err(invalid), Ok(None)),
    };
    drop(step);
    if matches!(applied, Err(ApplyError::Ending)) {
        tracing::debug!(namespace, name, "the namespace is being deleted");
        return Ok(Done::leaving());
    }
    let told =
        deployment.tell(planned.as_ref().map(|(resolved, plan)| (*resolved, plan)).map_err(|one| *one), &seen.observed, previous);
    let reason = verdict(&told).map_or("Unknown", |(reason, _)| known(reason));
    let report = Report {
        client: &context.client,
        events: &context.events,
        namespace,
        name,
        reference: report::reference(&object),
        version,
        written: &context.written,
        untaken,
    };
    // What a server has to say may be all the difference; it comes in a moment.
    let mut held = if seen.waiting { Some(SOON) } else { context.pace.wait(&owner, previous, &told) };
    if held.is_none() {
        let _step = trace.step("report");
        let outcome = report.tell(previous, &told).await.map_err(|error| Failed::Status(Box::new(error)))?;
        match outcome {
            Told::Unchanged => {}
            Told::Written => context.untaken.forget(uid),
            Told::Untakeable => {
                context.untaken.keep(uid, told, &context.world.reader());
                held = Some(UNTAKEN);
            }
        }
    }
    let turn_comes = match applied {
        // What is not ours is not watched: that it went has to be asked for.
        Err(ApplyError::Refused { reason: Reason::NameConflict, .. }) => {
            return Ok(Done { next: Action::requeue(FOREIGN), reason });
        }
        Err(ApplyError::Refused { reason, .. }) if reason.class() == Class::User => None,
        Err(error) => return Err(error.into()),
        Ok(turn_comes) => {
            context.backoff.forget(&reference);
            turn_comes
        }
    };
    let again = [held, turn_comes, seen.unheard.then_some(SOON), seen.again].into_iter().flatten().min();
    Ok(Done { next: next(planned.ok().map(|(_, plan)| plan).as_ref(), &seen.observed, again, now), reason })
}

/// When to look again although nothing is seen to change. `again`: when what was not told may be, or a turn may come.
fn next(plan: Option<&Plan>, observed: &Observed, again: Option<Duration>, now: Timestamp) -> Action {
    let starting = observed.revisions.iter().any(|one| one.ready < one.running && one.progress.is_some());
    let planned = plan.and_then(|plan| plan.wake_at).map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
    match [starting.then_some(SOON), planned, again].into_iter().flatten().min() {
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
    key: &'a str,
    contested: bool,
}

impl Deployment<'_> {
    fn reference(&self) -> ObjectRef<Kept> {
        ObjectRef::new(self.name).within(self.namespace)
    }

    /// Applies the plan. A refusal becomes the failure of the spec's revision as well. Says when to come again, where its servers
    /// are to be replaced and it is not its turn.
    async fn apply(
        &self,
        resolved: &Resolved,
        plan: &Plan,
        seen: &mut Seen,
        now: Timestamp,
    ) -> Result<Option<Duration>, ApplyError> {
        let (context, reference) = (self.context, self.reference());
        let own = if resolved.needs_onnx_runtime() { &context.server_image_ort } else { &context.server_image };
        let newest = resolved.server_image.as_ref().unwrap_or(own);
        let pins = std::mem::take(&mut seen.pins);
        let rendered = |image: &str| {
            let owner = Owner { namespace: self.namespace, uid: self.uid, server_image: image };
            render(resolved, plan, owner, &pins)
        };
        let live = revision_of(seen, &resolved.revision);
        let mut turn = Turn::Never;
        let (objects, extent) = take_over(live.as_deref(), newest, rendered, || {
            let own = seen.observed.revisions.iter().find(|one| one.revision == resolved.revision);
            let serves = own.is_some_and(|one| one.ready >= one.wanted);
            turn = context.upgrades.turn(&reference, serves, &context.world.reader());
            turn == Turn::Now
        });
        if live.is_some_and(|live| is_made_like(&live, &objects.deployment) && is_rolled_out(&live)) {
            context.upgrades.ended(&reference);
        }
        let turn_comes = (turn == Turn::Later).then_some(upgrades::WAIT);
        let target = Target {
            client: &context.client,
            world: &context.world,
            namespace: self.namespace,
            uid: self.uid,
            key: self.key,
            contested: self.contested,
        };
        let outcome = match target.apply(objects, extent, seen).await {
            Ok(()) => target.ring(&seen.untold, CONFIG_ANNOTATION, &resolved.config.sha256()).await,
            failed => failed,
        };
        let (strays, pins) = &seen.strays;
        let outcome = match outcome {
            Ok(()) => target.ring(strays, PINS_ANNOTATION, pins).await,
            failed => failed,
        };
        let Err(error) = outcome else { return Ok(turn_comes) };
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

/// The Deployment of a revision.
fn revision_of(seen: &Seen, name: &str) -> Option<Arc<k8s_openapi::api::apps::v1::Deployment>> {
    seen.workloads.iter().find(|one| revision(one) == Some(name)).cloned()
}

/// Replicas that a revision has been asked for, if it is there.
fn replicas_of(workloads: &[Arc<k8s_openapi::api::apps::v1::Deployment>], name: &str) -> Option<u32> {
    let workload = workloads.iter().find(|one| revision(one) == Some(name))?;
    u32::try_from(workload.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)).ok()
}
