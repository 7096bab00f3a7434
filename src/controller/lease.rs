//! Which of several operators writes: the one that holds the Lease. The others keep their stores warm and wait.
//!
//! As in Kubernetes' own components, nobody compares clocks of two machines: a follower counts, on its own clock, how long the record
//! has not changed. The holder renews it, steps down when it no longer can or sees another's name in it, and empties it when it leaves, so
//! that the next one takes over at its next look. (The crates that do this sleep until the lease expires, which makes each hand-over as slow
//! as a crash.) Who has stepped down goes on as a follower, with warm stores.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::fence::Fence;

/// The Lease.
const NAME: &str = "modelyard";
/// A record that has not changed this long is nobody's any more.
const DURATION: Duration = Duration::from_secs(15);
/// How often the record is looked at, and renewed by its holder.
const LOOK: Duration = Duration::from_secs(1);
const RENEW: Duration = Duration::from_secs(4);
/// A holder that could not renew for this long steps down: well before another may take over.
const GIVE_UP: Duration = Duration::from_secs(8);

/// One that would lead.
pub(super) struct Candidate {
    api: Api<Lease>,
    identity: String,
    leads: watch::Sender<bool>,
    fence: Fence,
}

/// The record as it was seen last, and since when.
struct Record {
    lease: Lease,
    since: Instant,
}

/// What to do about the record.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It is ours, and is to be renewed.
    Renew,
    /// It is ours and fresh.
    Keep,
    /// It is another's that may live, or one's of our name that may still lead.
    Wait,
    /// It is nobody's.
    Take,
}

/// What this operator knows of its own part.
#[derive(Clone, Copy)]
struct Own<'a> {
    identity: &'a str,
    leads: bool,
    /// How long ago it renewed.
    unrenewed: Duration,
}

/// What a look has brought.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// The record is ours, and was written now.
    Renewed,
    /// The record is as it was, or somebody was faster: the next look tells.
    Unchanged,
    /// The record has another's name.
    Another,
}

impl Candidate {
    /// A candidate in the operator's own namespace, which opens the fence while it leads.
    pub(super) fn new(client: &Client, namespace: &str, identity: String, fence: Fence) -> Self {
        Self { api: Api::namespaced(client.clone(), namespace), identity, leads: watch::Sender::new(false), fence }
    }

    /// Whether this one leads, as it changes.
    pub(super) fn leads(&self) -> watch::Receiver<bool> {
        self.leads.subscribe()
    }

    /// Tries to lead until `done`, then hands over.
    pub(super) async fn run(self, done: impl Future<Output = ()>) {
        let mut record: Option<Record> = None;
        let (mut renewed, mut ticks) = (Instant::now(), interval(LOOK));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(done);
        loop {
            tokio::select! {
                () = &mut done => return self.hand_over().await,
                _ = ticks.tick() => {}
            }
            self.expire(renewed);
            // By when the renewal was asked for, not by when its answer came: others count from when it was written.
            let asked = Instant::now();
            match timeout(GIVE_UP / 2, self.look(&mut record, renewed.elapsed())).await {
                Ok(Ok(Look::Renewed)) => {
                    renewed = asked;
                    self.lead(asked + GIVE_UP);
                }
                Ok(Ok(Look::Unchanged)) => {}
                Ok(Ok(Look::Another)) => self.step_down("another operator holds the lease"),
                Ok(Err(error)) => tracing::warn!(%error, "cannot read or write the lease"),
                Err(_) => tracing::warn!("the API server does not answer about the lease"),
            }
            // Asked before a look and after it: a look may take half as long again.
            self.expire(renewed);
        }
    }

    fn lead(&self, until: Instant) {
        self.fence.open_until(until);
        // Said once: each saying makes the operator look at every object.
        if self.leads.send_if_modified(|leads| !std::mem::replace(leads, true)) {
            tracing::info!(identity = self.identity, "leads");
        }
    }

    /// Steps down where it has not renewed for too long.
    fn expire(&self, renewed: Instant) {
        if *self.leads.borrow() && renewed.elapsed() > GIVE_UP {
            self.step_down("the lease could not be renewed in time");
        }
    }

    fn step_down(&self, why: &str) {
        self.fence.close();
        if self.leads.send_if_modified(|leads| std::mem::replace(leads, false)) {
            tracing::warn!(identity = self.identity, why, "does not lead any more");
        }
    }

