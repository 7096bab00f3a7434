//! The gateway's table, from what runs: only replicas that answer for a model, and only of revisions that have traffic.

use std::collections::BTreeMap;
use std::sync::Arc;

use modelyard_core::api::{Class, Failure};

use super::deployment::{Deployment, Slot};
use super::events::ModelState;
use crate::gateway::{Absent, Route, Table};

/// Ends in a row after which a replica counts as failing rather than as on its way back.
const FAILING: u32 = 2;

pub(super) fn table<'a>(deployments: impl Iterator<Item = &'a Deployment>, draining: bool) -> Table {
    let mut models = BTreeMap::new();
    for deployment in deployments.filter(|deployment| !deployment.removed) {
        // The wanted names last: where two revisions have one name, its time limit is the new one's, and its bytes are what both
        // take, since either may get the request.
        let old = deployment.revisions.iter().filter(|revision| revision.weight > 0).map(|revision| &revision.served.config);
        for config in old.chain([&deployment.resolved.config]) {
            for model in &config.models {
                let taken = models.get(&model.name).map_or(u64::MAX, |other: &Route| other.max_request_bytes);
                let route = Route {
                    deployment: deployment.resolved.name.as_str().into(),
                    version: Some(model.version),
                    backends: backends(deployment, &model.name),
                    absent: absent(deployment, &model.name),
                    timeout: config.serving.request_timeout,
                    max_request_bytes: config.serving.max_request_bytes.min(taken),
                };
                models.insert(model.name.clone(), route);
            }
        }
    }
    Table { models, draining }
}

fn backends(deployment: &Deployment, model: &str) -> Vec<Arc<crate::gateway::Backend>> {
    let has_traffic =
        |slot: &Slot| deployment.revisions.iter().any(|revision| revision.name == slot.revision && revision.weight > 0);
    let answers = |slot: &Slot| slot.readiness.models.iter().any(|state| state.name == model && state.is_ready());
    let open = deployment.slots.iter().filter(|slot| !slot.is_stopping() && slot.readiness.state != "Draining");
    open.filter(|slot| has_traffic(slot) && answers(slot)).filter_map(|slot| slot.backend.clone()).collect()
}

/// Why a model has no replica, should that be so.
fn absent(deployment: &Deployment, model: &str) -> Absent {
    if deployment.resolved.replicas == 0 {
        return Absent::Zero;
    }
    let slots = deployment.slots.iter().filter(|slot| !slot.is_stopping());
    // A server that serves others has no failure for this model unless it says so.
    let own = |state: &ModelState| state.name == model && state.state != "Failed";
    let failed =
        slots.filter(|slot| !slot.readiness.models.iter().any(own)).filter_map(|slot| Some((slot, slot.failure.as_ref()?)));
    let hopeless = |slot: &Slot, failure: &Failure| slot.in_a_row >= FAILING || failure.reason.class() == Class::User;
    // The failure that says most: one that no patience ends.
    match failed.min_by_key(|(slot, failure)| !hopeless(slot, failure)) {
        Some((slot, failure)) if hopeless(slot, failure) => Absent::Failing(failure.message.clone()),
        Some((_, failure)) => Absent::Retrying(failure.message.clone()),
        None => Absent::Starting,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use modelyard_core::api::Reason;
    use modelyard_core::pins::Pins;
    use modelyard_core::resolve::Resolved;
    use tokio::sync::watch;

    use super::super::deployment::Revision;
    use super::super::events::Readiness;
    use super::super::launch::Served;
    use super::super::replica::Stop;
    use super::*;

    fn resolved(most: &str) -> Resolved {
        let yaml = format!(
            "apiVersion: modelyard.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {{name: m}}\n\
             spec: {{model: {{uri: 'file:m', version: 3}}, serving: {{maxRequestBytes: {most}}}}}\n"
        );
        crate::manifest::read_text(std::path::Path::new("m.yaml"), &yaml).manifests.remove(0).resolved
    }

    /// A replica that failed so, this many times in a row.
    fn failed(reason: Reason, in_a_row: u32, served: &Served) -> Slot {
        let message = format!("{reason:?} {in_a_row}");
        Slot {
            id: 0,
            name: "m-0".to_owned(),
            revision: "r".to_owned(),
            pid: None,
            admin_port: None,
            backend: None,
            readiness: Readiness::default(),
            failure: Some(Failure { reason, message, pod: None, exit_code: None, at: Time(Timestamp::UNIX_EPOCH) }),
            in_a_row,
            restarts: in_a_row,
            leaving: false,
            served: watch::Sender::new(served.clone()),
            stop: watch::Sender::new(Stop::No),
        }
    }

    #[test]
    fn a_failure_is_told_whether_or_not_it_makes_sense_to_wait() {
        let resolved = resolved("1Mi");
        let served = Served { config: resolved.config.clone(), pins: Pins::default() };
        let (retrying, failing) = (|why: &str| Absent::Retrying(why.to_owned()), |why: &str| Absent::Failing(why.to_owned()));
        for (failures, expected) in [
            (vec![], Absent::Starting),
            (vec![(Reason::StoreUnavailable, 1)], retrying("StoreUnavailable 1")),
            (vec![(Reason::StoreUnavailable, FAILING)], failing("StoreUnavailable 2")),
            (vec![(Reason::ModelInvalid, 0)], failing("ModelInvalid 0")),
            (vec![(Reason::StoreUnavailable, 1), (Reason::ModelInvalid, 1)], failing("ModelInvalid 1")),
        ] {
            let mut deployment = Deployment::new(resolved.clone());
            deployment.slots.extend(failures.iter().map(|(reason, in_a_row)| failed(*reason, *in_a_row, &served)));
            assert_eq!(absent(&deployment, "m"), expected, "{failures:?}");
        }
    }

    #[test]
    fn while_two_revisions_serve_a_body_is_one_that_both_take() {
        for (old, new) in [("1Mi", "2Mi"), ("2Mi", "1Mi")] {
            let mut deployment = Deployment::new(resolved(new));
            deployment.revisions.push(Revision {
                name: "old".to_owned(),
                version: Some(1),
                created: Timestamp::UNIX_EPOCH,
                wanted: 1,
                has_served: true,
                weight: 100,
                served: Served { config: resolved(old).config, pins: Pins::default() },
            });
            let table = table([&deployment].into_iter(), false);
            assert_eq!((table.models["m"].max_request_bytes, table.models["m"].version), (1 << 20, Some(3)));
            deployment.revisions[0].weight = 0;
            let alone = super::table([&deployment].into_iter(), false).models["m"].max_request_bytes;
            assert_eq!(alone, resolved(new).config.serving.max_request_bytes);
        }
    }
}
