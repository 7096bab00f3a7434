//! Which of several operators writes: the one that holds the Lease. The others keep their stores warm and wait.
//!
//! As in Kubernetes' own components, nobody compares clocks of two machines: a follower counts, on its own clock, how long the record
//! has not changed. The holder renews it, ends itself when it no longer can, and empties it when it leaves, so that the next one takes
//! over at its next look. (The crates that do this sleep until the lease expires, which makes each hand-over as slow as a crash.)

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// The Lease.
const NAME: &str = "modelyard";
/// A record that has not changed this long is nobody's any more.
const DURATION: Duration = Duration::from_secs(15);
/// How often the record is looked at, and renewed by its holder.
const LOOK: Duration = Duration::from_secs(1);
const RENEW: Duration = Duration::from_secs(4);
/// A holder that could not renew for this long leaves: well before another may take over.
const GIVE_UP: Duration = Duration::from_secs(8);

/// One that would lead.
pub(super) struct Candidate {
    api: Api<Lease>,
    identity: String,
    leads: watch::Sender<bool>,
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
    /// It is ours and fresh, or another's that may live.
    Wait,
    /// It is nobody's.
    Take,
}

/// The lease is lost: another operator may write now.
#[derive(Debug, thiserror::Error)]
#[error("the lease could not be renewed for {0:?}; ending, so that only one operator writes")]
pub struct Lost(Duration);

impl Candidate {
    /// A candidate in the operator's own namespace.
    pub(super) fn new(client: &Client, namespace: &str, identity: String) -> Self {
        Self { api: Api::namespaced(client.clone(), namespace), identity, leads: watch::Sender::new(false) }
    }

    /// Whether this one leads, as it changes.
    pub(super) fn leads(&self) -> watch::Receiver<bool> {
        self.leads.subscribe()
    }

    /// Tries to lead until `done`, then hands over.
    pub(super) async fn run(self, done: impl Future<Output = ()>) -> Result<(), Lost> {
        let mut record: Option<Record> = None;
        let (mut renewed, mut ticks) = (Instant::now(), interval(LOOK));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(done);
        loop {
            tokio::select! {
                () = &mut done => return { self.hand_over().await; Ok(()) },
                _ = ticks.tick() => {}
            }
            if self.is_lost(renewed) {
                return Err(Lost(GIVE_UP));
            }
            match timeout(GIVE_UP / 2, self.look(&mut record, renewed.elapsed())).await {
                Ok(Ok(true)) => {
                    renewed = Instant::now();
                    // Said once: each saying makes the operator look at every object.
                    if self.leads.send_if_modified(|leads| !std::mem::replace(leads, true)) {
                        tracing::info!(identity = self.identity, "leads");
                    }
                }
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "cannot read or write the lease"),
                Err(_) => tracing::warn!("the API server does not answer about the lease"),
            }
            if self.is_lost(renewed) {
                return Err(Lost(GIVE_UP));
            }
        }
    }

    /// Asked before a look and after it: a look may take half as long again.
    fn is_lost(&self, renewed: Instant) -> bool {
        *self.leads.borrow() && renewed.elapsed() > GIVE_UP
    }

    /// Looks at the record and does what is to be done; whether it is ours and was written now.
    async fn look(&self, record: &mut Option<Record>, unrenewed: Duration) -> Result<bool, kube::Error> {
        let Some(found) = self.api.get_opt(NAME).await? else {
            let lease =
                Lease { metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() }, spec: Some(self.spec(0)) };
            return written(self.api.create(&PostParams::default(), &lease).await);
        };
        let changed =
            record.as_ref().is_none_or(|known| known.lease.metadata.resource_version != found.metadata.resource_version);
        if changed {
            *record = Some(Record { lease: found, since: Instant::now() });
        }
        let Some(known) = record else { return Ok(false) };
        match step(known.lease.spec.as_ref(), &self.identity, known.since.elapsed(), unrenewed) {
            Step::Wait => Ok(false),
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

/// Whether the write went through; that another was faster is no failure.
fn written(outcome: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match outcome {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
        Err(error) => Err(error),
    }
}

/// What to do about a record that has been as it is for `unchanged`, and that was renewed `unrenewed` ago if it is ours.
fn step(spec: Option<&LeaseSpec>, identity: &str, unchanged: Duration, unrenewed: Duration) -> Step {
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
    let seconds = spec.and_then(|spec| u64::try_from(spec.lease_duration_seconds?).ok());
    match holder {
        None => Step::Take,
        Some(holder) if holder == identity => {
            if unrenewed >= RENEW {
                Step::Renew
            } else {
                Step::Wait
            }
        }
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
        for (holder, unchanged, unrenewed, expected) in [
            (None, 0, 0, Step::Take),
            (Some(""), 0, 0, Step::Take),
            (Some("me"), 3, 3, Step::Wait),
            (Some("me"), 4, 4, Step::Renew),
            (Some("other"), 14, 99, Step::Wait),
            (Some("other"), 15, 99, Step::Take),
        ] {
            assert_eq!(step(Some(&record(holder)), "me", seconds(unchanged), seconds(unrenewed)), expected, "{holder:?}");
        }
        assert_eq!(step(None, "me", seconds(0), seconds(0)), Step::Take);
        assert!(GIVE_UP + GIVE_UP / 2 < DURATION, "a holder leaves before another may take over");
    }
}
