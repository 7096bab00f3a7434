//! What to run: replicas and traffic for every revision, from what is wanted and what is seen. It never fails, remembers nothing,
//! and may be asked again at any time: the same question has the same answer, and an answer carried out asks for nothing more.
//!
//! While an old revision still serves, N wanted, s = max(1, N/4), r ready replicas of the new one:
//! - **Surge**: the new one has N replicas at most and r + s, the old ones together N - r. So never fewer than N are ready (if they
//!   were before), never more than N + s exist, and a new revision that does not become ready costs the old one nothing.
//! - **Replace**: for machines without room. The old ones have N - s - r, the new one r + s: never more than N exist, and s may be
//!   missing meanwhile.
//!
//! What grows waits for what shrinks: a plan asks for more only where the replicas that exist leave room.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{ColdStart, Failure, ModelState, Reason};
use crate::pins::Pin;
use crate::resolve::Resolved;

/// How long a replica of the new revision may look for a place before `Auto` replaces instead of surging.
pub const UNSCHEDULABLE_PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// Whether a new revision may take room beside the old one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Capacity {
    /// Surge, and replace once a new replica has found no place for [`UNSCHEDULABLE_PATIENCE`].
    #[default]
    Auto,
    /// New before old: never fewer ready than wanted.
    Surge,
    /// Old out, new in: never more than wanted.
    Replace,
}

/// What is seen of one deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The revisions that exist, in any order. One that has wanted and run nothing for long may be left out.
    pub revisions: Vec<RevisionObserved>,
}

/// What is seen of one revision.
#[derive(Clone, Debug, PartialEq)]
pub struct RevisionObserved {
    /// Its name, as in [`Resolved::revision`].
    pub revision: String,
    /// The model's version, where it serves one model.
    pub version: Option<i64>,
    /// When it was made: tells older from newer.
    pub created: Timestamp,
    /// Replicas that were asked for last.
    pub wanted: u32,
    /// Replicas that exist: starting, ready or failing. Those asked to stop do not count.
    pub running: u32,
    /// Of these, those that answer.
    pub ready: u32,
    /// Whether a replica of it ever answered. One that never did has nothing worth keeping.
    pub served: bool,
    /// Since when a replica of it finds no place.
    pub unschedulable_since: Option<Timestamp>,
    /// What its replicas that are not ready are doing: the reason and one sentence.
    pub progress: Option<(Reason, String)>,
    /// Why its worst replica does not serve.
    pub failure: Option<Failure>,
    /// How its newest replica became ready, if that is news.
    pub cold_start: Option<ColdStart>,
    /// SHA-256 of the model that it serves, if that is news.
    pub digest: Option<String>,
    /// What its model's uri led to, in its store's words.
    pub resolved: Option<String>,
    /// How each of its models is, where its servers follow several and say so.
    pub models: Vec<ModelObserved>,
}

/// What is seen of one of several models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelObserved {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: ModelState,
    /// Why, where that is not plain.
    pub reason: Option<Reason>,
    /// The same in a sentence.
    pub message: Option<String>,
    /// What its uri led to, where that is known.
    pub pin: Option<Pin>,
}

impl RevisionObserved {
    /// A revision of which nothing is seen yet.
    #[must_use]
    pub const fn new(revision: String, created: Timestamp) -> Self {
        Self {
            revision,
            version: None,
            created,
            wanted: 0,
            running: 0,
            ready: 0,
            served: false,
            unschedulable_since: None,
            progress: None,
            failure: None,
            cold_start: None,
            digest: None,
            resolved: None,
            models: Vec::new(),
        }
    }
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Every revision seen, and the new one; the new one first, then from newer to older.
    pub revisions: Vec<RevisionPlan>,
    /// When to ask again, even if nothing is seen to change.
    pub wake_at: Option<Timestamp>,
}

/// What one revision is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionPlan {
    /// Its name.
    pub revision: String,
    /// Replicas it is to have. Where it has more, those that are not ready go first.
    pub replicas: u32,
    /// Its share of the traffic in percent; the shares of a plan sum to 100.
    pub weight: u32,
}

impl Plan {
    /// What is planned for a revision.
    #[must_use]
    pub fn revision(&self, name: &str) -> Option<&RevisionPlan> {
        self.revisions.iter().find(|one| one.revision == name)
    }
}

