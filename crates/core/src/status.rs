//! What to tell: conditions, revisions and the newest failure, from what is wanted, seen and planned.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{Class, ColdStart, Failure, ModelDeploymentStatus, ModelState, ModelStatus, Reason, RevisionStatus, Role};
use crate::plan::{ModelObserved, Observed, Plan, RevisionObserved};
use crate::resolve::{Invalid, Resolved};

/// Everything that a status is made of.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The spec as resolved, with the plan for it; or why it cannot be.
    pub wanted: Result<(&'a Resolved, &'a Plan), &'a Invalid>,
    /// The generation of the object that was read.
    pub generation: Option<i64>,
    /// What is seen.
    pub observed: &'a Observed,
    /// The status as it was told last.
    pub previous: Option<&'a ModelDeploymentStatus>,
    /// Where clients find it.
    pub url: Option<&'a str>,
    /// The label selector of its pods; none where there are no pods.
    pub selector: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// The status of one deployment.
#[must_use]
pub fn status(situation: &Situation<'_>) -> ModelDeploymentStatus {
    let seen = &situation.observed.revisions;
    let (replicas, ready) = (seen.iter().map(|one| one.running).sum(), seen.iter().map(|one| one.ready).sum());
    let wanted = situation.wanted.ok().map(|(resolved, _)| resolved.replicas);
    let failing = newest_failing(seen);
    let before = situation.previous.map(|status| status.conditions.as_slice()).unwrap_or_default();
    ModelDeploymentStatus {
        observed_generation: situation.generation,
        url: situation.url.map(str::to_owned),
        replicas: whole(replicas),
        ready_replicas: whole(ready),
        ready_of_wanted: wanted.map(|wanted| format!("{ready}/{wanted}")),
        selector: situation.selector.map(str::to_owned),
        revisions: revisions(situation),
        models: models(situation),
        failure: failing.and_then(|one| one.failure.clone()).map(|failure| since(failure, situation.previous)),
        cold_start: cold_start(situation),
        conditions: conditions(situation).into_iter().map(|verdict| verdict.into_condition(situation, before)).collect(),
    }
}

/// Each of several models that servers follow. Where no replica says anything, what was told before stays told of those that are still
/// wanted; without a replica none is in memory.
fn models(situation: &Situation<'_>) -> Vec<ModelStatus> {
    let before = situation.previous.map(|status| status.models.as_slice()).unwrap_or_default();
    let Ok((resolved, _)) = situation.wanted else { return before.to_vec() };
    if !resolved.follows() {
        return Vec::new();
    }
    let told = |name: &str| before.iter().find(|one| one.name == name);
    let of = |seen: &ModelObserved| {
        let unchanged = told(&seen.name).filter(|one| one.state == seen.state).map(|one| one.since.clone());
        let ModelObserved { name, state, reason, message, pin } = seen.clone();
        let (digest, resolved) = pin.map(|pin| (Some(pin.digest), pin.version)).unwrap_or_default();
        ModelStatus { name, state, reason, message, digest, resolved, since: unchanged.unwrap_or(Time(situation.now)) }
    };
    let own = situation.observed.revisions.iter().find(|one| one.revision == resolved.revision);
    if let Some(own) = own.filter(|own| !own.models.is_empty()) {
        return own.models.iter().map(of).collect();
    }
    let names = resolved.config.models.iter().map(|model| &model.name);
    if resolved.replicas == 0 {
        let message = Some("no replica is wanted".to_owned());
        let parked = |name: &String| ModelObserved {
            name: name.clone(),
            state: ModelState::Standby,
            reason: Some(Reason::ScaledToZero),
            message: message.clone(),
            pin: None,
        };
        return names.map(|name| of(&parked(name))).collect();
    }
    names.filter_map(|name| told(name).cloned()).collect()
}

/// A failure that goes on happened when it began: a time that moved would make every look at it another status.
fn since(failure: Failure, previous: Option<&ModelDeploymentStatus>) -> Failure {
    match previous.and_then(|status| status.failure.as_ref()) {
        Some(before) if *before == (Failure { at: before.at.clone(), ..failure.clone() }) => before.clone(),
        _ => failure,
    }
}

/// The newest start that is known of.
fn cold_start(situation: &Situation<'_>) -> Option<ColdStart> {
    let seen = situation.observed.revisions.iter().filter_map(|one| one.cold_start.as_ref());
    seen.max_by_key(|start| start.at.0).or_else(|| situation.previous?.cold_start.as_ref()).cloned()
}

