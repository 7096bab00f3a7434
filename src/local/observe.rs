//! What is seen of processes, in the words that the plan understands.

use std::collections::HashSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use modelyard_core::api::{Class, Failure, ModelState, Reason};
use modelyard_core::diagnose::{Followers, Loading};
use modelyard_core::plan::{ModelObserved, Observed, RevisionObserved};

use super::deployment::{Deployment, Slot};
use super::events::{Ending, Readiness};

/// The revisions of a deployment as they are now.
pub(super) fn observed(deployment: &Deployment) -> Observed {
    let revisions = deployment.revisions.iter().map(|revision| {
        let slots: Vec<&Slot> =
            deployment.slots.iter().filter(|slot| slot.revision == revision.name && !slot.is_stopping()).collect();
        let count = |slots: usize| u32::try_from(slots).unwrap_or(u32::MAX);
        let pin = revision.served.pin();
        let is_wanted = revision.name == deployment.resolved.revision;
        let others = answered(deployment.slots.iter().filter(|slot| slot.revision != revision.name));
        let ready = slots.iter().filter(|slot| counts(slot, is_wanted, &others)).count();
        RevisionObserved {
            version: revision.version,
            wanted: revision.wanted,
            running: count(slots.len()),
            ready: count(ready),
            served: revision.has_served || ready > 0,
            progress: slots.iter().find(|slot| !slot.is_ready()).map(|slot| progress(&slot.readiness)),
            failure: worst(&slots).or_else(|| slots.iter().find_map(|slot| change(slot))),
            models: if is_wanted { models(deployment, &slots) } else { Vec::new() },
            digest: pin.map(|pin| pin.digest.clone()),
            resolved: pin.and_then(|pin| pin.version.clone()),
            ..RevisionObserved::new(revision.name.clone(), revision.created)
        }
    });
    Observed { revisions: revisions.collect() }
}

/// The models that replicas answer for.
fn answered<'a>(slots: impl Iterator<Item = &'a Slot>) -> HashSet<&'a str> {
    let models = slots.filter(|slot| slot.serves()).flat_map(|slot| &slot.readiness.models);
    models.filter(|model| model.is_ready()).map(|model| model.name.as_str()).collect()
}

/// Whether a replica counts as ready: when all its models answer. Beside replicas of another revision one that fails in both is no reason to keep
/// the new ones waiting, and none to take away the old ones before the new ones answer for what those do.
fn counts(slot: &Slot, is_wanted: bool, others: &HashSet<&str>) -> bool {
    let models = &slot.readiness.models;
    slot.is_ready()
        || slot.serves()
            && if is_wanted {
                !others.is_empty()
                    && models.iter().all(|model| model.late || model.is_ready() || !others.contains(model.name.as_str()))
            } else {
                models.iter().any(super::events::ModelState::is_ready)
            }
}

/// How each of several models is that servers follow, in the words of a cluster's status: as those replicas say that say something.
fn models(deployment: &Deployment, slots: &[&Slot]) -> Vec<ModelObserved> {
    let resolved = &deployment.resolved;
    if !resolved.follows() || slots.is_empty() {
        return Vec::new();
    }
    let said: Vec<Loading> = slots.iter().filter_map(|slot| slot.readiness.of_models()).collect();
    if said.is_empty() {
        let starting = |name: &String| ModelObserved {
            name: name.clone(),
            state: ModelState::Loading,
            reason: Some(Reason::Scheduling),
            message: Some("its server is starting".to_owned()),
            pin: None,
        };
        return resolved.config.models.iter().map(|model| starting(&model.name)).collect();
    }
    let digest = resolved.config.sha256();
    Followers { config: &resolved.config, digest: &digest, said: said.iter().map(Some).collect() }.models()
}