/// Decides what every revision is to have.
#[must_use]
pub fn plan(resolved: &Resolved, observed: &Observed, now: Timestamp) -> Plan {
    let new = observed
        .revisions
        .iter()
        .find(|one| one.revision == resolved.revision)
        .cloned()
        .unwrap_or_else(|| RevisionObserved::new(resolved.revision.clone(), now));
    let mut old: Vec<&RevisionObserved> = observed.revisions.iter().filter(|one| one.revision != resolved.revision).collect();
    old.sort_by(|left, right| right.created.cmp(&left.created).then_with(|| left.revision.cmp(&right.revision)));

    let (replacing, wake_at) = replacing(resolved.capacity, &new, now);
    let replicas = replicas(resolved.replicas, replacing, &new, &old);
    let weights = weights(&replicas, &new, &old);
    let names = std::iter::once(&new).chain(old.iter().copied()).map(|one| one.revision.clone());
    let revisions = names
        .zip(replicas.iter().zip(weights))
        .map(|(revision, (replicas, weight))| RevisionPlan { revision, replicas: *replicas, weight })
        .collect();
    Plan { revisions, wake_at }
}

/// Whether to replace rather than surge, and when that might change.
fn replacing(capacity: Capacity, new: &RevisionObserved, now: Timestamp) -> (bool, Option<Timestamp>) {
    match (capacity, new.unschedulable_since) {
        (Capacity::Replace, _) => (true, None),
        (Capacity::Surge, _) | (Capacity::Auto, None) => (false, None),
        (Capacity::Auto, Some(since)) => match since.checked_add(UNSCHEDULABLE_PATIENCE) {
            Ok(patient_until) if now < patient_until => (false, Some(patient_until)),
            _ => (true, None),
        },
    }
}

/// The most that may be missing, or be too many, while one revision takes over from another.
#[must_use]
pub const fn step(wanted: u32) -> u32 {
    if wanted / 4 > 1 { wanted / 4 } else { 1 }
}

/// Replicas of the new revision, then of each old one.
fn replicas(wanted: u32, replacing: bool, new: &RevisionObserved, old: &[&RevisionObserved]) -> Vec<u32> {
    let kept: Vec<bool> = old.iter().map(|one| one.served && one.wanted > 0).collect();
    let rolling = wanted > 0 && kept.contains(&true);
    if !rolling {
        return std::iter::once(wanted).chain(old.iter().map(|_| 0)).collect();
    }
    let (ready, step) = (new.ready.min(wanted), step(wanted));
    let (bound, needed) = if replacing { (wanted, wanted.saturating_sub(ready + step)) } else { (wanted + step, wanted - ready) };
    let target = wanted.min(ready + step);
    let shares = shares(needed, old, &kept);

    let exist = new.running + old.iter().map(|one| one.running).sum::<u32>();
    let mut room = bound.saturating_sub(exist);
    let mut grow = |to: u32, running: u32| {
        let more = to.saturating_sub(running).min(room);
        room -= more;
        if to > running { running + more } else { to }
    };
    let old: Vec<u32> = shares.into_iter().zip(old).map(|(share, one)| grow(share, one.running)).collect();
    std::iter::once(grow(target, new.running)).chain(old).collect()
}

/// Deals the needed replicas out to the old revisions that still serve: to ready replicas first, most ready first, then to those
/// that exist, and the rest to the first.
fn shares(needed: u32, old: &[&RevisionObserved], kept: &[bool]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..old.len()).filter(|index| kept[*index]).collect();
    order.sort_by_key(|index| std::cmp::Reverse(old[*index].ready));
    let mut shares = vec![0; old.len()];
    let mut rest = needed;
    for count in [|one: &RevisionObserved| one.ready, |one: &RevisionObserved| one.running] {
        for index in &order {
            let more = count(old[*index]).saturating_sub(shares[*index]).min(rest);
            shares[*index] += more;
            rest -= more;
        }
    }
    if let Some(first) = order.first() {
        shares[*first] += rest;
    }
    shares
}

/// Traffic by ready replicas that stay, by largest remainder. Where none is ready, it goes to the old revision with most replicas,
/// and without one to the new.
fn weights(replicas: &[u32], new: &RevisionObserved, old: &[&RevisionObserved]) -> Vec<u32> {
    let serving: Vec<u64> = std::iter::once(new)
        .chain(old.iter().copied())
        .zip(replicas)
        .map(|(one, replicas)| u64::from(one.ready.min(*replicas)))
        .collect();
    let total: u64 = serving.iter().sum();
    if total == 0 {
        let most =
            (1..replicas.len()).filter(|index| replicas[*index] > 0).max_by_key(|index| (replicas[*index], usize::MAX - index));
        return (0..replicas.len()).map(|index| if index == most.unwrap_or(0) { 100 } else { 0 }).collect();
    }
    let mut weights: Vec<u64> = serving.iter().map(|ready| ready * 100 / total).collect();
    let mut order: Vec<usize> = (0..serving.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(serving[*index] * 100 % total));
    let missing = 100 - weights.iter().sum::<u64>();
    order.iter().zip(0..missing).for_each(|(index, _)| weights[*index] += 1);
    weights.into_iter().map(|weight| u32::try_from(weight).unwrap_or(100)).collect()
}

#[cfg(test)]
mod tests;