    /// Looks at the record and does what is to be done about it.
    async fn look(&self, record: &mut Option<Record>, unrenewed: Duration) -> Result<Look, kube::Error> {
        let own = Own { identity: &self.identity, leads: *self.leads.borrow(), unrenewed };
        let Some(found) = self.api.get_opt(NAME).await? else {
            // Somebody deleted it: who held it may lead until it looks, and then makes it anew. So it counts as it was seen last.
            let last = record.as_ref().map(|known| step(known.lease.spec.as_ref(), own, known.since.elapsed()));
            if last == Some(Step::Wait) {
                return Ok(Look::Another);
            }
            let lease =
                Lease { metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() }, spec: Some(self.spec(0)) };
            return written(self.api.create(&PostParams::default(), &lease).await);
        };
        let changed =
            record.as_ref().is_none_or(|known| known.lease.metadata.resource_version != found.metadata.resource_version);
        if changed {
            *record = Some(Record { lease: found, since: Instant::now() });
        }
        let Some(known) = record else { return Ok(Look::Unchanged) };
        match step(known.lease.spec.as_ref(), own, known.since.elapsed()) {
            Step::Keep => Ok(Look::Unchanged),
            Step::Wait => Ok(Look::Another),
            step @ (Step::Renew | Step::Take) => {
                let mut lease = known.lease.clone();
                let before = lease.spec.take().unwrap_or_default();
                let mut spec = self.spec(before.lease_transitions.unwrap_or(0).saturating_add(i32::from(step == Step::Take)));
                spec.acquire_time = if step == Step::Take { spec.renew_time.clone() } else { before.acquire_time };
                lease.spec = Some(spec);
                written(self.api.replace(NAME, &PostParams::default(), &lease).await)
            }
        }
    }

    fn spec(&self, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            renew_time: Some(MicroTime(Timestamp::now())),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    /// Empties the record, if it is ours.
    async fn hand_over(&self) {
        self.fence.close();
        if !self.leads.send_replace(false) {
            return;
        }
        let emptied = async {
            let Some(mut lease) = self.api.get_opt(NAME).await? else { return Ok(()) };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                spec.holder_identity = None;
                self.api.replace(NAME, &PostParams::default(), &lease).await?;
            }
            Ok::<(), kube::Error>(())
        };
        match timeout(GIVE_UP / 2, emptied).await {
            Ok(Ok(())) => tracing::info!("handed the lease over"),
            Ok(Err(error)) => tracing::warn!(%error, "cannot hand the lease over; it expires"),
            Err(_) => tracing::warn!("the API server does not answer; the lease expires"),
        }
    }
}

/// What became of a write; that another was faster is no failure.
fn written(outcome: Result<Lease, kube::Error>) -> Result<Look, kube::Error> {
    match outcome {
        Ok(_) => Ok(Look::Renewed),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(Look::Unchanged),
        Err(error) => Err(error),
    }
}

/// What to do about a record that has been as it is for `unchanged`.
fn step(spec: Option<&LeaseSpec>, own: Own<'_>, unchanged: Duration) -> Step {
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
    let seconds = spec.and_then(|spec| u64::try_from(spec.lease_duration_seconds?).ok());
    match holder {
        None => Step::Take,
        Some(holder) if holder == own.identity => match own.leads {
            true if own.unrenewed < RENEW => Step::Keep,
            true => Step::Renew,
            // Written by the process before this one, or by a person, past another who leads and has not looked yet.
            false if unchanged < RENEW => Step::Wait,
            false => Step::Renew,
        },
        Some(_) if unchanged >= seconds.map_or(DURATION, Duration::from_secs) => Step::Take,
        Some(_) => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_taken_only_from_nobody() {
        let record = |holder: Option<&str>| LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        };
        let seconds = Duration::from_secs;
        let own = |leads, unrenewed| Own { identity: "me", leads, unrenewed: seconds(unrenewed) };
        for (holder, leads, unchanged, unrenewed, expected) in [
            (None, false, 0, 0, Step::Take),
            (Some(""), false, 0, 0, Step::Take),
            (Some("me"), true, 3, 3, Step::Keep),
            (Some("me"), true, 4, 4, Step::Renew),
            (Some("me"), false, 3, 99, Step::Wait),
            (Some("me"), false, 4, 4, Step::Renew),
            (Some("other"), true, 0, 1, Step::Wait),
            (Some("other"), false, 14, 99, Step::Wait),
            (Some("other"), false, 15, 99, Step::Take),
        ] {
            let found = step(Some(&record(holder)), own(leads, unrenewed), seconds(unchanged));
            assert_eq!(found, expected, "{holder:?} {leads} {unchanged} {unrenewed}");
        }
        assert_eq!(step(None, own(false, 0), seconds(0)), Step::Take);
        assert!(GIVE_UP + GIVE_UP / 2 < DURATION, "a holder steps down before another may take over");
    }
}