/// One condition before it has a time.
struct Verdict {
    kind: &'static str,
    holds: bool,
    reason: Reason,
    message: String,
}

impl Verdict {
    fn new(kind: &'static str, holds: bool, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, holds, reason, message: message.into() }
    }

    /// The time of a transition stays as long as the status does.
    fn into_condition(self, situation: &Situation<'_>, before: &[Condition]) -> Condition {
        let status = if self.holds { "True" } else { "False" };
        let unchanged = before.iter().find(|one| one.type_ == self.kind && one.status == status);
        Condition {
            type_: self.kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason.as_str().to_owned(),
            message: self.message,
            observed_generation: situation.generation,
            last_transition_time: unchanged.map_or(Time(situation.now), |one| one.last_transition_time.clone()),
        }
    }
}

fn conditions(situation: &Situation<'_>) -> [Verdict; 3] {
    let mut serving = serving(situation);
    let mut up_to_date = up_to_date(situation);
    if serving.holds && up_to_date.holds && situation.wanted.is_ok_and(|(resolved, _)| resolved.paused) {
        for verdict in [&mut serving, &mut up_to_date] {
            verdict.message.push_str("; paused: nothing is changed until spec.paused is false");
        }
    }
    let ready = match (serving.holds, up_to_date.holds) {
        (true, true) => Verdict::new("Ready", true, serving.reason, serving.message.clone()),
        // The new revision's trouble says more than the silence that it causes.
        (_, false) => Verdict::new("Ready", false, up_to_date.reason, up_to_date.message.clone()),
        (false, true) => Verdict::new("Ready", false, serving.reason, serving.message.clone()),
    };
    [serving, up_to_date, ready]
}

/// Whether some revision answers, or is parked at zero and can start.
fn serving(situation: &Situation<'_>) -> Verdict {
    let seen = &situation.observed.revisions;
    let ready: u32 = seen.iter().map(|one| one.ready).sum();
    let verdict = |holds, reason, message: String| Verdict::new("Serving", holds, reason, message);
    if ready > 0 {
        return verdict(true, Reason::Serving, format!("{} {}", count(ready), if ready == 1 { "answers" } else { "answer" }));
    }
    match situation.wanted {
        Err(invalid) => verdict(false, Invalid::REASON, invalid.to_string()),
        Ok((resolved, _)) if resolved.replicas == 0 => verdict(true, Reason::ScaledToZero, "no replica is wanted".to_owned()),
        Ok((resolved, _)) => {
            let (reason, message) = trouble(seen.iter().find(|one| one.revision == resolved.revision));
            verdict(false, reason, message)
        }
    }
}

/// Whether the newest spec carries all traffic: with all its replicas at first, and then for as long as nothing keeps those that are
/// missing. An autoscaler that asks for more of them has not made an object unready.
fn up_to_date(situation: &Situation<'_>) -> Verdict {
    let verdict = |holds, reason, message: String| Verdict::new("UpToDate", holds, reason, message);
    let (resolved, plan) = match situation.wanted {
        Ok(wanted) => wanted,
        Err(invalid) => return verdict(false, Invalid::REASON, invalid.to_string()),
    };
    let seen = &situation.observed.revisions;
    let new = seen.iter().find(|one| one.revision == resolved.revision);
    let ready = new.map_or(0, |one| one.ready);
    let alone = seen.iter().filter(|one| one.revision != resolved.revision).all(|one| one.running == 0);
    let carries = plan.revision(&resolved.revision).is_some_and(|one| one.weight == 100);
    if let Some(refused) = new.and_then(refused) {
        return verdict(false, refused.reason, refused.message.clone());
    }
    if ready >= resolved.replicas && alone && carries {
        let reason = if resolved.replicas == 0 { Reason::ScaledToZero } else { Reason::Serving };
        return verdict(
            true,
            reason,
            format!("revision {} has {ready} of {} replicas ready", resolved.revision, resolved.replicas),
        );
    }
    let (reason, message) = trouble(new);
    if ready > 0
        && alone
        && carries
        && reason.class() == Class::UnderWay
        && !resolved.paused
        && carried(situation, &resolved.revision)
    {
        let (name, wanted) = (&resolved.revision, resolved.replicas);
        return verdict(
            true,
            Reason::Serving,
            format!("revision {name} has {ready} of {wanted} replicas ready; the others start"),
        );
    }
    if resolved.paused && new.is_none_or(|one| one.wanted != resolved.replicas) {
        let name = &resolved.revision;
        return verdict(false, Reason::Paused, format!("paused: revision {name} waits until spec.paused is false"));
    }
    if reason.class() == Class::UnderWay && !alone {
        let (name, wanted) = (&resolved.revision, resolved.replicas);
        return verdict(false, Reason::RollingOut, format!("revision {name} has {ready} of {wanted} replicas ready; {message}"));
    }
    verdict(false, reason, message)
}