/// What a replica that is not ready is doing.
fn progress(readiness: &Readiness) -> (Reason, String) {
    let (have, all) = (readiness.bytes, readiness.total_bytes);
    match readiness.state.as_str() {
        "Downloading" if all > 0 => (Reason::Downloading, format!("{} of {} MB have come", have >> 20, all >> 20)),
        "Downloading" => (Reason::Downloading, "the model is on its way".to_owned()),
        "Loading" => (Reason::Loading, "the model is being loaded".to_owned()),
        "Warming" => (Reason::Loading, "the model proves itself on its sample".to_owned()),
        "Draining" => (Reason::Draining, "requests in flight finish".to_owned()),
        _ => (Reason::Scheduling, "the server is starting".to_owned()),
    }
}

/// The failure that says most: the user's to mend before the world's, and with how many replicas share it.
fn worst(slots: &[&Slot]) -> Option<Failure> {
    let mut failures: Vec<&Failure> = slots.iter().filter_map(|slot| slot.failure.as_ref()).collect();
    failures.sort_by_key(|failure| (failure.reason.class() != Class::User, failure.at.0));
    let first = failures.first()?;
    let alike = failures.iter().filter(|failure| failure.reason == first.reason).count();
    let mut worst = (*first).clone();
    if slots.len() > 1 {
        worst.message = format!("{} ({alike} of {} replicas)", worst.message, slots.len());
    }
    Some(worst)
}

/// What keeps a change of the models from being carried out in a replica that serves on: it is of the revision, not of the replica.
fn change(slot: &Slot) -> Option<Failure> {
    let followed = slot.readiness.config.as_ref()?;
    let of = |reason: Option<&str>, message: String| {
        let reason = reason.and_then(named).unwrap_or(Reason::ModelInvalid);
        Failure { reason, message, pod: None, exit_code: None, at: Time(Timestamp::UNIX_EPOCH) }
    };
    if let Some(message) = &followed.refused {
        return Some(of(Some(Reason::InvalidSpec.as_str()), message.clone()));
    }
    if let Some((model, refused)) = slot.readiness.models.iter().find_map(|model| Some((model, model.refused.as_ref()?))) {
        let message = format!("model '{}': {}; the one before serves on", model.name, refused.message);
        return Some(of(Some(&refused.reason), message));
    }
    if let Some(model) = slot.readiness.models.iter().find(|model| model.late && model.state == "Failed") {
        let message = format!("model '{}': {}", model.name, model.message.as_deref().unwrap_or("it did not load"));
        return Some(of(model.reason.as_deref(), message));
    }
    let under_way = |message: String| Some(of(Some(Reason::Loading.as_str()), message));
    if followed.sha256 != slot.served.borrow().config.sha256() {
        return under_way("the server is being told of its new models".to_owned());
    }
    let coming = slot.readiness.models.iter().find(|model| model.changing || (model.late && !model.is_ready()))?;
    under_way(format!("model '{}' is being loaded", coming.name))
}

/// Why a replica that runs does not serve all its models, if one of them failed.
pub(super) fn unready(slot: &Slot, now: Timestamp) -> Option<Failure> {
    let model = slot.readiness.models.iter().find(|model| model.state == "Failed" && !model.late)?;
    let message = format!("model '{}': {}", model.name, model.message.as_deref().unwrap_or("it did not load"));
    Some(Failure {
        reason: model.reason.as_deref().and_then(named).unwrap_or(Reason::ModelInvalid),
        message,
        pod: Some(slot.name.clone()),
        exit_code: None,
        at: Time(now),
    })
}

/// Why a replica's process ended.
pub(super) fn ended(name: &str, ending: &Ending, now: Timestamp) -> Failure {
    // The codes of the server's contract, for a server that could not write its last words.
    let by_code = match ending.code {
        Some(64) => Reason::InvalidSpec,
        Some(65) => Reason::ModelInvalid,
        Some(66) => Reason::ModelNotFound,
        Some(69) => Reason::StoreUnavailable,
        Some(71) => Reason::OutOfMemory,
        Some(77) => Reason::ModelUnauthorized,
        _ => Reason::CrashLooping,
    };
    Failure {
        reason: ending.reason.as_deref().and_then(named).unwrap_or(by_code),
        message: ending.message.clone(),
        pod: Some(name.to_owned()),
        exit_code: ending.code,
        at: Time(now),
    }
}

fn named(reason: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|known| known.as_str() == reason)
}