/// Whether it was told that this revision carries all traffic.
fn carried(situation: &Situation<'_>, revision: &str) -> bool {
    situation.previous.is_some_and(|before| {
        let held = before.conditions.iter().any(|one| one.type_ == "UpToDate" && one.status == "True");
        held && before.revisions.iter().any(|one| one.name == revision && one.weight == 100)
    })
}

/// What keeps a revision from serving: its failure, or what it is doing.
fn trouble(revision: Option<&RevisionObserved>) -> (Reason, String) {
    let waiting = || (Reason::Scheduling, "replicas are being started".to_owned());
    let Some(revision) = revision else { return waiting() };
    if let Some(failure) = &revision.failure {
        return (failure.reason, failure.message.clone());
    }
    if let Some(progress) = &revision.progress {
        return progress.clone();
    }
    if revision.running > 0 && revision.ready < revision.running {
        return (Reason::Loading, format!("{} of {} replicas are ready", revision.ready, revision.running));
    }
    if revision.ready > 0 {
        return (Reason::RollingOut, format!("{} ready", count(revision.ready)));
    }
    waiting()
}

/// What the API server refused to have of a revision, which all its replicas may serve without: a NetworkPolicy that is not there, say.
fn refused(revision: &RevisionObserved) -> Option<&Failure> {
    revision.failure.as_ref().filter(|failure| failure.pod.is_none() && failure.reason != Reason::ProgressDeadlineExceeded)
}

fn newest_failing(seen: &[RevisionObserved]) -> Option<&RevisionObserved> {
    seen.iter().filter(|one| one.failure.is_some() && one.ready == 0).max_by_key(|one| one.created)
}

/// The revisions, the newest first. Stable is the one with the most traffic, and where no replica is wanted the spec's own, which
/// waits for nothing; of the others, the spec's own is the candidate.
fn revisions(situation: &Situation<'_>) -> Vec<RevisionStatus> {
    let mut seen: Vec<&RevisionObserved> = situation.observed.revisions.iter().collect();
    seen.sort_by(|left, right| right.created.cmp(&left.created).then_with(|| left.revision.cmp(&right.revision)));
    let wanted = situation.wanted.ok();
    let told = |one: &RevisionObserved| situation.previous?.revisions.iter().find(|known| known.name == one.revision);
    let weight = |one: &RevisionObserved| match wanted {
        Some((_, plan)) => plan.revision(&one.revision).map_or(0, |planned| planned.weight),
        None => told(one).map_or(0, |known| u32::try_from(known.weight).unwrap_or(0)),
    };
    let serving = seen.iter().filter(|one| one.ready > 0).max_by_key(|one| (weight(one), one.created));
    let parked = wanted.filter(|(resolved, _)| resolved.replicas == 0).map(|(resolved, _)| &resolved.revision);
    let stable = serving.map(|one| &one.revision).or(parked).cloned();
    let role = |one: &RevisionObserved| {
        if Some(&one.revision) == stable.as_ref() {
            Role::Stable
        } else if wanted.is_some_and(|(resolved, _)| resolved.revision == one.revision) {
            Role::Candidate
        } else {
            Role::Retired
        }
    };
    seen.into_iter()
        .map(|one| RevisionStatus {
            name: one.revision.clone(),
            version: one.version,
            digest: one.digest.clone().or_else(|| told(one)?.digest.clone()),
            resolved: one.resolved.clone().or_else(|| told(one)?.resolved.clone()),
            role: role(one),
            replicas: whole(one.running),
            ready_replicas: whole(one.ready),
            weight: whole(weight(one)),
        })
        .collect()
}

fn count(replicas: u32) -> String {
    format!("{replicas} {}", if replicas == 1 { "replica" } else { "replicas" })
}

fn whole(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
